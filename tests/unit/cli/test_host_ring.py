"""scripts/host/evenkeel-ring.py: one slow reading for many who ask, never older than it says."""

import json
import threading
import time

import pytest

from .programs import load_tool, program

NODETOOL = """\
Datacenter: dc1
===============
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address     Load        Tokens  Owns (effective)  Host ID                               Rack
UN  10.77.0.51  109.43 KiB  16      76.0%             0d4ecf3f-6b0c-4b5c-8f6e-8b7a6a0f4a10  a
DN  10.77.0.52  ?           16      74.8%             9d4ecf3f-6b0c-4b5c-8f6e-8b7a6a0f4a11  b
UJ  10.77.0.53  1.2 MiB     16      ?                 7d4ecf3f-6b0c-4b5c-8f6e-8b7a6a0f4a12  c

"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool as a module, with its cache below tmp_path and a PATH of its own in front."""
    module = load_tool("evenkeel-ring")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(module, "CACHE", tmp_path / "run" / "ring.json")
    module.threads = []
    monkeypatch.setattr(module, "start_refreshing", lambda: refresh_beside(module))
    return module


def refresh_beside(module):
    """What start_refreshing does with a process, with a thread."""
    module.threads.append(threading.Thread(target=module.refresh))
    module.threads[-1].start()


def calls(tmp_path):
    return (tmp_path / "calls").read_text().count("x")


def keep(tool, age):
    """A kept reading of an age in seconds."""
    tool.CACHE.parent.mkdir(exist_ok=True)
    tool.CACHE.write_text(json.dumps({"nodes": tool.parse(NODETOOL), "read_at": time.time() - age}))


def test_nodetool_s_listing_becomes_nodes(tool):
    assert tool.parse(NODETOOL) == [
        {"state": "UN", "address": "10.77.0.51", "rack": "a"},
        {"state": "DN", "address": "10.77.0.52", "rack": "b"},
        {"state": "UJ", "address": "10.77.0.53", "rack": "c"},
    ]
    assert tool.parse("nodetool: Failed to connect to '127.0.0.1:7199' - Connection refused") == []


def test_the_ring_is_read_once_for_many_who_ask_at_the_same_time(tool, tmp_path):
    program(tmp_path, "nodetool", NODETOOL, before=f"echo x >> {tmp_path}/calls; sleep 0.5")
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(tool.read())) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert [len(answer["nodes"]) for answer in answers] == [3] * 5
    assert calls(tmp_path) == 1


def test_a_reading_holds_as_long_as_the_journal_notes_no_change(tool, tmp_path):
    program(tmp_path, "nodetool", NODETOOL, before=f"echo x >> {tmp_path}/calls")
    program(tmp_path, "journalctl", "", 1, before=f'echo "$@" >> {tmp_path}/asked')
    first = tool.read()
    assert tool.read() == first | {"age": 0.0}
    assert calls(tmp_path) == 1
    assert "--unit=cassandra" in (tmp_path / "asked").read_text()


def test_an_old_reading_that_holds_is_given_at_once_and_made_anew_beside_that(tool, tmp_path):
    program(tmp_path, "nodetool", NODETOOL, before=f"echo x >> {tmp_path}/calls; sleep 0.5")
    program(tmp_path, "journalctl", "", 1)
    keep(tool, age=100)
    begin = time.monotonic()
    assert tool.read()["age"] == 0.0
    assert time.monotonic() - begin < 0.4
    for thread in tool.threads:
        thread.join()
    assert calls(tmp_path) == 1
    assert tool.kept()["read_at"] > time.time() - 10


def test_after_a_change_the_new_reading_is_waited_for(tool, tmp_path):
    program(tmp_path, "nodetool", NODETOOL.replace("DN", "UN"), before="sleep 0.3")
    program(tmp_path, "journalctl", "InetAddress /10.77.0.52:7000 is now UP\n", 0)
    keep(tool, age=3)
    assert [node["state"] for node in tool.read()["nodes"]] == ["UN", "UN", "UJ"]


def test_an_older_reading_is_given_with_its_true_age_when_the_new_one_takes_long(tool, tmp_path, monkeypatch):
    program(tmp_path, "journalctl", "InetAddress /10.77.0.52:7000 is now UP\n", 0)
    keep(tool, age=10)
    monkeypatch.setattr(tool, "start_refreshing", lambda: None)
    monkeypatch.setattr(tool, "PATIENCE", 0.2)
    assert 10 <= tool.read()["age"] < 12


def test_without_a_journal_a_reading_holds_for_seconds_only(tool, tmp_path):
    program(tmp_path, "journalctl", "", 1, before="echo No journal files were found. >&2")
    keep(tool, age=1)
    assert tool.holds(tool.kept())
    keep(tool, age=6)
    assert not tool.holds(tool.kept())


def test_nobody_waits_for_ever(tool, monkeypatch):
    monkeypatch.setattr(tool, "start_refreshing", lambda: None)
    monkeypatch.setattr(tool, "LONGEST", 0.2)
    assert "ask again" in tool.read()["error"]


def test_a_nodetool_that_cannot_connect_is_said_and_asked_again_soon(tool, tmp_path):
    program(tmp_path, "nodetool", "", 1, before='echo "nodetool: Failed to connect" >&2')
    assert "Failed to connect" in tool.read()["error"]
    assert tool.holds(tool.kept())
    kept = tool.kept()
    tool.CACHE.write_text(json.dumps(kept | {"read_at": kept["read_at"] - 6}))
    program(tmp_path, "nodetool", NODETOOL)
    assert len(tool.read()["nodes"]) == 3


def test_on_a_slow_host_nodetool_may_take_longer(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "DEADLINE", 0.2)
    program(tmp_path, "nodetool", NODETOOL, before="sleep 0.5")
    assert tool.ask_nodetool() == {"error": "nodetool did not answer within 0.2 s"}
    monkeypatch.setitem(tool.SLOWNESS, "times", 20)
    assert len(tool.ask_nodetool()["nodes"]) == 3
