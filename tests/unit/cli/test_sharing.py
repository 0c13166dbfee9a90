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
from scripts.ssh import finding, kept, master, sharing

ECHO = "while read -r line; do echo $$ $line; done"


@pytest.fixture(autouse=True)
def folder(login: ssh.Login, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the master for the test's deploy key has its socket; short, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="ek") as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        monkeypatch.setattr(finding, "_given_up", set())
        yield finding.folder_for(login.private_key)
        ssh.end_sharing(login.private_key)
        wait_until(lambda: not finding.folder_for(login.private_key).exists())


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
        "print(ssh.SharedSession(pickle.loads(sys.stdin.buffer.read())).run(['echo', 'here']).stdout)"
    )
    for _ in range(2):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, input=pickle.dumps(login), capture_output=True, cwd=finding.ROOT, check=True)
        assert done.stdout.split() == [b"here"]
    assert ssh.SharedSession(login).run("cat", b"\x00\xff" * 100_000).stdout.startswith("\x00")
    assert len(sshd.transports) == 1


def test_a_program_that_listens_is_kept_for_the_next_and_never_has_two_who_ask(login):
    first = ssh.SharedSession(login).converse(ECHO)
    program = first.ask("a", 5).split()[0]
    second = ssh.SharedSession(login).converse(ECHO)
    assert second.ask("b", 5).split() != [program, "b"]
    second.close()
    first.close()
    seen = {program}

    def is_known() -> bool:
        dialogue = ssh.SharedSession(login).converse(ECHO)
        program, line = dialogue.ask("c", 5).split()
        dialogue.close()
        assert line == "c"
        was_seen = program in seen
        seen.add(program)
        return was_seen

    wait_until(is_known)  # the master hears of a client's end a moment later


def test_a_program_that_did_not_answer_in_time_is_not_given_to_others(login):
    program = "read -r line; echo $$; read -r line; sleep 1; echo late; read -r line; echo later"
    dialogue = ssh.SharedSession(login).converse(program)
    dialogue.ask("a", 5)
    with pytest.raises(ssh.DeadlineError, match=r"lb-a: no answer after 0\.2 s"):
        dialogue.ask("b", 0.2)
    dialogue.close()
    assert ssh.SharedSession(login).converse(program).ask("c", 5).isdigit()


def test_errors_are_those_of_the_connection_itself(login, other_key):
    session = ssh.SharedSession(login)
    with pytest.raises(ssh.CommandError, match=r"lb-a: «.*» ended with status 4: no such thing") as failed:
        session.run("echo no such thing >&2; exit 4")
    assert failed.value.result == ssh.Result("", "no such thing\n", 4)
    assert session.run("exit 4", check=False).exit_status == 4
    with pytest.raises(ssh.DeadlineError, match=r"lb-a: no end after 0\.3 s"):
        session.run("sleep 5", timeout=0.3)
    with pytest.raises(ssh.HostKeyError, match="another host key") as wrong:
        ssh.SharedSession(ssh.Login(**{**vars(login), "host_key": other_key[1]}))
    assert "`pulumi up`" in wrong.value.hint


def test_a_connection_that_broke_meanwhile_is_opened_anew(login, sshd):
    session = ssh.SharedSession(login)
    session.run("true")
    sshd.drop()
    with pytest.raises(ssh.UnreachableError):
        session.run("true")
    assert ssh.SharedSession(login).run("echo again").stdout == "again\n"
    sshd.drop()
    assert ssh.SharedSession(login).run("echo and again").stdout == "and again\n"  # nobody had noticed this time


def test_a_program_whose_client_died_before_the_answer_is_not_given_to_others(login):
    program = "read -r line; echo $$; read -r line; sleep 1.5; echo late; while read -r line; do echo $$; done"
    dialogue = ssh.SharedSession(login).converse(program)
    first = dialogue.ask("a", 5)
    dialogue._master.send(("ask", "b", 0.5))
    dialogue.close()
    time.sleep(2)  # the answer has come too late, and there was nobody to tell
    assert ssh.SharedSession(login).converse(program).ask("c", 5) != first


def test_when_the_master_is_killed_nothing_is_asked_twice_and_the_next_thing_goes_over_another(login, folder):
    session = ssh.SharedSession(login)
    dialogue = session.converse(ECHO)
    first = pid_of_master(folder)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ssh.UnreachableError, match="lb-a: who kept the connection has ended"):
        dialogue.ask("a", 5)
    assert session.run("echo anew").stdout == "anew\n"
    assert session.converse(ECHO).ask("b", 5).endswith("b")
    assert session.is_shared
    assert pid_of_master(folder) != first


def test_a_master_that_hangs_is_given_up(login, folder, monkeypatch):
    monkeypatch.setattr(sharing, "HEARD_SECONDS", 0.5)
    ssh.SharedSession(login)
    hanging = pid_of_master(folder)
    os.kill(hanging, signal.SIGSTOP)
    try:
        for _ in range(2):
            session = ssh.SharedSession(login)
            assert session.run("echo alone").stdout == "alone\n"
            assert session.converse(ECHO).ask("a", 5).endswith("a")
            assert not session.is_shared
            monkeypatch.setattr(finding, "knock", None)  # nobody waits for it twice
    finally:
        os.kill(hanging, signal.SIGCONT)


def test_a_stage_that_is_killed_takes_nothing_with_it(login, folder):
    program = (
        "import pickle, sys\n"
        "from scripts import ssh\n"
        "session = ssh.SharedSession(pickle.loads(sys.stdin.buffer.read()))\n"
        "print('in', flush=True)\n"
        "session.run('sleep 30')"
    )
    command = [sys.executable, "-c", program]
    stage = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=finding.ROOT, start_new_session=True
    )
    stage.stdin.write(pickle.dumps(login))
    stage.stdin.close()
    assert stage.stdout.readline() == b"in\n"
    first = pid_of_master(folder)
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    assert ssh.SharedSession(login).run("echo next").stdout == "next\n"
    assert pid_of_master(folder) == first
    os.kill(first, signal.SIGKILL)  # it would wait for the command's end
    folder.joinpath(finding.SOCKET).unlink()
    folder.rmdir()


def test_the_master_does_not_know_the_stacks_passphrase(login, folder, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
    ssh.SharedSession(login)
    environment = Path(f"/proc/{pid_of_master(folder)}/environ").read_bytes()
    assert b"XDG_RUNTIME_DIR=" in environment
    assert b"PULUMI" not in environment


def test_a_folder_that_others_may_enter_or_lead_elsewhere_is_not_trusted(login, folder, tmp_path, monkeypatch):
    folder.mkdir()
    folder.chmod(0o755)
    session = ssh.SharedSession(login)
    assert not session.is_shared
    assert session.run("echo alone").stdout == "alone\n"
    folder.rmdir()
    monkeypatch.setattr(finding, "_given_up", set())
    tmp_path.chmod(0o700)
    folder.symlink_to(tmp_path)
    assert not ssh.SharedSession(login).is_shared
    folder.unlink()


def test_another_user_at_the_socket_is_not_trusted(monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        finding.require_own_peer(ours)
        monkeypatch.setattr(finding.os, "geteuid", lambda: 12_345)
        with pytest.raises(finding.NoMasterError):
            finding.require_own_peer(ours)


def test_other_programs_have_another_master(tmp_path, monkeypatch):
    part = tmp_path / "scripts" / "ssh"
    part.mkdir(parents=True)
    monkeypatch.setattr(finding, "ROOT", tmp_path)
    folders = set()
    for text in ("one = 1", "one = 10"):
        (part / "one.py").write_text(text)
        finding.code.cache_clear()
        folders |= {finding.folder_for("key"), finding.folder_for("another key")}
    finding.code.cache_clear()
    assert len(folders) == 4


def test_where_no_master_can_be_started_the_connection_is_ones_own_and_nobody_waits_twice(login, monkeypatch):
    started = []
    monkeypatch.setattr(finding, "start", lambda folder: started.append(folder) or finding.knock(folder))
    for _ in range(2):
        assert not ssh.SharedSession(login).is_shared
    assert len(started) == 1


def test_what_one_meets_does_not_end_what_others_are_at(login, monkeypatch):
    closed = []

    class Wire(ssh.Session):
        def __init__(self, login: ssh.Login, connect_timeout: float) -> None:
            self.login = login
            self.well = True

        @property
        def is_open(self) -> bool:
            return self.well

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(kept, "Session", Wire)
    host = kept.Kept(login)
    with host.use(1) as first:
        with pytest.raises(ssh.UnreachableError), host.use(1):
            raise ssh.UnreachableError("lb-a", "a command was killed")
        with host.use(1) as again:
            assert again is first
            first.well = False
        with host.use(1) as second:
            assert second is not first  # nobody else gets the one that broke
        assert not closed
    assert closed == [first]


def test_of_two_that_start_at_once_one_stays(login, folder):
    folder.mkdir(mode=0o700)
    command = [sys.executable, "-m", "scripts.ssh.master", str(folder)]
    both = [subprocess.Popen(command, cwd=finding.ROOT) for _ in range(2)]
    wait_until(lambda: any(one.poll() is not None for one in both))
    assert sorted(str(one.poll()) for one in both) == ["0", "None"]
    assert ssh.SharedSession(login).run("echo one").stdout == "one\n"
    ssh.end_sharing(login.private_key)
    wait_until(lambda: all(one.poll() == 0 for one in both))


def test_it_ends_when_told_but_not_before_its_last_client_is_done(login, folder):
    done = []
    worker = threading.Thread(target=lambda: done.append(ssh.SharedSession(login).run("sleep 1.5; echo whole").stdout))
    ssh.SharedSession(login).run("true")
    worker.start()
    time.sleep(0.5)
    ssh.end_sharing(login.private_key)
    worker.join()
    assert done == ["whole\n"]
    wait_until(lambda: not folder.exists())


def test_who_comes_after_it_was_told_to_end_keeps_it(login, folder):
    ssh.SharedSession(login)
    first = pid_of_master(folder)
    dialogue = ssh.SharedSession(login).converse(ECHO)
    ssh.end_sharing(login.private_key)
    session = ssh.SharedSession(login)
    dialogue.close()
    time.sleep(1)
    assert session.run("echo on").stdout == "on\n"
    assert pid_of_master(folder) == first


def test_it_ends_when_it_is_left_alone(monkeypatch):
    monkeypatch.setattr(master, "IDLE_SECONDS", 0.3)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        began = time.monotonic()
        master.Master(listener).serve()
    assert 0.3 < time.monotonic() - began < 5


def test_what_it_cannot_understand_is_its_mistake_and_not_the_hosts(login, folder):
    ssh.SharedSession(login).run("true")
    with finding.knock(folder) as stranger, pytest.raises(finding.NoMasterError, match="made a mistake"):
        sharing.ask(stranger, ("do", "this"), 5)
    assert ssh.SharedSession(login).run("echo well").stdout == "well\n"


def test_a_host_that_does_not_take_a_command_is_given_up(login, sshd, monkeypatch):
    monkeypatch.setattr(sshd.door, "check_channel_exec_request", lambda channel, command: time.sleep(2) or False)
    with ssh.Session(login) as session, pytest.raises(ssh.UnreachableError, match="the connection broke"):
        session.run("true", timeout=0.1)
