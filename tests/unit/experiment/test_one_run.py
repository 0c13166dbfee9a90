"""A run keeps what it measured, whatever becomes of it: an experiment that forgets its worst runs would flatter."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scripts.experiment import one_run
from scripts.experiment.deployer import Deployed
from scripts.experiment.folder import Folder
from scripts.experiment.load.attack import Load
from scripts.experiment.one_run import Bench, perform
from scripts.experiment.plan import Level, Run, Settings
from scripts.inventory import Inventory
from scripts.release.journal import JournalError

LEVEL = Level("low", 50, 100)
RUN = Run("001-low-successful-bluegreen-1", "low", "successful", "bluegreen", 1, 1)


@dataclass
class FakeLoad:
    """A load that is over at once; `bound` seconds of it are planned at most."""

    load: Load
    is_over: bool = False
    name: str = "load-1"
    notes: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=lambda: ["row 1"])

    def __enter__(self) -> FakeLoad:
        self.began = time.time()
        return self

    def __exit__(self, *_: object) -> None:
        self.table = b"requests"
        self.summary = {
            "scheduled_ns": int(self.began * 1e9), "sent": 7, "missing": 0, "failed": 0, "failures": [],
            "lag_p99_ms": 1.0, "lag_workers_busy": None,
        }  # fmt: skip


class FakeWatch:
    """A watch that sees all four servers."""

    def __init__(self) -> None:
        self.samples, self.problems = [(1.0, 4)], list[str]()

    def __enter__(self) -> FakeWatch:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass
class Stack:
    """What a run's deployer sees and does."""

    newest_fails: bool = False
    asked: list[str] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict)
    released: bool = False

    def live(self) -> dict[str, Any]:
        return {"version": "1.0.0"}

    def newest(self) -> dict[str, Any]:
        if self.released and self.newest_fails:
            raise JournalError("the journal does not answer")
        record = {"id": "r2", "version": "2.0.0", "state": "succeeded", "stages": []}
        return record if self.released else {"id": "r1"}

    def pack(self, version: str) -> None:
        self.asked.append(version)

    def configure(self, **values: str) -> None:
        self.config |= values

    def up(self) -> Deployed:
        self.released = True
        return Deployed(0, time.time() - 0.2, time.time(), "all of what Pulumi said")


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeLoad]]:
    made: list[FakeLoad] = []

    def load(_: Inventory, plan: Load) -> FakeLoad:
        made.append(FakeLoad(plan))
        return made[-1]

    monkeypatch.setattr(one_run, "LoadTest", load)
    monkeypatch.setattr(one_run, "CapacityWatch", lambda *_: FakeWatch())
    monkeypatch.setattr(one_run, "find_retries", lambda *_: (None, ""))
    monkeypatch.setattr(one_run, "wait_until", lambda _: None)
    yield made


@pytest.fixture
def bench(tmp_path: Path, stack: Stack) -> Bench:
    inventory = Inventory("test", "", "service", "", "", (), (), (), Path(), "")
    folder = Folder.create("mine", {}, tmp_path)
    return Bench(inventory, Settings(seconds=5), stack, folder, lambda _: None)  # type: ignore[arg-type]


def kept(bench: Bench, run: str = RUN.id) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bench.folder.run_folder(run) / "run.json").read_text("utf-8"))
    return found


def test_a_run_has_its_requests_its_release_and_what_pulumi_said(
    bench: Bench, stack: Stack, loads: list[FakeLoad]
) -> None:
    perform(bench, RUN, LEVEL)
    place = bench.folder.run_folder(RUN.id)
    assert (place / "requests.csv.gz").read_bytes() == b"requests"
    assert (place / "pulumi.log").read_text("utf-8") == "all of what Pulumi said"
    document = kept(bench)
    assert (document["outcome"], document["sent"], document["notes"]) == ("finished", 7, [])
    assert document["work_ms"] > 0
    assert (document["release"]["id"], document["release"]["verdict"]) == ("r2", "succeeded")
    assert stack.config == {"version": "2.0.0", "strategy": "bluegreen"}


@pytest.mark.parametrize(("settings", "keeps"), [(Settings(), True), (Settings(kind="soak"), False)])
def test_rows_stay_until_the_end_but_a_soaks_releases_all_meet_the_same_stack(
    bench: Bench, loads: list[FakeLoad], settings: Settings, keeps: bool
) -> None:
    perform(replace(bench, settings=settings), RUN, LEVEL)
    assert loads[0].load.keeps_items == keeps
    assert [json.loads(file.read_text("utf-8")) for file in bench.folder.kept_items()] == [["row 1"]]


def test_what_was_measured_stays_when_the_journal_does_not_tell_how_it_ended(
    bench: Bench, stack: Stack, loads: list[FakeLoad]
) -> None:
    stack.newest_fails = True
    with pytest.raises(JournalError):
        perform(bench, RUN, LEVEL)
    place = bench.folder.run_folder(RUN.id)
    assert kept(bench)["outcome"] == "failed"
    assert (place / "requests.csv.gz").read_bytes() == b"requests"
    assert (place / "pulumi.log").exists()


def test_what_was_measured_stays_when_the_release_is_interrupted(
    bench: Bench, stack: Stack, loads: list[FakeLoad], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> Deployed:
        raise KeyboardInterrupt

    monkeypatch.setattr(stack, "up", interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform(bench, RUN, LEVEL)
    assert kept(bench)["outcome"] == "interrupted"
    assert (bench.folder.run_folder(RUN.id) / "requests.csv.gz").exists()


def test_a_release_that_outlives_its_load_is_a_run_that_says_so(
    bench: Bench, stack: Stack, loads: list[FakeLoad], monkeypatch: pytest.MonkeyPatch
) -> None:
    up = stack.up

    def slow() -> Deployed:
        loads[-1].is_over = True
        monkeypatch.setattr(loads[-1], "began", time.time() - 3600)
        return up()

    monkeypatch.setattr(stack, "up", slow)
    document = perform(bench, RUN, LEVEL)
    bound = loads[-1].load.bound
    assert document["outcome"] == "finished"
    assert document["seconds"] == bound  # requests are due as long as the load is planned, and no longer
    assert document["notes"] == [
        f"the release took longer than the load of {bound:g} s: what users got after that is not known"
    ]


def test_an_earlier_try_is_kept_and_named(bench: Bench, stack: Stack, loads: list[FakeLoad]) -> None:
    stack.newest_fails = True
    with pytest.raises(JournalError):
        perform(bench, RUN, LEVEL)
    stack.newest_fails, stack.released = False, False
    document = perform(bench, RUN, LEVEL)
    assert document["notes"] == ["tried before: failed, the journal does not answer"]
    assert (bench.folder.run_folder(f"{RUN.id}.try1") / "requests.csv.gz").exists()
    assert kept(bench, f"{RUN.id}.try1")["outcome"] == "failed"


def test_after_a_failing_release_the_config_asks_for_what_serves(
    bench: Bench, stack: Stack, loads: list[FakeLoad]
) -> None:
    document = perform(bench, Run("002", "low", "failing", "halves", 1, 2), LEVEL)
    assert stack.asked == ["9.2.0"]
    assert stack.config == {"version": "1.0.0", "strategy": "halves"}
    assert document["notes"] == ["the release should have rolled-back and is succeeded; `pulumi up` ended with 0: "]


def test_without_a_release_nothing_is_released(bench: Bench, stack: Stack, loads: list[FakeLoad]) -> None:
    document = perform(bench, Run("003", "low", "none", None, 1, 3), LEVEL)
    assert not stack.released
    assert document["release"] is None
    assert loads[-1].load.bound == 5 + 30
