"""Processes share connections over a master; whatever becomes of it, they get on by themselves."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import ssh
from scripts.ssh import master, sharing

ECHO = "while read -r line; do echo $$ $line; done"


@pytest.fixture(autouse=True)
def folder(login: ssh.Login, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the master for the test's deploy key has its socket; short, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="ek") as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        monkeypatch.setattr(sharing, "_gone", set())
        yield sharing.folder_for(login.private_key)
        ssh.end_sharing(login.private_key)
        wait_until(lambda: not sharing.folder_for(login.private_key).exists())


def wait_until(is_so) -> None:
    for _ in range(500):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to that within ten seconds")


def pid_of_master(folder: Path) -> int:
    found = subprocess.run(["pgrep", "-f", f"scripts.ssh.master {folder}$"], capture_output=True, text=True, check=True)
    return int(found.stdout)


def test_processes_log_in_once(login, sshd):
    program = (
        "import pickle, sys\n"
        "from scripts import ssh\n"
        "print(ssh.shared(pickle.loads(sys.stdin.buffer.read())).run(['echo', 'here']).stdout)"
    )
    for _ in range(2):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, input=pickle.dumps(login), capture_output=True, cwd=sharing.ROOT, check=True)
        assert done.stdout.split() == [b"here"]
    assert ssh.shared(login).run("cat", b"\x00\xff" * 100_000).stdout.startswith("\x00")
    assert len(sshd.transports) == 1


def test_a_program_that_listens_is_kept_for_the_next_and_never_has_two_who_ask(login):
    first = ssh.shared(login).converse(ECHO)
    program = first.ask("a", 5).split()[0]
    second = ssh.shared(login).converse(ECHO)
    assert second.ask("b", 5).split() != [program, "b"]
    second.close()
    first.close()
    asked = []
    for number in range(3):
        dialogue = ssh.shared(login).converse(ECHO)
        asked.append(dialogue.ask(str(number), 5).split())
        dialogue.close()
        time.sleep(0.2)  # it hears of the end a moment later
    assert len({program for program, _ in asked}) == 1
    assert [line for _, line in asked] == ["0", "1", "2"]


def test_a_program_that_did_not_answer_in_time_is_not_given_to_others(login):
    program = "read -r line; echo $$; read -r line; sleep 1; echo late; read -r line; echo later"
    dialogue = ssh.shared(login).converse(program)
    dialogue.ask("a", 5)
    with pytest.raises(ssh.DeadlineError, match=r"lb-a: no answer after 0\.2 s"):
        dialogue.ask("b", 0.2)
    dialogue.close()
    assert ssh.shared(login).converse(program).ask("c", 5).isdigit()


def test_errors_are_those_of_the_connection_itself(login, other_key):
    session = ssh.shared(login)
    with pytest.raises(ssh.CommandError, match=r"lb-a: «.*» ended with status 4: no such thing") as failed:
        session.run("echo no such thing >&2; exit 4")
    assert failed.value.result == ssh.Result("", "no such thing\n", 4)
    assert session.run("exit 4", check=False).exit_status == 4
    with pytest.raises(ssh.DeadlineError, match=r"lb-a: no end after 0\.3 s"):
        session.run("sleep 5", timeout=0.3)
    with pytest.raises(ssh.HostKeyError, match="another host key") as wrong:
        ssh.shared(ssh.Login(**{**vars(login), "host_key": other_key[1]}))
    assert "`pulumi up`" in wrong.value.hint


def test_a_connection_that_broke_meanwhile_is_opened_anew(login, sshd):
    session = ssh.shared(login)
    session.run("true")
    sshd.drop()
    with pytest.raises(ssh.UnreachableError):
        session.run("true")
    assert ssh.shared(login).run("echo again").stdout == "again\n"
    sshd.drop()
    assert ssh.shared(login).run("echo and again").stdout == "and again\n"  # nobody had noticed this time


def test_when_the_master_is_killed_who_asks_is_told_and_the_next_one_starts_another(login, folder):
    session = ssh.shared(login)
    dialogue = session.converse(ECHO)
    first = pid_of_master(folder)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ssh.UnreachableError, match="lb-a: who kept the connection has ended"):
        dialogue.ask("a", 5)
    with pytest.raises(ssh.UnreachableError, match="lb-a: who kept the connection has ended"):
        session.run("true")
    assert ssh.shared(login).run("echo anew").stdout == "anew\n"
    assert pid_of_master(folder) != first


def test_a_folder_that_others_may_enter_is_not_trusted(login, folder):
    folder.mkdir()
    folder.chmod(0o755)
    session = ssh.shared(login)
    assert type(session) is ssh.Session
    assert session.run("echo alone").stdout == "alone\n"
    folder.rmdir()


def test_where_no_master_can_be_started_the_connection_is_ones_own_and_nobody_waits_twice(login, monkeypatch):
    started = []
    monkeypatch.setattr(sharing, "start", lambda folder: started.append(folder) or sharing.knock(folder))
    for _ in range(2):
        assert type(ssh.shared(login)) is ssh.Session
    assert len(started) == 1


def test_of_two_that_start_at_once_one_stays(login, folder):
    folder.mkdir(mode=0o700)
    command = [sys.executable, "-m", "scripts.ssh.master", str(folder)]
    both = [subprocess.Popen(command, cwd=sharing.ROOT) for _ in range(2)]
    wait_until(lambda: any(one.poll() is not None for one in both))
    assert sorted(str(one.poll()) for one in both) == ["0", "None"]
    assert ssh.shared(login).run("echo one").stdout == "one\n"
    ssh.end_sharing(login.private_key)
    wait_until(lambda: all(one.poll() == 0 for one in both))


def test_it_ends_when_told_but_not_before_its_last_client_is_done(login, folder):
    done = []
    worker = threading.Thread(target=lambda: done.append(ssh.shared(login).run("sleep 1.5; echo whole").stdout))
    ssh.shared(login).run("true")
    worker.start()
    time.sleep(0.5)
    ssh.end_sharing(login.private_key)
    worker.join()
    assert done == ["whole\n"]
    wait_until(lambda: not folder.exists())


def test_it_ends_when_it_is_left_alone(monkeypatch):
    monkeypatch.setattr(master, "IDLE_SECONDS", 0.3)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        began = time.monotonic()
        master.Master(listener).serve()
    assert 0.3 < time.monotonic() - began < 5


def test_what_it_cannot_understand_ends_the_connection_and_nothing_else(login, folder):
    ssh.shared(login).run("true")
    with sharing.knock(folder) as stranger:
        stranger.send(("do", "this"))
        assert stranger.poll(5)
        with pytest.raises(EOFError):
            stranger.recv()
    assert ssh.shared(login).run("echo well").stdout == "well\n"
