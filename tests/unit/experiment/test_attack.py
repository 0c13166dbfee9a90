"""A load from its beginning to its end, on a runner that is not there: what comes of it where a program fails."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from scripts.experiment.load import attack
from scripts.experiment.load.attack import Load, LoadError, LoadTest
from scripts.experiment.load.results import Summary, as_table
from scripts.inventory import Host, Inventory, Role
from scripts.ssh import CommandError, Result, UnreachableError


class Runner:
    """A place where every program does well, but for the one whose line has `fails` in it.

    Its vegeta ends when it is told to; a `deaf` one only where it is killed.
    """

    def __init__(self, fails: str = "", deaf: bool = False) -> None:
        self.lines: list[str] = []
        self.fails, self.deaf = fails, deaf
        self.over = threading.Event()

    def put(self, name: str, content: str) -> None:
        pass

    def run(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        self.lines.append(line)
        if self.fails and self.fails in line:
            raise CommandError("runner", line, Result("", "RuntimeError: it is in the way", 1))
        if line.startswith("kill -KILL" if self.deaf else "kill"):
            self.over.set()
        if "exec vegeta attack" in line:
            self.over.wait(30)
        return Result(json.dumps(asdict(Summary())) if "results.py" in line else str(time.time()), "", 0)

    def read(self, name: str, timeout: float = 60) -> bytes:
        if self.fails == name:
            raise UnreachableError("runner", "it does not answer")
        made = {"made.json": b'["a", "b"]', "created.json": b'["c"]'}
        return made.get(name) or as_table([])

    def leave(self) -> None:
        self.over.set()

    def line(self, part: str) -> str:
        return next(line for line in self.lines if part in line)


def load_on(runner: Runner, load: Load | None = None) -> LoadTest:
    host = Host("runner", Role.TEST_RUNNER, None, "127.0.0.1", "")
    return LoadTest(Inventory("test", "", "service", "", "1.0.0", ("a",), (), (host,), Path(), ""), load, runner)


@pytest.mark.parametrize(("theirs", "found"), [(101.0, 0.0), (102.0, 0.0), (100.0, 0.0), (103.5, 1.5), (99.75, -0.25)])
def test_a_clock_is_ahead_only_by_what_asking_it_cannot_explain(theirs: float, found: float) -> None:
    assert attack.ahead(100.0, theirs, 102.0) == found


def test_items_that_stay_are_named_and_the_load_is_measured_all_the_same() -> None:
    runner = Runner(fails="targets.py tidy")
    with load_on(runner) as test:
        pass
    assert test.report.requests == 0
    assert len(test.notes) == 1
    assert test.notes[0].startswith("items that the load made stay in the table: runner: ")
    assert test.notes[0].endswith("RuntimeError: it is in the way")


def test_what_a_service_of_ones_own_was_sent_is_its_owners_to_remove() -> None:
    runner = Runner()
    with load_on(runner, Load(requests=[{"path": "/"}])) as test:
        pass
    assert not test.notes
    assert not [line for line in runner.lines if "tidy" in line]


def test_items_that_are_to_be_kept_are_told_of_and_left() -> None:
    runner = Runner()
    with load_on(runner, Load(keeps_items=True)) as test:
        pass
    assert test.items == ["a", "b", "c"]
    assert not [line for line in runner.lines if "tidy" in line]


def test_items_of_which_nobody_knows_any_more_are_told_of_and_the_load_is_measured_all_the_same() -> None:
    with load_on(Runner(fails="created.json"), Load(keeps_items=True)) as test:
        pass
    assert test.report.requests == 0
    assert test.items == []
    assert test.notes == ["items that the load made stay in the table: runner: it does not answer"]


def test_a_redirect_is_not_followed_and_bodies_are_kept_as_far_as_they_are_looked_at() -> None:
    for load, kept in (
        (Load(), 1024),
        (Load(requests=[{"path": "/"}]), 1024),
        (Load(requests=[{"path": "/"}, {"path": "/x", "contains": "hello"}]), 65_536),
    ):
        runner = Runner()
        with load_on(runner, load):
            pass
        assert {f"-max-body={kept}", "-redirects=-1"} < set(runner.line("exec vegeta attack").split())


def test_a_generator_that_does_not_end_is_killed_and_told_of_as_a_load_that_went_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attack, "END_SECONDS", 0.1)
    runner = Runner(deaf=True)
    with (
        pytest.raises(LoadError, match=r"vegeta was told to end and had not 0\.2 s later"),
        load_on(runner, Load(timeout=0.1)),
    ):
        pass
    assert runner.line("kill -KILL")
