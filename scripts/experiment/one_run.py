"""One run: load, and under it what its scenario asks for; then what came of it, in the run's folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.experiment.capacity import CapacityWatch
from scripts.experiment.deployer import Deployed, Deployer, release_document
from scripts.experiment.folder import Folder, write_json
from scripts.experiment.load.attack import Load, LoadTest
from scripts.experiment.load.results import LATE_MS
from scripts.experiment.load.retries import find_retries
from scripts.experiment.machine import NO_ACCOUNT, Processors, Shares
from scripts.experiment.plan import (
    EXPECTED,
    LONGEST_RELEASE,
    RELEASES,
    TAIL_SECONDS,
    Level,
    Run,
    Settings,
    ends_otherwise,
    next_version,
)
from scripts.experiment.writes import Where, WriteTest
from scripts.experiment.yardstick import Yardstick
from scripts.inventory import Inventory

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Bench:
    """What every run is made with. `say` tells a person what goes on."""

    inventory: Inventory
    settings: Settings
    deployer: Deployer
    folder: Folder
    say: Callable[[str], None]


@dataclass
class Measured:
    """What is known of a run when its load is over; unix seconds, 0 for what has not been."""

    test: LoadTest
    watch: CapacityWatch
    began: float
    ended: float
    processors: Shares = NO_ACCOUNT
    work_ms: float | None = None  # what the yardstick says
    outlived: bool = False  # whether what was to happen under the load took longer than it
    deployed: Deployed | None = None
    version: str | None = None
    known: str | None = None  # the newest release before the run
    writes: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


def perform(bench: Bench, run: Run, level: Level) -> dict[str, Any]:
    """Make a run and keep it; what its run.json says.

    Raises LoadError, SshError and the like where the run could not be made (run.json then says «failed», and why) and
    KeyboardInterrupt («interrupted»). What had been measured by then is kept.
    """
    place = bench.folder.begin_run(run.id)
    started = time.time()
    document = {**asdict(run), "started": started, **load_document(bench.settings, level)}
    write_json(place / "run.json", document | {"outcome": "interrupted", "notes": ["it was not finished"]})
    try:
        measured = measure(bench, run, level)
        document |= as_document(bench, run, level, measured)
        document["notes"] += [f"tried before: {earlier}" for earlier in bench.folder.earlier_tries(run.id)]
    except BaseException as error:
        outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        why = str(error) or type(error).__name__
        write_json(place / "run.json", document | {"outcome": outcome, "notes": [why]})
        raise
    write_json(place / "run.json", document)
    return document


def load_document(settings: Settings, level: Level) -> dict[str, Any]:
    """What run.json says of the load before there was any."""
    return {
        "rate": level.rate,
        "workers": level.workers,
        "saturated": level.saturated,
        "seconds": settings.seconds,
        "warmup_seconds": settings.warmup,
        "keepalive": settings.keepalive,
        "release": None,
        "duplicates": None,
        "proxy_retries": None,
        "capacity": [],
    }


def measure(bench: Bench, run: Run, level: Level) -> Measured:
    """Load, and the release under it."""
    settings = bench.settings
    version = prepare(bench, run)
    known = bench.deployer.newest().get("id")
    longest = settings.seconds + (LONGEST_RELEASE if run.scenario in (*RELEASES, "unchanged") else 30)
    load = Load(
        rate=level.rate,
        workers=level.workers,
        keepalive=settings.keepalive,
        seconds=settings.seconds + 30,
        longest=longest,
        warmup=settings.warmup,
        timeout=TIMEOUT_SECONDS,
        requests=settings.requests,
        keeps_items=settings.keeps_items,
    )
    writes = write_test(bench, longest) if settings.check else None
    with ExitStack() as stack:
        if writes is not None:
            stack.callback(shutil.rmtree, writes.folder, ignore_errors=True)
            stack.callback(writes.close)
        found = under_load(bench, run, level, load, writes)
        found.version, found.known = version, known
        if writes is not None:
            found.writes = judge_writes(bench, run, writes)
            found.notes += writes.remove_rows()
    return found


def under_load(bench: Bench, run: Run, level: Level, load: Load, writes: WriteTest | None) -> Measured:
    """Do under load what the scenario is named after, and wait until the run's time is over; keep what was measured."""
    settings = bench.settings
    test = LoadTest(bench.inventory, load)
    watch = CapacityWatch(bench.inventory, load.bound + settings.warmup + 300)
    found = Measured(test, watch, 0.0, 0.0)
    yardstick = Yardstick()
    try:
        with ExitStack() as stack:
            stack.enter_context(watch)
            if writes is not None:
                stack.enter_context(writes)
            stack.enter_context(test)
            stack.enter_context(yardstick)
            bench.say(f"{run.id}: load of {level.rate} requests/s")
            found.began, processors = time.time(), Processors()
            found.deployed = act(bench, run, found.began)
            tail = found.deployed.ended + TAIL_SECONDS if found.deployed else 0.0
            wait_until(max(found.began + settings.seconds, tail))
            found.ended, found.processors, found.outlived = time.time(), processors.shares(), test.is_over
    finally:
        found.work_ms = yardstick.milliseconds
        keep(bench.folder.run_folder(run.id), found)
        bench.folder.keep_items(test.items)
    return found


def keep(place: Path, found: Measured) -> None:
    """Write down what was measured, whatever comes after: a run that could not be finished is evidence, too."""
    if found.deployed is not None:
        (place / "pulumi.log").write_text(found.deployed.said, "utf-8")
    if hasattr(found.test, "table"):  # else there is none: the load itself went wrong
        (place / "requests.csv.gz").write_bytes(found.test.table)
        write_json(place / "failures.json", found.test.summary["failures"])


def prepare(bench: Bench, run: Run) -> str | None:
    """Have the config ask for what the run is to release; its version, None where it releases nothing."""
    deployer, settings = bench.deployer, bench.settings
    if run.scenario == "unchanged":  # whatever a run that could not be made has left in the config
        deployer.configure(version=str(deployer.live()["version"]))
    if run.scenario not in RELEASES:
        return None
    if run.scenario == "failing":
        version = str(settings.failing)  # there is one: check_settings has seen to it
    else:
        version = next_version(settings.versions, str(deployer.live()["version"]))
    deployer.pack(version)
    deployer.configure(version=version, strategy=str(run.strategy))
    return version


def act(bench: Bench, run: Run, began: float) -> Deployed | None:
    """Do what the scenario is named after, under load."""
    if run.scenario not in (*RELEASES, "unchanged"):
        return None
    wait_until(began + bench.settings.lead)
    bench.say(f"{run.id}: pulumi up")
    deployed = bench.deployer.up()
    if run.scenario == "failing":
        bench.deployer.configure(version=str(bench.deployer.live()["version"]))
    return deployed


def wait_until(moment: float) -> None:
    """Sleep until a time."""
    time.sleep(max(0.0, moment - time.time()))


def write_test(bench: Bench, longest: float) -> WriteTest:
    """Clients whose every write is followed up, on the table that is live."""
    tables = bench.deployer.live().get("tables") or {}
    return WriteTest(
        bench.inventory,
        rate=bench.settings.check,
        seconds=int(longest + bench.settings.warmup + 300),
        first=Where(str(tables.get("item", "item"))),
    )


def judge_writes(bench: Bench, run: Run, writes: WriteTest) -> dict[str, Any]:
    """What the checker says of its clients' writes; what it says so from is kept where it found something."""
    bench.say("following up every write")
    verdict = writes.verdict()
    if not verdict.passed:
        shutil.copytree(writes.folder, bench.folder.run_folder(run.id) / "writes")
    return {"passed": verdict.passed, "summary": verdict.summary(), "clients": writes.summary}


def as_document(bench: Bench, run: Run, level: Level, measured: Measured) -> dict[str, Any]:
    """What run.json says of a run that was made."""
    test = measured.test
    newest = bench.deployer.newest()
    record = newest if newest.get("id") != measured.known else None
    release = release_document(record, measured.deployed, measured.version)
    right = int(test.summary["sent"]) - int(test.summary["failed"])
    retries, why = find_retries(bench.inventory, test.name, measured.began - bench.settings.warmup, right)
    notes = [*measured.watch.problems, *test.notes, *measured.notes, *([why] if why else [])]
    start = test.summary["scheduled_ns"] / 1e9
    seconds = min(max(0.0, measured.ended - start), test.load.bound)
    document = {
        "outcome": "finished",
        "seconds": round(seconds, 3),
        "offered": int(level.rate * seconds),
        "sent": test.summary["sent"],
        "missing": test.summary["missing"],
        "failed": test.summary["failed"],
        "lag_p99_ms": test.summary["lag_p99_ms"],
        "lag_workers_busy": test.summary["lag_workers_busy"],
        "busy": measured.processors.busy,
        "stolen": measured.processors.stolen,
        "work_ms": measured.work_ms,
        "release": release,
        "duplicates": retries.duplicates if retries else None,
        "proxy_retries": retries.by_proxy if retries else None,
        "capacity": [{"at": moment, "serving": count} for moment, count in measured.watch.samples],
        "notes": [*notes, *remarks(run, level, measured, release)],
    }
    return document | ({"check": measured.writes} if measured.writes is not None else {})


def remarks(run: Run, level: Level, measured: Measured, release: dict[str, Any] | None) -> list[str]:
    """What a reader of the run should know before taking its figures as they are."""
    found = []
    if release and ends_otherwise(run.scenario, release["verdict"], release["status"]):
        wanted = EXPECTED.get(run.scenario, "changed nothing")
        ended = f"`pulumi up` ended with {release['status']}: {release['reason']}"
        found.append(f"the release should have {wanted} and is {release['verdict']}; {ended}")
    if measured.outlived:
        bound = f"the load of {measured.test.load.bound:g} s"
        found.append(f"the release took longer than {bound}: what users got after that is not known")
    summary = measured.test.summary
    if not level.saturated:
        found += lateness(level.workers, summary["lag_p99_ms"], summary["lag_workers_busy"])
    return found


def lateness(workers: int, lag_ms: float | None, busy: float | None) -> list[str]:
    """Who kept requests waiting that should have been sent: the service, where all users waited for it, or we."""
    if lag_ms is None or lag_ms <= LATE_MS:
        return []
    if busy is not None and busy > 0.5:
        held = f"{100 * busy:.0f} % of the late requests were held back, 1 % of all by more than {lag_ms:.0f} ms"
        return [f"users waited in line: all {workers} were waiting for an answer while {held}"]
    return [f"the generator was late: 1 % of the requests by more than {lag_ms:.0f} ms"]
