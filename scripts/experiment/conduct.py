"""An experiment from its beginning, or from where it was interrupted, to its end."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.experiment import knee, machine, soak
from scripts.experiment.deployer import Deployer
from scripts.experiment.errors import DeployError, ExperimentError
from scripts.experiment.folder import EXPERIMENTS, Folder, alone, new_name, writing
from scripts.experiment.load.attack import LoadError
from scripts.experiment.one_run import Bench, perform
from scripts.experiment.plan import (
    OVERHEAD_SECONDS,
    PAUSE_SECONDS,
    RELEASE_SECONDS,
    RELEASES,
    Level,
    Run,
    Settings,
    check_settings,
    estimate,
    make_levels,
    make_runs,
)  # fmt: skip
from scripts.experiment.progress import Display
from scripts.experiment.rows import count_rows, rows_removed
from scripts.experiment.writes import WriteTestError
from scripts.inventory import InventoryError, load
from scripts.journal.words import span
from scripts.release.journal import JournalError
from scripts.ssh import SshError

# What may go wrong with one run and not with the next.
RUN_ERRORS = (
    LoadError,
    SshError,
    JournalError,
    InventoryError,
    WriteTestError,
    DeployError,
    subprocess.SubprocessError,
)
# Those of them that do not say by themselves what can be done.
PLAIN_ERRORS = (LoadError, JournalError, WriteTestError, subprocess.SubprocessError)
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST_FAILURES = 3  # in a row; then the stack is no place to measure on
GATED = ("gate", "bakeSeconds", "window")


def begin(settings: Settings, stack: str | None, name: str = "", under: Path = EXPERIMENTS) -> Folder:
    """Make the folder of a new experiment. Nothing is touched but that."""
    settings = check_settings(settings)
    with writing(under):
        inventory = load(stack)
    document = {
        "created": time.time(),
        "kind": settings.kind,
        "state": "running",
        "seed": secrets.randbelow(2**31),
        "machine": machine.describe(),
        "stack": inventory.stack,
        "settings": settings.as_document(),
        "rows": None,
        "knee": None,
        "levels": [],
        "runs": [],
    }
    return Folder.create(name or new_name(settings.kind), document, under)


def conduct(folder: Folder) -> bool:
    """Make the runs that are not made yet; whether all of them are.

    Ctrl-C, SIGTERM and SIGHUP end it with KeyboardInterrupt: it can be gone on with, and the stack is at a version that
    serves everywhere and is the one its config asks for. Raises DeployError and the like where it cannot go on.
    """
    try:
        with writing(folder.path):
            return carry_out(folder)
    except PLAIN_ERRORS as error:
        again = "try again" if folder.is_empty else f"`evenkeel experiment --resume {folder.name}`"
        raise DeployError(str(error), f"put it right, then {again}") from error


def carry_out(folder: Folder) -> bool:
    """Do it, alone on the stack."""
    settings = Settings.parse(folder.document["settings"])
    inventory = load(folder.document["stack"])
    total = len(folder.document["runs"])
    with like_ctrl_c(), alone(inventory.stack, folder.path.parent), Display(total, 0) as display:
        deployer = Deployer(inventory, display.note)
        bench = Bench(inventory, settings, deployer, folder, display.say)
        with rows_removed(inventory, folder, display.note), known_version(bench, display.note):
            prepare_stack(bench, display.note)
            plan_runs(bench, display)
            return make_all(bench, display)


@contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Have a kill, or a terminal that is gone, do what Ctrl-C does; what is ignored, as under nohup, stays so."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    with handled(heard, interrupt):
        yield


@contextmanager
def handled(numbers: Iterable[signal.Signals], handler: Callable[..., object] | signal.Handlers) -> Iterator[None]:
    """Have signals handled like this while the block runs."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def known_version(bench: Bench, say: Callable[[str], None]) -> Iterator[None]:
    """Whatever happens: afterwards the stack's config asks for the version that serves, by the strategy it had."""
    deployer, folder = bench.deployer, bench.folder
    strategy = folder.document.get("config_before", {}).get("strategy")
    if strategy is None:
        strategy = deployer.value("strategy")
        folder.update(config_before={"strategy": strategy})
    folder.update(state="running")
    state = "interrupted"
    try:
        yield
        state = "finished" if all(folder.is_done(run["id"]) for run in folder.document["runs"]) else "interrupted"
    finally:
        with handled(ENDINGS, signal.SIG_IGN):
            try:
                version = str(deployer.live()["version"])
                deployer.configure(version=version, strategy=strategy)
                say(f"the stack serves {version}, and its config asks for it")
            except (*RUN_ERRORS, ExperimentError) as error:
                say(f"the stack's config could not be set back: {error}; set `version` to what `evenkeel status` says")
            folder.update(state=state)  # last: a disk that is full is no reason to leave the config as it is


def prepare_stack(bench: Bench, say: Callable[[str], None]) -> None:
    """Have a version of the plan serve, by an `up` that is not measured; refuse a stack that waits for people."""
    deployer, settings = bench.deployer, bench.settings
    deployer.clear_locks()
    for key in GATED:
        value = deployer.value(key)
        if value and value not in ("none", "0"):
            raise DeployError(
                f"the stack's `{key}` is {value}: its releases would wait",
                f"`pulumi config rm {key} --stack {deployer.stack}`",
            )
    live = str(deployer.live()["version"])
    version = live if live in settings.versions else settings.versions[0]
    for needed in (*settings.versions, *([settings.failing] if settings.failing else [])):
        deployer.pack(needed)
    deployer.configure(version=version, strategy="")
    say(f"bringing the stack to {version} (it serves {live})")
    deployed = deployer.up()
    if deployed.status != 0:
        raise DeployError(f"`pulumi up` to {version} failed before anything was measured: {deployed.last_words}")


def plan_runs(bench: Bench, display: Display) -> None:
    """Count the rows, find the knee, and write down the runs: what was found stays for those who go on with it."""
    folder, settings = bench.folder, bench.settings
    if folder.document["runs"]:
        return
    if folder.document["rows"] is None and settings.service is None:
        folder.update(rows=count_rows(bench.inventory))
    if settings.knee and folder.document["knee"] is None:
        display.say("looking for the knee")
        probe = knee.probe_with(bench.inventory, settings, folder.keep_items, display.note)
        rate, steps = knee.find_knee(probe, settings.knee_seconds, settings.knee_held)
        folder.update(knee=knee.as_document(rate, steps))
        display.note(f"knee: this machine carries {rate} requests/s")
    found = folder.document["knee"]
    levels = make_levels(settings, found["rate"] if found else None)
    runs = make_runs(settings, levels, int(folder.document["seed"]))
    folder.update(levels=[asdict(level) for level in levels], runs=[asdict(run) for run in runs])


def make_all(bench: Bench, display: Display) -> bool:
    """Make the runs that are not made yet, in their order; whether all of them are."""
    folder, settings = bench.folder, bench.settings
    runs = [Run(**run) for run in folder.document["runs"]]
    levels = {level["name"]: Level(**level) for level in folder.document["levels"]}
    display.resize(len(runs))
    pace, in_a_row = Pace(settings), 0
    for run in runs:
        if folder.is_done(run.id):
            pace.learn(folder.read_run(run.id), 0.0)
    for run in runs:
        if folder.is_done(run.id):
            continue
        left = [other for other in runs if not folder.is_done(other.id)]
        display.expect(pace.left(left), len(runs) - len(left))
        began = time.time()
        try:
            if settings.kind == "soak" and soak.is_due(folder.path / soak.TABLE, run.order, len(runs)):
                soak.sample(bench, run.order, display.say)
            document = perform(bench, run, levels[run.level])
        except RUN_ERRORS as error:
            in_a_row += 1
            display.note(f"{run.id} could not be made: {error}")
            if in_a_row == MOST_FAILURES:
                raise DeployError(
                    f"{MOST_FAILURES} runs in a row could not be made, the last one: {error}",
                    f"put it right, then `evenkeel experiment --resume {folder.name}`",
                ) from error
            continue
        in_a_row = 0
        pace.learn(document, time.time() - began)
        display.note(f"{run.id}: {in_words(document)}")
        time.sleep(PAUSE_SECONDS)
    if settings.kind == "soak":
        soak.sample(bench, len(runs) + 1, display.say)
    display.expect(0, sum(folder.is_done(run.id) for run in runs))
    return all(folder.is_done(run.id) for run in runs)


class Pace:
    """How long runs take here, learned from those that were made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._releases: list[float] = []
        self._overheads: list[float] = []

    def learn(self, document: Mapping[str, Any], took: float) -> None:
        """Take a run into account; `took` is all of its time in seconds, 0 where that is not known."""
        if release := document.get("release"):
            self._releases.append(float(release["seconds"]))
        if took:
            self._overheads.append(took - float(document["seconds"]) - self._settings.warmup)

    def left(self, runs: list[Run]) -> float:
        """How many seconds these runs will take."""
        release = mean(self._releases, RELEASE_SECONDS)
        overhead = mean(self._overheads, OVERHEAD_SECONDS)
        return sum(estimate(run, self._settings, release, overhead) for run in runs)


def mean(values: list[float], otherwise: float) -> float:
    """The mean of the last ten values."""
    newest = values[-10:]
    return sum(newest) / len(newest) if newest else otherwise


def in_words(document: Mapping[str, Any]) -> str:
    """A run in one line."""
    release = document.get("release")
    what = " ".join(part for part in (release["version"], release["verdict"]) if part) if release else ""
    ended = f", {what} in {release['seconds']:.0f} s" if release else ""
    notes = f" ({'; '.join(document['notes'])})" if document["notes"] else ""
    writes = ""
    if check := document.get("check"):
        writes = ", every acknowledged write is there"
        if not check["passed"]:
            writes = f", ACKNOWLEDGED WRITES ARE MISSING: {check['summary']}"
    return f"{document['sent']} requests, {document['failed']} failed{ended}{writes}{notes}"


def announce(settings: Settings) -> str:
    """What is about to be done and how long it will take, in one sentence."""
    settings = check_settings(settings)
    levels = make_levels(settings, None)
    runs = make_runs(settings, levels, 0)
    knee_seconds = 12 * (settings.knee_seconds + 12) + 2 * (settings.knee_held + 12) if settings.knee else 0
    seconds = sum(estimate(run, settings) for run in runs) + knee_seconds
    releases = sum(run.scenario in RELEASES for run in runs)
    return f"{len(runs)} runs, {releases} of them with a release, about {span(seconds)}"
