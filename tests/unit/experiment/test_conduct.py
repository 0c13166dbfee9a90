"""An experiment goes on where it was interrupted, and leaves the stack at a version that its config asks for."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scripts.experiment import conduct as conducting
from scripts.experiment import rows
from scripts.experiment.deployer import Deployed
from scripts.experiment.errors import DeployError, FolderError
from scripts.experiment.folder import Folder, alone, write_json
from scripts.experiment.knee import Step
from scripts.experiment.load.attack import LoadError
from scripts.experiment.one_run import Bench
from scripts.experiment.plan import Level, Run, Settings
from scripts.inventory import Host, Inventory, Role
from scripts.ssh import UnreachableError

SETTINGS = Settings(runs=2, levels=("low", "50%"))


@dataclass
class World:
    """A stack as its deployer sees it: the config, what serves, and what runs were made of it."""

    config: dict[str, str] = field(default_factory=lambda: {"version": "9.8.0", "strategy": "canary"})
    stack: str = "test"
    serves: str = "9.8.0"
    status: int = 0
    made: list[str] = field(default_factory=list)
    probed: list[int] = field(default_factory=list)
    fails: Callable[[Run], BaseException | None] = lambda run: None
    folder: Folder | None = None

    def live(self) -> dict[str, Any]:
        return {"version": self.serves}

    def value(self, key: str) -> str:
        return self.config.get(key, "")

    def configure(self, **values: str) -> None:
        self.config |= values

    def pack(self, version: str) -> None:
        pass

    def clear_locks(self) -> None:
        pass

    def up(self) -> Deployed:
        if not self.status:
            self.serves = self.config["version"]
        return Deployed(self.status, 1.0, 2.0, "last words")

    def perform(self, bench: Bench, run: Run, level: Level) -> dict[str, Any]:
        """A run that leaves what a run leaves."""
        place = bench.folder.begin_run(run.id)
        if error := self.fails(run):
            self.config["version"] = "9.2.0"  # as a failing release sets it
            raise error
        self.made.append(run.id)
        document = {
            "outcome": "finished", "seconds": 30.0, "sent": 1, "failed": 0, "notes": [],
            "release": {"version": "2.0.0", "verdict": "succeeded", "seconds": 40.0} if run.strategy else None,
        }  # fmt: skip
        write_json(place / "run.json", document)
        return document


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()

    def probe(rate: int, seconds: float) -> Step:
        found.probed.append(rate)
        return Step(rate, 20.0 if rate <= 120 else 900.0, 0.0, rate)

    inventory = Inventory("test", "", "service", "", "", (), (), (), Path(), "")
    monkeypatch.setattr(conducting, "load", lambda stack: inventory)
    monkeypatch.setattr(conducting, "Deployer", lambda inventory, say: found)
    monkeypatch.setattr(conducting, "perform", found.perform)
    monkeypatch.setattr(conducting, "count_rows", lambda inventory: 1000)
    monkeypatch.setattr(conducting.knee, "probe_with", lambda *_: probe)
    monkeypatch.setattr(conducting, "PAUSE_SECONDS", 0)
    return found


def begin(under: Path, settings: Settings = SETTINGS) -> Folder:
    return conducting.begin(settings, None, "mine", under)


def test_every_run_is_made_once_and_the_levels_come_from_the_knee(world: World, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    assert conducting.conduct(folder)
    document = Folder.open(folder.path).document
    assert world.made == [run["id"] for run in document["runs"]]
    assert len(world.made) == 20
    assert document["state"] == "finished"
    assert 105 <= document["knee"]["rate"] <= 120
    levels = {level["name"]: level for level in document["levels"]}
    assert levels["knee50"]["rate"] == round(document["knee"]["rate"] / 2)
    assert document["rows"] == 1000


def test_a_level_above_the_knee_is_run_and_marked(world: World, tmp_path: Path) -> None:
    folder = begin(tmp_path, replace(SETTINGS, levels=("low", "high")))
    assert conducting.conduct(folder)
    assert {level["name"]: level["saturated"] for level in folder.document["levels"]} == {"low": False, "high": True}
    assert sum("high" in run for run in world.made) == 10


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a mistake of ours")])
def test_an_interrupted_experiment_goes_on_with_the_run_that_was_not_finished(
    world: World, tmp_path: Path, error: BaseException
) -> None:
    folder = begin(tmp_path)
    world.fails = lambda run: error if run.order == 8 else None
    with pytest.raises(type(error)):
        conducting.conduct(folder)
    assert len(world.made) == 7
    probed = len(world.probed)
    again = Folder.open(folder.path)
    assert again.document["state"] == "interrupted"
    world.fails = lambda run: None
    assert conducting.conduct(again)
    assert len(world.made) == len(set(world.made)) == 20
    assert len(world.probed) == probed  # the knee is not looked for twice
    assert again.document["state"] == "finished"


@pytest.mark.parametrize("ends_badly", [False, True])
def test_the_stack_is_left_with_what_serves_and_with_its_own_strategy(
    world: World, tmp_path: Path, ends_badly: bool
) -> None:
    folder = begin(tmp_path)
    if ends_badly:
        world.fails = lambda run: KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            conducting.conduct(folder)
    else:
        conducting.conduct(folder)
    assert world.config["version"] == world.serves == "1.0.0"
    assert world.config["strategy"] == "canary"


def test_a_run_that_could_not_be_made_is_left_for_later(world: World, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    world.fails = lambda run: LoadError("no answer") if run.order in (3, 5, 6) else None
    assert not conducting.conduct(folder)
    assert len(world.made) == 17
    assert folder.document["state"] == "interrupted"
    world.fails = lambda run: None
    assert conducting.conduct(Folder.open(folder.path))
    assert len(world.made) == 20


def test_three_in_a_row_end_it(world: World, tmp_path: Path) -> None:
    world.fails = lambda run: LoadError("no answer") if run.order > 4 else None
    with pytest.raises(DeployError, match="3 runs in a row could not be made, the last one: no answer"):
        conducting.conduct(begin(tmp_path))
    assert len(world.made) == 4


def test_a_load_that_fails_while_the_knee_is_looked_for_is_told_in_one_sentence(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(rate: int, seconds: float) -> Step:
        raise LoadError("after 40 s the load has had no answer")

    monkeypatch.setattr(conducting.knee, "probe_with", lambda *_: probe)
    with pytest.raises(DeployError, match="after 40 s the load has had no answer") as refused:
        conducting.conduct(begin(tmp_path))
    assert refused.value.hint == "put it right, then try again"
    assert world.config["version"] == world.serves


def test_a_disk_that_is_full_ends_it_in_one_sentence_and_the_config_still_asks_for_what_serves(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill(run: Run) -> OSError | None:
        if run.order < 4:
            return None
        monkeypatch.setattr("scripts.experiment.folder.write_json", full)
        return OSError(errno.ENOSPC, "No space left on device")

    world.fails = fill
    with pytest.raises(FolderError, match="/mine cannot be used: No space left on device"):
        conducting.conduct(begin(tmp_path))
    assert len(world.made) == 3
    assert world.config == {"version": world.serves, "strategy": "canary"}


@pytest.mark.parametrize("name", ["../mine", "/srv/mine", "a/b", ".mine", "a" * 300])
def test_a_name_that_leads_elsewhere_is_refused(world: World, tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderError, match="cannot name a folder"):
        conducting.begin(SETTINGS, None, name, tmp_path / "experiments")
    assert not list(tmp_path.iterdir())


def test_a_stack_whose_releases_wait_for_people_is_refused(world: World, tmp_path: Path) -> None:
    world.config["gate"] = "person"
    with pytest.raises(DeployError, match="the stack's `gate` is person: its releases would wait"):
        conducting.conduct(begin(tmp_path))
    assert not world.made
    assert world.config["version"] == "9.8.0"


def test_nothing_is_measured_on_a_stack_that_cannot_be_brought_to_a_version(world: World, tmp_path: Path) -> None:
    world.status = 1
    with pytest.raises(DeployError, match=r"`pulumi up` to 1\.0\.0 failed before anything was measured: last words"):
        conducting.conduct(begin(tmp_path))
    assert not world.made
    assert world.config["version"] == "9.8.0"


def test_an_experiment_that_was_refused_leaves_nothing_to_go_on_with(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripts.cli import experiment

    begin = conducting.begin
    monkeypatch.setattr(conducting, "begin", lambda settings, stack, name: begin(settings, stack, name, tmp_path))
    world.config["gate"] = "person"
    with pytest.raises(DeployError):
        experiment.perform(None, None, SETTINGS, "refused")
    assert not (tmp_path / "refused").exists()


def test_a_second_experiment_on_the_same_stack_is_refused(world: World, tmp_path: Path) -> None:
    folder = begin(tmp_path)
    with alone("test", tmp_path), pytest.raises(FolderError, match="another experiment runs on stack test"):
        conducting.conduct(folder)
    assert not world.made
    assert conducting.conduct(folder)


@dataclass
class Runner:
    """The test runner, as whoever removes rows sees it: told ids, it removes them, unless `stuck` is one of them."""

    gone: list[str] = field(default_factory=list)
    stuck: str = ""
    given: str = "[]"

    def put(self, name: str, content: str) -> None:
        if name == "made.json":
            self.given = content

    def run(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> None:
        ids = json.loads(self.given)
        if self.stuck in ids:
            raise UnreachableError("runner", "it does not answer")
        self.gone += ids

    def leave(self) -> None:
        pass


@pytest.fixture
def runner(world: World, monkeypatch: pytest.MonkeyPatch) -> Runner:
    found = Runner()
    host = Host("runner", Role.TEST_RUNNER, None, "127.0.0.1", "")
    inventory = Inventory("test", "", "service", "", "", (), (), (host,), Path(), "")
    monkeypatch.setattr(conducting, "load", lambda stack: inventory)
    monkeypatch.setattr(rows, "HostPlace", lambda login: found)
    return found


def leave_a_row_each(world: World) -> None:
    """Have every run leave one row, named after its place."""
    make = world.fails

    def made(run: Run) -> BaseException | None:
        world.folder.keep_items([f"row {run.order}"])
        return make(run)

    world.fails = made


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("a mistake of ours")])
def test_what_loads_made_is_removed_when_the_experiment_ends_and_not_before(
    world: World, runner: Runner, tmp_path: Path, error: BaseException | None
) -> None:
    folder = world.folder = begin(tmp_path)
    world.fails = lambda run: error if run.order == 8 else AssertionError() if runner.gone else None
    leave_a_row_each(world)
    if error is None:
        assert conducting.conduct(folder)
    else:
        with pytest.raises(type(error)):
            conducting.conduct(folder)
    assert runner.gone == [f"row {order}" for order in range(1, 9 if error else 21)]
    assert not folder.kept_items()
    assert world.config["version"] == world.serves


def test_rows_that_cannot_be_removed_are_told_of_and_removed_when_it_is_gone_on_with(
    world: World, runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.folder = begin(tmp_path)
    world.fails = lambda run: KeyboardInterrupt() if run.order == 8 else None
    leave_a_row_each(world)
    runner.stuck = "row 5"
    with pytest.raises(KeyboardInterrupt):
        conducting.conduct(folder)
    assert len(folder.kept_items()) == 4  # those before are gone, and forgotten
    told = capsys.readouterr()
    assert f"items that loads made stay in the table, see {folder.path / 'items'}: runner: " in told.out + told.err
    runner.stuck, world.fails = "", lambda run: None
    assert conducting.conduct(folder)
    assert runner.gone == [f"row {order}" for order in range(1, 9)]
    assert not folder.kept_items()
