"""scripts/ssh against an SSH server on loopback."""

import dataclasses
import logging
import socket
import threading
import time

import pytest

from scripts import ssh
from scripts.ssh import connection


def test_a_command_s_output_status_and_input_pass_through(login):
    result = ssh.run(login, ["sh", "-c", "cat; echo oops >&2; exit 3"], stdin="héllo\n", check=False)
    assert result == ssh.Result("héllo\n", "oops\n", 3)
    assert not result.ok


def test_arguments_arrive_as_they_are(login):
    words = ["two words", "$HOME", "'", '"', "a;b", "*", ""]
    assert ssh.run(login, ["printf", "%s\\n", *words]).stdout.splitlines() == words


def test_one_string_is_read_by_the_remote_shell(login):
    assert ssh.run(login, "echo a b | wc -w").stdout.strip() == "2"


def test_a_failed_command_raises_with_its_last_words(login):
    with pytest.raises(ssh.CommandError, match=r"lb-a: «.*» ended with status 4: no such thing") as caught:
        ssh.run(login, "echo first >&2; echo no such thing >&2; exit 4")
    assert caught.value.result.exit_status == 4


def test_megabytes_pass_in_both_directions_at_once(login):
    blob = bytes(range(33, 127)) * 40_000
    assert ssh.run(login, "cat", stdin=blob).stdout.encode() == blob


def test_a_command_that_ignores_its_input_is_no_error(login):
    assert ssh.run(login, "echo done", stdin=b"x" * 5_000_000).stdout == "done\n"


def test_a_command_that_takes_too_long_is_ended_on_the_host_too(login, tmp_path):
    witness = tmp_path / "witness"
    begin = time.monotonic()
    with pytest.raises(ssh.DeadlineError, match=r"lb-a: .*0.5 s"):
        ssh.run(login, f"sleep 2; touch {witness}", timeout=0.5)
    assert time.monotonic() - begin < 2
    time.sleep(2)
    assert not witness.exists()


def test_another_host_key_is_refused_before_anything_is_sent(login, other_key, tmp_path):
    wrong = dataclasses.replace(login, host_key=other_key[1])
    with pytest.raises(ssh.HostKeyError, match="another host key than the one pinned"):
        ssh.run(wrong, ["touch", str(tmp_path / "touched")])
    assert not (tmp_path / "touched").exists()


def test_another_deploy_key_is_refused_by_the_host(login, other_key):
    with pytest.raises(ssh.LoginError, match="does not accept the stack's deploy key for root"):
        ssh.run(dataclasses.replace(login, private_key=other_key[0]), ["true"])


def test_a_closed_port_is_said_to_refuse(login):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ssh.UnreachableError, match=r"no SSH at 127\.0\.0\.1: connection refused"):
        ssh.run(dataclasses.replace(login, port=port), ["true"])


def test_a_machine_that_accepts_but_says_nothing_is_given_up(login):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with pytest.raises(ssh.UnreachableError):
            ssh.run(dataclasses.replace(login, port=silent.getsockname()[1]), ["true"], connect_timeout=0.5)
    assert time.monotonic() - begin < 3


def test_a_machine_that_hangs_up_is_one_sentence_and_nothing_beside_it(login, capsys, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's own would hide what a user sees
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        broken = dataclasses.replace(login, port=server.getsockname()[1])
        with pytest.raises(ssh.UnreachableError, match="no SSH at"):
            ssh.run(broken, "true")
        thread.join()
    assert capsys.readouterr().err == ""


def test_a_connection_cut_in_the_middle_is_unreachable_not_success(login, sshd):
    with ssh.Session(login) as session:
        session.run("true")
        sshd.drop()
        with pytest.raises(ssh.UnreachableError, match="the connection broke"):
            session.run("true")


def test_a_host_that_accepts_and_says_nothing_is_given_more_time_and_named(login):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet = dataclasses.replace(login, port=silent.getsockname()[1])
        with pytest.raises(ssh.UnreachableError, match="it accepts connections, and said nothing for 2 s"):
            ssh.Session(quiet, 0.5)


def test_a_connection_on_which_nobody_answers_any_more_breaks_by_itself(login):
    with connection.reach(login, 5) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == connection.SILENT_MS


def test_a_broken_deploy_key_never_shows_in_the_message(login):
    with pytest.raises(ssh.SshError, match="not an OpenSSH ed25519 private key") as caught:
        ssh.run(dataclasses.replace(login, private_key="-----BEGIN SECRET"), ["true"])
    assert "SECRET" not in str(caught.value)
    assert "BEGIN" not in repr(login)


def test_many_hosts_are_asked_at_the_same_time_and_one_failure_stays_its_own(login, other_key):
    logins = [dataclasses.replace(login, name=f"host-{number}") for number in range(8)]
    logins[3] = dataclasses.replace(logins[3], host_key=other_key[1])
    begin = time.monotonic()
    answers = ssh.run_everywhere(logins, "sleep 1; echo here")
    assert time.monotonic() - begin < 5
    assert isinstance(answers["host-3"], ssh.HostKeyError)
    assert [answers[f"host-{number}"].stdout for number in range(8) if number != 3] == ["here\n"] * 7


def test_a_file_put_is_the_file_got_with_its_mode(login, tmp_path):
    with ssh.Session(login) as session:
        session.put("text with ünïcode\n", str(tmp_path / "a file"), 0o640)
        assert session.get(str(tmp_path / "a file")) == "text with ünïcode\n"
    assert (tmp_path / "a file").stat().st_mode & 0o777 == 0o640


def test_a_file_of_several_parts_is_got_whole_byte_for_byte(login, tmp_path, monkeypatch):
    content = bytes(range(256)) * 40 + "é".encode()
    place = tmp_path / "a large file"
    place.write_bytes(content)
    for part in (1000, len(content) - 1, len(content), len(content) + 1):
        monkeypatch.setattr(ssh.session, "PART", part)
        with ssh.Session(login) as session:
            assert session.get_bytes(str(place)) == content


def test_a_file_that_is_not_there_is_said_so(login, tmp_path):
    with ssh.Session(login) as session, pytest.raises(ssh.CommandError, match="missing"):
        session.get_bytes(str(tmp_path / "missing"))


def test_a_file_of_which_the_host_gives_less_than_it_has_is_an_error_and_never_a_part(login, tmp_path, monkeypatch):
    place = tmp_path / "a file"
    place.write_text("whole")
    run = ssh.Session.run
    monkeypatch.setattr(
        ssh.Session, "run", lambda self, line, **more: run(self, line.replace("tail -c", "false -c"), **more)
    )
    with ssh.Session(login) as session, pytest.raises(ssh.OutputError, match="ended after 0 of 5 bytes"):
        session.get_bytes(str(place))


def test_output_beyond_what_is_kept_is_an_error_and_never_a_part(login, monkeypatch):
    monkeypatch.setattr(ssh.session, "OUTPUT_LIMIT", 1 << 20)
    assert len(ssh.run(login, f"head -c {1 << 20} /dev/zero").stdout) == 1 << 20
    with pytest.raises(ssh.OutputError, match=r"lb-a: «head .*» printed more than 1 MiB"):
        ssh.run(login, f"head -c {(1 << 20) + 1} /dev/zero")


def test_a_program_that_is_asked_line_by_line_is_started_once(login):
    with ssh.Session(login) as session:
        asked = session.converse("n=0; while read -r line; do n=$((n + 1)); echo $n $line; done")
        assert [asked.ask(line, 5) for line in ("one", "two", "ö")] == ["1 one", "2 two", "3 ö"]


def test_a_line_of_megabytes_is_answered_whole(login):
    with ssh.Session(login) as session:
        assert session.converse("cat").ask("x" * 2_000_000, 20) == "x" * 2_000_000


def test_a_program_that_has_ended_is_no_answer(login):
    with ssh.Session(login) as session:
        asked = session.converse("read -r line; echo last")
        assert asked.ask("one", 5) == "last"
        with pytest.raises(ssh.UnreachableError, match=r"lb-a: (the program that was asked has ended|the connection)"):
            asked.ask("two", 5)


def test_a_program_that_does_not_answer_is_given_up(login):
    with ssh.Session(login) as session, pytest.raises(ssh.DeadlineError, match=r"lb-a: no answer after 0\.3 s"):
        session.converse("cat > /dev/null").ask("one", 0.3)


def test_there_is_no_asking_over_a_connection_that_was_cut(login, sshd):
    with ssh.Session(login) as session:
        asked = session.converse("cat")
        assert asked.ask("one", 5) == "one"
        sshd.drop()
        with pytest.raises(ssh.UnreachableError):
            asked.ask("two", 5)
        with pytest.raises(ssh.UnreachableError, match="the connection broke"):
            session.converse("cat")


def test_a_slow_host_has_longer_for_whatever_it_is_asked(login):
    slow = dataclasses.replace(login, slowness=4)
    with pytest.raises(ssh.DeadlineError, match=r"lb-a: .*1\.2 s"):
        ssh.run(slow, "sleep 5", timeout=0.3)
    with ssh.Session(slow) as session:
        assert session.run("sleep 0.6; echo late", timeout=0.3).stdout == "late\n"
        with pytest.raises(ssh.DeadlineError, match=r"lb-a: no answer after 1\.2 s"):
            session.converse("cat > /dev/null").ask("one", 0.3)
    with connection.reach(slow, 5) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4 * connection.SILENT_MS
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet = dataclasses.replace(slow, port=silent.getsockname()[1])
        with pytest.raises(ssh.UnreachableError, match=r"it accepts connections, and said nothing for 1\.6 s"):
            ssh.Session(quiet, 0.1)
