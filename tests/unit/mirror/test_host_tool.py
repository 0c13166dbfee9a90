"""evenkeel-mirror, the host tool of database nodes, on a folder instead of /etc/cassandra."""

from __future__ import annotations

import grp
import hashlib
import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.cli.programs import TOOLS

JAR = b"PK jar"
SHA = hashlib.sha256(JAR).hexdigest()
FORWARD: dict[str, Any] = {"keyspace": "evenkeel", "table": "item", "twin": "item_r7", "columns": []}
BACK: dict[str, Any] = {"keyspace": "evenkeel", "table": "item_r7", "twin": "item", "columns": []}
PROBE: dict[str, Any] = {"keyspace": "evenkeel_mirror", "table": "probe", "twin": "probe_twin", "check": True}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("evenkeel_mirror_tool", TOOLS / "evenkeel-mirror.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CONFIG", str(tmp_path))
    monkeypatch.setattr(module, "GROUP", grp.getgrgid(os.getgid()).gr_name)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    program(tmp_path, "systemctl", "exit 3")
    yield module


def program(folder: Path, name: str, line: str) -> None:
    """Put a program of one line on PATH."""
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / "bin" / name).chmod(0o755)


def test_a_new_node_has_nothing(tool: ModuleType) -> None:
    assert tool.state() == {"jar_sha256": None, "pairs": {}}


def test_what_was_installed_and_configured_is_told_and_can_be_taken_away(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.install(SHA, JAR) == {"installed": True, "reloaded": False}
    assert tool.configure([PROBE, FORWARD, BACK])["configured"]
    assert tool.state() == {"jar_sha256": SHA, "pairs": {"evenkeel.item": "item_r7", "evenkeel.item_r7": "item"}}
    assert json.loads((tmp_path / "mirror/evenkeel.item.json").read_text()) == FORWARD
    assert tool.remove({"tables": ["evenkeel.item", "evenkeel.gone"]}) == {"removed": ["evenkeel.item"]}
    assert tool.state()["pairs"] == {"evenkeel.item_r7": "item"}


def test_cassandra_may_read_what_only_root_may_write(tool: ModuleType, tmp_path: Path) -> None:
    tool.install(SHA, JAR)
    tool.configure([FORWARD])
    for path in (tmp_path / "triggers/evenkeel-mirror.jar", tmp_path / "mirror/evenkeel.item.json"):
        assert path.stat().st_mode & 0o777 == 0o640
        assert path.parent.stat().st_mode & 0o777 == 0o750


def test_a_running_node_loads_a_jar_even_where_one_who_was_killed_had_put_it(tool: ModuleType, tmp_path: Path) -> None:
    program(tmp_path, "systemctl", "exit 0")
    program(tmp_path, "nodetool", "kill -9 $PPID")
    if (child := os.fork()) == 0:
        tool.install(SHA, JAR)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert tool.state()["jar_sha256"] == SHA
    program(tmp_path, "nodetool", f'echo "$@" >> {tmp_path}/said')
    assert tool.install(SHA, JAR) == {"installed": False, "reloaded": True}
    assert (tmp_path / "said").read_text() == "reloadtriggers\n"


def test_a_node_that_does_not_load_it_is_an_error_in_its_words(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "RELOAD_SECONDS", -1.0)
    program(tmp_path, "systemctl", "exit 0")
    program(tmp_path, "nodetool", "echo no JMX >&2; exit 1")
    with pytest.raises(SystemExit, match=r"did not load its triggers again.*no JMX"):
        tool.install(SHA, JAR)


def test_a_slow_node_has_longer_to_load_it(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "RELOAD_SECONDS", 0.0)
    monkeypatch.setattr(tool.time, "sleep", lambda _: None)
    program(tmp_path, "systemctl", "exit 0")
    program(tmp_path, "nodetool", "echo no JMX >&2; exit 1")
    with pytest.raises(SystemExit, match="again in 0 s"):
        tool.install(SHA, JAR, 20)
    monkeypatch.setattr(tool, "RELOAD_SECONDS", 5.0)
    program(tmp_path, "nodetool", f"[ -e {tmp_path}/up ] || {{ touch {tmp_path}/up; exit 1; }}")
    jar = tmp_path / "jar"
    jar.write_bytes(JAR)
    with jar.open() as file:
        monkeypatch.setattr(tool.sys, "stdin", file)
        tool.main(["install", SHA, "--slowness=20"])
    assert json.loads(capsys.readouterr().out)["reloaded"] is True


def test_a_damaged_jar_changes_nothing(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match=f"not {SHA}; nothing was changed"):
        tool.install(SHA, JAR + b"!")
    assert tool.state()["jar_sha256"] is None


@pytest.mark.parametrize("bad", [{"keyspace": "../etc"}, {"table": "item; DROP"}, {"twin": None}, {"table": "Item"}])
def test_a_mapping_with_a_bad_name_changes_nothing(tool: ModuleType, bad: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="is no name; nothing was changed"):
        tool.configure([BACK, FORWARD | bad])
    assert tool.state()["pairs"] == {}


def test_a_path_is_never_taken_for_a_table(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "victim.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"is not KEYSPACE\.TABLE"):
        tool.remove({"tables": ["../victim"]})
    assert (tmp_path / "victim.json").exists()
