"""Commands that speak with a release: what they ask the journal, what they say, how they end."""

import dataclasses
import getpass
import json

import pytest
from typer.testing import CliRunner

from scripts.cli import commands, releases
from scripts.inventory import InventoryError, Role
from scripts.journal.store import VERBS, Refused, Store
from scripts.release.journal import Journal, JournalError, JournalRefused
from scripts.ssh import UnreachableError


@pytest.fixture
def store(inventory, tmp_path, monkeypatch):
    """The control host's journal; the commands reach it without SSH."""
    store = Store(tmp_path / "journal.sqlite")

    def ask(journal, verb, document):
        try:
            return VERBS[verb](store, document)
        except Refused as refusal:
            raise JournalRefused(str(refusal), refusal.details) from None

    monkeypatch.setattr(releases, "load", lambda stack=None: inventory)
    monkeypatch.setattr(Journal, "ask", ask)
    monkeypatch.setattr(releases, "whoami", lambda: "ada@desk")
    return store


@pytest.fixture
def running(store):
    """A release in progress."""
    holder = {"who": "root@ci", "purpose": "release r7-2.0.0", "version": "2.0.0", "nonce": "n"}
    token = store.acquire({"holder": holder, "lease_seconds": 20})["token"]
    document = {
        "id": "r7-2.0.0",
        "number": 7,
        "version": "2.0.0",
        "sha256": "ab",
        "slot": "green",
        "who": "root@ci",
        "previous": {"version": "1.0.0"},
    }
    store.begin({"release": document, "token": token})
    return store


def invoke(*arguments, typed=None):
    return CliRunner().invoke(commands.app, list(arguments), input=typed)


def signals(store):
    return [(one["kind"], one["who"], one["reason"]) for one in store.history({})["releases"][0]["signals"]]


def test_confirm_lets_a_waiting_release_go_on(running):
    running.waiting({"id": "r7-2.0.0", "gate": "person"})
    result = invoke("confirm", "--reason", "looks good")
    assert result.exit_code == 0, result.output
    assert result.output == "r7-2.0.0 is confirmed and goes on\n"
    assert signals(running) == [("confirm", "ada@desk", "looks good")]


def test_confirm_before_the_gate_is_one_sentence_and_ends_with_1(running):
    result = invoke("confirm")
    assert result.exit_code == 1
    assert result.stderr == "evenkeel: release r7-2.0.0 does not wait for an answer: it has just begun\n"


def test_reject_turns_a_waiting_release_down_and_needs_a_reason(running):
    running.waiting({"id": "r7-2.0.0", "gate": "person"})
    assert invoke("reject").exit_code == 2
    assert invoke("reject", "--reason", " ").exit_code == 2
    assert signals(running) == []
    assert invoke("reject", "--reason", "wrong colour").exit_code == 0
    assert signals(running) == [("reject", "ada@desk", "wrong colour")]


def test_abort_is_accepted_in_any_stage(running):
    result = invoke("abort")
    assert result.exit_code == 0 and "r7-2.0.0 is told to abort" in result.output
    assert signals(running) == [("abort", "ada@desk", "")]


@pytest.mark.parametrize("command", [["confirm"], ["reject", "--reason", "x"], ["abort"]])
def test_without_a_release_there_is_nothing_to_tell(store, command):
    result = invoke(*command)
    assert (result.exit_code, result.stderr) == (1, "evenkeel: no release is in progress\n")


def test_hold_and_unhold_say_who_and_why(store):
    assert invoke("hold", "sale day").output == "releases are on hold by ada@desk: sale day\n"
    assert invoke("hold").exit_code == 2 and invoke("hold", "").exit_code == 2
    assert invoke("unhold").output == "the hold of ada@desk is lifted (sale day)\n"
    assert invoke("unhold").output == "there was no hold\n"


def test_lock_show_names_holder_version_age_and_lease(running):
    said = invoke("lock", "show").output
    assert said.startswith("the lock is held by root@ci since ")
    for words in ("for release r7-2.0.0 (2.0.0)", "renewed 0.", "token 1; its lease ends in "):
        assert words in said
    assert json.loads(invoke("lock", "show", "--json").output)["who"] == "root@ci"


def test_lock_show_says_when_nobody_holds_it_and_when_the_lease_has_expired(store):
    assert invoke("lock", "show").output == "nobody holds the lock\n"
    lock = {"who": "a", "purpose": "b", "version": None, "since": 0, "renewed": 10, "expires": 30, "token": 3}
    assert releases.lock_words(lock | {"age_seconds": 95.0}, 95.0) == (
        "the lock is held by a since 00:00:00 UTC (for 1 min 35 s) for b, renewed 1 min 25 s ago, token 3; "
        "its lease has expired 1 min 5 s ago"
    )


def test_lock_break_asks_first_and_is_audited(running):
    assert invoke("lock", "break").exit_code == 2
    refused = invoke("lock", "break", "--reason", "gone", typed="n\n")
    assert refused.exit_code == 1 and "held by root@ci" in refused.output
    assert running.read()["lock"] is not None
    assert invoke("lock", "break", "--reason", "gone", typed="y\n").exit_code == 0
    event = running.events({})["events"][-1]
    assert (event["kind"], event["data"]["who"], event["data"]["reason"]) == ("lock-broken", "ada@desk", "gone")


def test_lock_break_with_yes_does_not_ask(running):
    result = invoke("lock", "break", "--reason", "gone", "--yes")
    assert result.output == "the lock of root@ci for release r7-2.0.0 is broken\n"
    assert invoke("lock", "break", "--reason", "gone", "--yes").output == "nobody holds the lock\n"


def test_history_lists_releases_with_how_they_ended(running):
    assert "in-progress" in invoke("history").output
    running.finish({"id": "r7-2.0.0", "state": "rolled-back", "reason": "smoke-1: [status] 500"})
    lines = invoke("history").output.splitlines()
    assert lines[0].split() == ["id", "version", "from", "state", "began", "duration", "reason"]
    for words in ("r7-2.0.0", "1.0.0", "rolled-back", "0.", "smoke-1: [status] 500"):
        assert words in lines[1]


def test_history_of_one_release_shows_its_stages_and_what_people_said(running):
    verdict = {"stage": "smoke-1", "state": "failed", "ok": False, "reason": "status 500", "seconds": 2.5}
    running.verdict({"id": "r7-2.0.0", "verdict": verdict})
    running.signal({"kind": "abort", "who": "ada@desk", "reason": "enough"})
    text = invoke("history", "r7-2.0.0").output
    for words in (
        "into slot green, by root@ci",
        "in progress",
        "abort by ada@desk at ",
        "enough",
        "2.5 s",
        "status 500",
    ):
        assert words in text
    assert "smoke-1" in text and "failed" in text


def test_history_json_is_what_the_journal_says(running):
    assert json.loads(invoke("history", "--json").output) == running.history({})


def test_history_of_nothing_and_of_an_unknown_release_is_a_sentence(store):
    assert invoke("history").output == "no release yet\n"
    result = invoke("history", "r9")
    assert (result.exit_code, result.stderr) == (1, "evenkeel: there is no release r9\n")


COMMANDS = (
    ["confirm"],
    ["reject", "--reason", "x"],
    ["abort"],
    ["hold", "x"],
    ["unhold"],
    ["lock", "show"],
    ["lock", "break", "--reason", "x", "--yes"],
    ["history"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_control_host_that_does_not_answer_is_one_sentence(store, monkeypatch, capsys, command):
    def unreachable(*_):
        raise UnreachableError("control", "no SSH at 10.77.0.71: connection refused")

    monkeypatch.setattr(Journal, "ask", unreachable)
    monkeypatch.setattr("sys.argv", ["evenkeel", *command])
    with pytest.raises(SystemExit) as ended:
        commands.run()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "evenkeel: control: no SSH at 10.77.0.71: connection refused; "
        "the journal is there; try `evenkeel start control`\n"
    )


def test_a_journal_that_fails_is_one_sentence_with_what_to_do(store, monkeypatch):
    def failing(*_):
        raise JournalError("the control host does not have the journal's program", "run `pulumi up`")

    monkeypatch.setattr(Journal, "ask", failing)
    result = invoke("history")
    assert result.exit_code == 1
    assert result.stderr == (
        "evenkeel: the journal failed: the control host does not have the journal's program; run `pulumi up`\n"
    )


def test_a_control_host_without_the_program_is_one_sentence(login):
    with pytest.raises(JournalError, match=r"^the control host does not have the journal's program$") as error:
        Journal(login).read()
    assert error.value.hint == "run `pulumi up`, which installs it"


def test_a_stack_without_a_control_host_is_one_sentence(store, inventory, monkeypatch):
    hosts = tuple(host for host in inventory.hosts if host.role is not Role.CONTROL)
    monkeypatch.setattr(releases, "load", lambda stack=None: dataclasses.replace(inventory, hosts=hosts))
    result = invoke("abort")
    assert isinstance(result.exception, InventoryError)
    assert str(result.exception) == "stack dev has no control host, so no journal"


def test_who_is_user_at_host_even_for_a_user_without_a_name(monkeypatch):
    assert "@" in releases.whoami()

    def nameless():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert releases.whoami().startswith("unknown@")
