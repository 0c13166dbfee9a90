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
    return module


def test_nodetool_s_listing_becomes_nodes(tool):
    assert tool.parse(NODETOOL) == [
        {"state": "UN", "address": "10.77.0.51", "rack": "a"},
        {"state": "DN", "address": "10.77.0.52", "rack": "b"},
        {"state": "UJ", "address": "10.77.0.53", "rack": "c"},
    ]
    assert tool.parse("nodetool: Failed to connect to '127.0.0.1:7199' - Connection refused") == []


def test_the_ring_is_read_once_for_many_who_ask_at_the_same_time(tool, tmp_path, monkeypatch):
    program(tmp_path, "nodetool", NODETOOL, before=f"echo x >> {tmp_path}/calls; sleep 0.5")
    monkeypatch.setattr(tool, "start_refreshing", lambda: threading.Thread(target=tool.refresh).start())
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(tool.read())) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert [len(answer["nodes"]) for answer in answers] == [3] * 5
    assert (tmp_path / "calls").read_text().count("x") == 1


def test_an_older_reading_is_given_with_its_age_while_a_new_one_takes_long(tool, tmp_path, monkeypatch):
    program(tmp_path, "nodetool", NODETOOL)
    tool.refresh()
    old = json.loads(tool.CACHE.read_text())
    tool.CACHE.write_text(json.dumps(old | {"read_at": time.time() - 10}))
    monkeypatch.setattr(tool, "start_refreshing", lambda: None)
    monkeypatch.setattr(tool, "PATIENCE", 0.2)
    assert 10 <= tool.read()["age"] < 12


def test_a_reading_that_is_too_old_is_not_waited_for_in_vain(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "start_refreshing", lambda: None)
    monkeypatch.setattr(tool, "DEADLINE", 0.2)
    assert "did not answer" in tool.read()["error"]


def test_a_nodetool_that_cannot_connect_is_said(tool, tmp_path):
    program(tmp_path, "nodetool", "", 1, before='echo "nodetool: Failed to connect" >&2')
    tool.refresh()
    assert "Failed to connect" in tool.kept()["error"]
