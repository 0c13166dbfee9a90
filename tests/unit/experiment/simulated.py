"""Writes the folder of an experiment that never was, in the format of real ones: what the report is tested on.

Latencies are lognormal around a level's own; `halves` and its halved capacity double them from `medium` on, and fail
some requests; the first seconds of a release are a little slower under any strategy.
"""

import csv
import gzip
import io
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from scripts.experiment.folder import write_json

START = 1_795_000_000.0
MACHINE = {
    "cpu": "AMD EPYC 7B13", "cores": 2, "memory_mb": 16012, "kernel": "Linux 6.1.0-41-amd64",
    "os": "Debian GNU/Linux 12 (bookworm)",
}  # fmt: skip
LEVELS = {"low": (50, 100, 20.0), "medium": (260, 260, 45.0), "high": (500, 300, 900.0)}
STAGES = ("preflight", "install-1", "smoke-1", "shift-1", "install-2", "smoke-2", "shift-2", "settle", "outcome")
COLUMNS = ("seq", "scheduled_ns", "sent_ns", "latency_ns", "status", "error", "method", "path", "version", "right")
TEST_RATE_SHARE = 0.2  # of a level's rate is simulated: enough for every figure, and quick


@dataclass
class Simulation:
    """What to simulate. `slower` and `failing` are by strategy: a factor on times, a ratio of failed requests."""

    levels: tuple = ("low", "medium", "high")
    scenarios: tuple = ("none", "successful", "failing")
    strategies: tuple = ("bluegreen", "halves")
    runs: int = 5
    seconds: int = 20
    knee: float | None = 280
    slower: dict = field(default_factory=lambda: {"bluegreen": 1.02, "halves": 1.9})
    failing: dict = field(default_factory=lambda: {"halves": 0.006})
    noise: float = 0.05
    kind: str = "custom"
    seed: int = 6
    release: float = 0.6  # the share of a run that a release takes


def write_experiment(folder, simulation=None):
    """Write the whole folder; its path."""
    plan = simulation or Simulation()
    dice = np.random.default_rng(plan.seed)
    folder.mkdir(parents=True)
    runs, at = [], START
    for block, level in product(range(1, plan.runs + 1), plan.levels):
        for scenario, strategy in cells(plan):
            order = len(runs) + 1
            name = "-".join(part for part in (f"{order:03d}", level, scenario, strategy, str(block)) if part)
            run = {"id": name, "level": level, "scenario": scenario, "strategy": strategy}
            run |= {"block": block, "order": order}
            runs.append(run)
            write_run(folder / "runs" / name, run, plan, dice, at)
            at += plan.seconds + 30
    write_json(folder / "experiment.json", as_document(folder.name, plan, runs))
    return folder


def cells(plan):
    """The scenarios of a block, each release by each strategy."""
    return [
        (scenario, strategy)
        for scenario in plan.scenarios
        for strategy in (plan.strategies if scenario in ("successful", "failing") else (None,))
    ]


def as_document(name, plan, runs):
    """experiment.json."""
    levels = [
        {"name": level, "workers": LEVELS[level][0], "rate": LEVELS[level][1],
         "saturated": plan.knee is not None and LEVELS[level][1] > plan.knee}
        for level in plan.levels
    ]  # fmt: skip
    steps = [
        {"rate": rate, "p99_ms": 30 * 1.006**rate, "error_ratio": 0.0, "achieved": min(rate, 290)}
        for rate in (50, 75, 110, 170, 250, 380, 320, 280)
    ]
    return {
        "name": name, "created": START, "kind": plan.kind, "state": "finished", "seed": plan.seed, "machine": MACHINE,
        "stack": "dev", "rows": 1000, "levels": levels, "runs": runs,
        "knee": {"rate": plan.knee, "steps": steps} if plan.knee else None,
        "settings": {"kind": plan.kind, "runs": plan.runs, "seconds": plan.seconds, "warmup": 5, "keepalive": False,
                     "strategies": plan.strategies, "scenarios": plan.scenarios, "check": 0, "requests": "mix"},
    }  # fmt: skip


def write_run(folder, run, plan, dice, started):
    """run.json and requests.csv.gz of one run."""
    folder.mkdir(parents=True)
    workers, rate, _ = LEVELS[run["level"]]
    release = release_of(run, plan, started) if run["strategy"] else None
    rows = requests(run, plan, dice, started, release)
    write_table(folder / "requests.csv.gz", rows)
    is_halved = run["strategy"] == "halves"
    samples = [(started - 4, 4)]
    if is_halved:
        samples += [(release["started"] + 2, 2), (release["started"] + release["seconds"] - 1, 4)]
    write_json(folder / "run.json", run | {
        "started": started - 5, "rate": rate * TEST_RATE_SHARE, "workers": workers, "seconds": float(plan.seconds),
        "warmup_seconds": 5, "keepalive": False, "saturated": False, "outcome": "finished", "release": release,
        "offered": len(rows), "sent": len(rows), "missing": 0, "failed": sum(not row[-1] for row in rows),
        "lag_p99_ms": 0.8, "busy": 0.5, "stolen": 0.004, "work_ms": 0.4, "duplicates": 0, "proxy_retries": 0,
        "notes": [],
        "capacity": [{"at": at, "serving": serving} for at, serving in samples],
    })  # fmt: skip


def edit_run(folder, name, *changes):
    """Change what a run's run.json says: (text, another text) each."""
    place = folder / "runs" / name / "run.json"
    text = place.read_text("utf-8")
    for old, new in changes:
        assert old in text, text
        text = text.replace(old, new)
    place.write_text(text, "utf-8")


def write_soak(folder, releases=20, leak=0):
    """soak.csv of three hosts whose memory goes up and down, and grows by `leak` bytes a release on the last one."""
    lines = ["release,at,host,service,memory_bytes,disk_bytes"]
    for release, (number, host) in product(range(1, releases + 2), enumerate(("app-a", "db-a", "control"))):
        memory = 200 * 2**20 + number * 2**20 + release % 3 * 2**18 + (leak * release if host == "control" else 0)
        lines += [f"{release},{START + 60 * release},{host},,{memory},{4 * 2**30}"]
        lines += [f"{release},{START + 60 * release},{host},haproxy,{memory // 3},"]
    (folder / "soak.csv").write_text("\n".join(lines) + "\n", "utf-8")


def write_table(path, rows):
    """Requests as one_run keeps them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def release_of(run, plan, started):
    """A release that takes the middle of the run, with its stages."""
    began, seconds = started + plan.seconds * 0.2, plan.seconds * plan.release
    names = STAGES if run["scenario"] == "successful" else (*STAGES[:4], "rollback", "outcome")
    step = seconds / len(names)
    stages = [
        {"name": name, "started": began + number * step, "ended": began + (number + 1) * step, "state": "passed"}
        for number, name in enumerate(names)
    ]
    verdict = "succeeded" if run["scenario"] == "successful" else "rolled-back"
    return {
        "id": f"r{run['order']}", "version": "2.0.0", "from": "1.0.0", "verdict": verdict, "reason": "",
        "status": 0 if verdict == "succeeded" else 255, "started": began, "seconds": seconds,
        "own_seconds": seconds - 1, "stages": stages,
    }  # fmt: skip


def requests(run, plan, dice, started, release):
    """The rows of a run's table."""
    _, rate, middle = LEVELS[run["level"]]
    rate *= TEST_RATE_SHARE
    count = int(plan.seconds * rate)
    at = started + np.arange(count) / rate
    times = middle * dice.lognormal(0, 0.25, count) * dice.lognormal(0, plan.noise)
    if run["scenario"] in ("aa", "unchanged"):
        times *= plan.slower.get(None, 1.0)
    failed = np.zeros(count, bool)
    if release:
        during = (at > release["started"]) & (at < release["started"] + release["seconds"])
        times[during] *= plan.slower.get(run["strategy"], 1.0)
        failed = during & (dice.random(count) < plan.failing.get(run["strategy"], 0.0))
        times[failed] = 5000.0
    return [
        [seq, int(moment * 1e9), int(moment * 1e9), int(took * 1e6), 503 if bad else 200,
         "GET: status 503, expected 200" if bad else "", "GET", "/item",
         "2.0.0" if release and moment > release["started"] + release["seconds"] * 0.6 else "1.0.0", int(not bad)]
        for seq, (moment, took, bad) in enumerate(zip(at, times, failed, strict=True))
    ]  # fmt: skip
