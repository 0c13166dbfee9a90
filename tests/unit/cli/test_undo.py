"""`evenkeel undo`: what it shows and asks, what it does not do without a yes, how it ends."""

import pytest
from typer.testing import CliRunner

from scripts.cli import commands, undo
from scripts.release.documents import Version
from scripts.release.errors import RefusedError, StageFailedError
from scripts.release.stages.outcome import Outcome
from scripts.release.undo_alone import Move
from scripts.ssh import UnreachableError

from .routed import LIVE, NOW, journal, record

OLD = {"version": "0.9.0", "slot": "green", "sha256": "cd"}
RUNNING = {site: {"green": Version("0.9.0", "cd", "green"), "blue": Version("1.0.0", "ab", "blue")} for site in "abcd"}
DONE = Outcome("succeeded", "0.9.0 serves from every site", "0.9.0 from a, b, c and d", "Set `version: 0.9.0`.")


@pytest.fixture
def world(inventory, monkeypatch):
    """A stack with 0.9.0 warm beside 1.0.0; what is performed is kept, and ends as `ending` says."""
    older = record(id="r0", number=0, live=OLD, ended=NOW - 900, artifact="x", state="succeeded")
    newer = record(id="r1", number=1, live=LIVE, ended=NOW - 500, previous=OLD, artifact="y", state="succeeded")
    world = {"performed": [], "ending": DONE, "running": RUNNING, "known": journal(releases=[newer, older])}

    def perform(stack, document):
        world["performed"].append(document)
        return world["ending"]

    monkeypatch.setattr(undo, "load", lambda stack=None: inventory)
    monkeypatch.setattr(undo, "ask", lambda stack, question: world["known"])
    monkeypatch.setattr(undo.AppServers, "slots", lambda self, sites: {})
    monkeypatch.setattr(undo.way, "running_on", lambda slots: world["running"])
    monkeypatch.setattr(undo.way, "perform", perform)
    return world


def invoke(*arguments, typed=None):
    return CliRunner().invoke(commands.app, ["undo", *arguments], input=typed)


def test_it_lists_what_is_warm_and_asks(world):
    result = invoke(typed="y\n")
    assert result.exit_code == 0, result.output
    assert "0.9.0    green  a b c d  r1, " in result.output and "live now" in result.output
    assert "Move all users from 1.0.0 back to 0.9.0? [y/N]" in result.output
    assert "0.9.0 serves from every site" in result.output
    assert [document["version"] for document in world["performed"]] == ["0.9.0"]


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_done(world, typed):
    assert invoke(typed=typed).exit_code == 1
    assert world["performed"] == []


@pytest.mark.parametrize("arguments", [["--yes"], ["0.9.0"], ["0.9.0", "--yes"]])
def test_a_version_or_yes_is_answer_enough(world, arguments):
    assert invoke(*arguments).exit_code == 0
    assert len(world["performed"]) == 1


def test_the_wait_for_the_lock_and_all_sites_go_into_the_plan(world):
    assert invoke("--yes", "--wait", "60").exit_code == 0
    plan = world["performed"][0]["plan"]
    assert (plan["lock_wait_seconds"], plan["groups"], plan["gate"]) == (60, [["a", "b", "c", "d"]], "none")
    assert invoke("--wait", "-1").exit_code == 2


def test_why_there_is_no_way_is_one_sentence_and_ends_with_1(world):
    result = invoke("3.0.0")
    assert (result.exit_code, result.output) == (
        1, "evenkeel: 3.0.0 has never served here; set it in the config and run `pulumi up`, which installs it\n"
    )  # fmt: skip
    world["running"] = {}
    assert invoke("--yes").exit_code == 1 and world["performed"] == []


def test_a_release_in_progress_is_for_abort_not_for_undo(world):
    world["running"], world["known"]["current"] = {}, record()
    assert invoke().output == "evenkeel: release r2-2.0.0 is in progress: `evenkeel abort` takes users back\n"


def test_an_undo_that_was_refused_is_one_sentence(world):
    world["ending"] = Outcome("refused", "the lock is held by eve", "1.0.0", "")
    result = invoke("--yes")
    assert result.exit_code == 1 and result.stderr == "evenkeel: the lock is held by eve\n"


@pytest.mark.parametrize("state", ["partial", "rolled-back", "held", "failed"])
def test_anything_but_a_whole_success_ends_with_1(world, state):
    world["ending"] = Outcome(state, "why", "what serves", "what to do")
    result = invoke("--yes")
    assert result.exit_code == 1 and "serving: what serves. what to do" in result.stderr


def test_interrupted_it_says_what_becomes_of_users(world, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(undo.way, "perform", interrupt)
    result = invoke("--yes")
    assert result.exit_code == 130 and "timers take them back in `deadmanSeconds`" in result.stderr


def test_without_the_control_host_it_says_which_way_is_left(world, monkeypatch, capsys):
    def away(*_):
        raise UnreachableError("control", "no SSH", "try `evenkeel start control`")

    monkeypatch.setattr(undo, "ask", away)
    monkeypatch.setattr("sys.argv", ["evenkeel", "undo"])
    with pytest.raises(SystemExit) as ended:
        commands.run()
    said = capsys.readouterr().err
    assert ended.value.code == 1 and len(said.splitlines()) == 1
    assert said.endswith("; `evenkeel undo --without-journal` moves users all the same\n")


@pytest.fixture
def alone(world, monkeypatch):
    """What the load balancers know; moves are kept."""
    moved = []
    monkeypatch.setattr(undo, "ask", None)  # never asked
    monkeypatch.setattr(
        undo.undo_alone,
        "plan",
        lambda *_: Move(Version("1.0.0", "ab", "blue"), Version("0.9.0", "cd", "green"), (1, 16)),
    )
    monkeypatch.setattr(undo.undo_alone, "go", lambda _, move: moved.append(move) or "users are on 0.9.0")
    return moved


def test_without_the_journal_it_warns_asks_and_says_that_nothing_is_recorded(alone):
    result = invoke("--without-journal", typed="y\n")
    assert result.exit_code == 0 and len(alone) == 1
    assert "`evenkeel undo 0.9.0` records it: run that before any `pulumi up`" in result.stderr
    assert result.stdout.splitlines()[-1].endswith("users are on 0.9.0; not recorded in the journal")


def test_without_the_journal_even_a_named_version_is_asked_about(alone):
    assert invoke("0.9.0", "--without-journal", typed="n\n").exit_code == 1
    assert alone == []
    assert invoke("0.9.0", "--without-journal", "--yes").exit_code == 0


@pytest.mark.parametrize("error", [RefusedError("site c: down"), StageFailedError("lb-d did not follow")])
def test_without_the_journal_a_failure_is_one_sentence(alone, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(undo.undo_alone, "go", fail)
    result = invoke("--without-journal", "--yes")
    assert result.exit_code == 1 and result.stderr.splitlines()[-1] == f"evenkeel: {error}"
