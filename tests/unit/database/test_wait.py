"""evenkeel-cassandra-wait ends when the node is in the ring, and early when it cannot come to that."""

import json
import subprocess

import pytest

from tests.unit.cli.programs import load_tool

STATUS = """Datacenter: dc1
--  Address     Load        Tokens  Owns (effective)  Host ID                               Rack
UN  10.77.0.31  85.65 KiB   16      77.4%             47e66480-ea9b-4ebd-992f-34ab95069eee  a
UJ  10.77.0.32  30.81 KiB   16      ?                 5ab580ae-eeee-4151-85b4-a1148b395090  b
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool with a configuration of its own, no waiting, and an unit that runs."""
    module = load_tool("evenkeel-cassandra-wait")
    config = tmp_path / "cassandra.yaml"
    config.write_text("listen_address: 10.77.0.31\nrpc_address: 10.77.0.31\n", "utf-8")
    monkeypatch.setattr(module, "CONFIG", str(config))
    monkeypatch.setattr(module, "JOINED", str(tmp_path / "joined"))
    monkeypatch.setattr(module.shutil, "chown", lambda *arguments: None)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(module, "unit_state", lambda: ("active", 0))
    return module


def test_it_ends_when_the_node_is_in_the_ring_and_leaves_the_mark(tool, tmp_path, monkeypatch, capsys):
    answers = iter(["no answer", "the node is UJ", ""])
    monkeypatch.setattr(tool, "look", lambda address: next(answers))
    tool.main(60)
    assert json.loads(capsys.readouterr().out)["state"] == "UN"
    assert (tmp_path / "joined").exists()


@pytest.mark.parametrize(("address", "state"), [("10.77.0.31", "UN"), ("10.77.0.32", "UJ"), ("10.77.0.3", "")])
def test_the_node_s_own_line_is_read(tool, monkeypatch, address, state):
    done = subprocess.CompletedProcess([], 0, STATUS, "")
    monkeypatch.setattr(tool.subprocess, "run", lambda *arguments, **options: done)
    assert tool.ring_state(address) == state


@pytest.mark.parametrize("states", [[("active", 0), ("failed", 0)], [("active", 5), ("activating", 8)]])
def test_it_ends_early_when_the_unit_failed_or_keeps_restarting(tool, tmp_path, monkeypatch, states):
    answers = iter(states)
    monkeypatch.setattr(tool, "unit_state", lambda: next(answers))
    monkeypatch.setattr(tool, "look", lambda address: "no answer")
    done = subprocess.CompletedProcess([], 0, "its last words\n", "")
    monkeypatch.setattr(tool.subprocess, "run", lambda *arguments, **options: done)
    with pytest.raises(SystemExit, match=r"Cassandra does not start.*its last words"):
        tool.main(60)
    assert not (tmp_path / "joined").exists()


def test_a_slow_node_that_keeps_restarting_is_waited_for(tool, tmp_path, monkeypatch, capsys):
    answers, restarts = iter(["no answer"] * 9 + [""]), iter(range(100))
    monkeypatch.setattr(tool, "look", lambda address: next(answers))
    monkeypatch.setattr(tool, "unit_state", lambda: ("activating", next(restarts)))
    tool.main(3600)
    assert json.loads(capsys.readouterr().out)["state"] == "UN"


def test_a_slow_node_that_will_not_be_started_again_is_not(tool, monkeypatch):
    monkeypatch.setattr(tool, "look", lambda address: "no answer")
    monkeypatch.setattr(tool, "unit_state", lambda: ("failed", 0))
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(tool.subprocess, "run", lambda *arguments, **options: done)
    with pytest.raises(SystemExit, match="Cassandra does not start"):
        tool.main(3600)


def test_it_ends_when_the_time_is_over_and_says_what_was_missing(tool, monkeypatch):
    monkeypatch.setattr(tool, "look", lambda address: "the node is UJ in the ring, not UN")
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(tool.subprocess, "run", lambda *arguments, **options: done)
    with pytest.raises(SystemExit, match="after -1 s still not in the ring: the node is UJ"):
        tool.main(-1)
