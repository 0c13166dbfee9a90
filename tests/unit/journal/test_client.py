"""The deployer's client: every verb through the real program, run here instead of over SSH."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.release.journal import LISTEN, Journal, JournalError, JournalRefused, read_answer
from scripts.release.listening import Listening
from scripts.ssh import Dialogue, Login, Result, Session, UnreachableError

from .conftest import document, verdict

ROOT = Path(__file__).resolve().parents[3]
HOLDER = {"who": "root@one", "purpose": "release r7", "version": "2.0.0", "nonce": "n1"}


class Local(Session):
    """A session that runs the control host's commands on this machine, on a journal of its own."""

    def __init__(self, path):
        self.login = Login("control", "", "", "")
        self.path = path
        self.commands = []

    def run(self, command, stdin=b"", *, timeout=60.0, check=True):
        self.commands.append(command)
        here = command.replace("/opt/evenkeel/programs", str(ROOT)).replace("python3", sys.executable)
        done = subprocess.run(
            ["/bin/sh", "-c", here],
            env=os.environ | {"EVENKEEL_JOURNAL": str(self.path)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.stdout, done.stderr, done.returncode)


class Lines(Dialogue):
    """A program of this machine that is asked line by line."""

    def __init__(self, command, path):
        here = command.replace("/opt/evenkeel/programs", str(ROOT)).replace("python3", sys.executable)
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", here],
            env=os.environ | {"EVENKEEL_JOURNAL": str(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line, timeout):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise UnreachableError("control", "the program that was asked has ended") from error
        answer = self.process.stdout.readline()
        if not answer:
            raise UnreachableError("control", "the program that was asked has ended")
        return answer

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


@pytest.fixture
def client(tmp_path):
    return Journal(Local(tmp_path / "journal.sqlite"))


def test_a_whole_release_goes_through_the_client(client):
    token = client.acquire(HOLDER, 20)
    assert client.begin(document(), token)["state"] == "in-progress"
    client.verdict("r7-2.0.0", verdict("install-1"), began=1.0)
    client.waiting("r7-2.0.0", "person", until=2e9)
    assert client.signal("confirm", "root@ops", "looks good") == "r7-2.0.0"
    heard = client.beat(token, 20, "r7-2.0.0", "gate")
    assert heard["signals"][0]["kind"] == "confirm" and heard["hold"] is None and heard["lock"]["token"] == token
    client.verdict("r7-2.0.0", verdict("gate"))
    live = {"version": "2.0.0", "slot": "green", "sha256": "ab"}
    ended = client.finish("r7-2.0.0", "succeeded", "all sites", live, [verdict("settle")])
    assert [stage["stage"] for stage in ended["stages"]] == ["install-1", "gate", "settle"]
    assert client.release(token) is True
    state = client.read()
    assert state["current"] is None and state["lock"] is None and state["live"] == live
    assert client.history(release="r7-2.0.0") == client.history(1) == state["releases"]
    kinds = [event["kind"] for event in client.events()]
    assert kinds[:3] == ["lock-taken", "started", "stage"] and kinds[-1] == "lock-released"


def test_holds_requests_and_breaking_go_through_the_client(client):
    assert client.hold("root@ops", "sale day")["reason"] == "sale day"
    assert client.unhold("root@ops")["who"] == "root@ops" and client.unhold("root@ops") is None
    number = client.request("2.0.0", "ci", "d1")
    assert client.take("one")["number"] == number
    client.answer(number, "succeeded")
    assert client.take("one") is None
    client.acquire(HOLDER, 20)
    assert client.break_lock("root@ops", "gone")["who"] == "root@one"
    assert client.break_lock("root@ops", "gone") is None
    assert client.note("notified", "told") == len(client.events())


@pytest.fixture
def listening(tmp_path):
    """A client with a program that listens, its connection, and the program."""
    control = Local(tmp_path / "journal.sqlite")
    lines = []
    control.converse = lambda command: lines.append(Lines(command, control.path)) or lines[-1]
    yield Journal(control, listening=Listening(LISTEN)), control, lines
    for started in lines:
        started.process.kill()
        started.close()


def test_one_program_answers_all_that_may_be_asked_twice(listening):
    client, control, lines = listening
    token = client.acquire(HOLDER, 20)
    client.begin(document(), token)
    for _ in range(3):
        assert client.beat(token, 20, "r7-2.0.0", "install-1")["lock"]["token"] == token
    client.verdict("r7-2.0.0", verdict("install-1"))
    assert [stage["stage"] for stage in client.read()["releases"][0]["stages"]] == ["install-1"]
    assert [command.split()[-1] for command in control.commands] == ["acquire", "begin"]
    assert len(lines) == 1
    with pytest.raises(JournalRefused, match="token"):
        client.beat(token + 1, 20)
    with pytest.raises(JournalError, match=r"^lease_seconds"):
        client.beat(token, -1)


def test_where_the_program_was_killed_another_answers(listening):
    client, control, lines = listening
    token = client.acquire(HOLDER, 20)
    client.beat(token, 20)
    lines[0].process.kill()
    lines[0].process.wait()
    assert client.beat(token, 20)["lock"]["token"] == token
    assert [command.split()[-1] for command in control.commands] == ["acquire", "beat"]
    client.beat(token, 20)
    assert len(lines) == 2


def test_a_refusal_is_raised_with_its_sentence_and_details(client):
    client.acquire(HOLDER, 20)
    with pytest.raises(
        JournalRefused, match=r"^the lock is held by root@one since .* for release r7 \(2.0.0\), ren"
    ) as no:
        client.acquire(HOLDER | {"nonce": "n2"}, 20)
    assert no.value.details["lock"]["token"] == 1
    assert isinstance(no.value, JournalError)


def test_misuse_is_an_error_in_the_program_s_words(client):
    with pytest.raises(JournalError, match=r"^kind is 'stop'; it must be one of abort, confirm, reject$") as error:
        client.signal("stop", "root@ops")
    assert not isinstance(error.value, JournalRefused)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (Result("", "/usr/bin/python3: No module named scripts.journal", 1), "does not have the journal's program"),
        (Result("", "sh: 1: cd: can't cd to /opt/evenkeel/programs", 2), "does not have the journal's program"),
        (Result("hello", "", 0), "answered with something that is no JSON object"),
        (Result("[]", "", 3), "ended with status 3 and no word"),
        (Result("", "Traceback\nOSError: broken", 1), "^OSError: broken$"),
        (Result("", "", 137), "ended with status 137 and no word"),
    ],
)
def test_whatever_goes_wrong_there_is_one_sentence(result, says):
    with pytest.raises(JournalError, match=says):
        read_answer(result)


def test_a_broken_connection_is_let_through(client, monkeypatch):
    def broken(*_, **__):
        raise UnreachableError("control", "the connection broke")

    monkeypatch.setattr(Local, "run", broken)
    with pytest.raises(UnreachableError):
        client.read()
