"""evenkeel-apply brings a host's configuration to the described state, or leaves it as it was."""

from __future__ import annotations

import getpass
import grp
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.cli.programs import load_tool

OWNER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = load_tool("evenkeel-apply")
    monkeypatch.setattr(module, "PENDING", str(tmp_path / "state" / "pending"))
    return module


def document(path: Path, content: str, **more: Any) -> dict[str, Any]:
    return {"role": "test", "files": [{"path": str(path), "content": content, "owner": OWNER}], **more}


def test_a_new_file_is_written_with_its_rights(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "a" / "config"
    result = tool.apply(document(target, "one\n"))
    assert result == {"changed": [str(target)], "action": "none"}
    assert target.read_text() == "one\n"
    assert target.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in target.parent.iterdir()] == ["config"]


def test_the_same_content_again_changes_nothing(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "config"
    tool.apply(document(target, "one\n"))
    before = target.stat()
    assert tool.apply(document(target, "one\n", reload=["false"])) == {"changed": [], "action": "none"}
    assert target.stat().st_ino == before.st_ino


def test_other_rights_alone_count_as_a_change(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "config"
    tool.apply(document(target, "one\n"))
    target.chmod(0o666)
    assert tool.apply(document(target, "one\n"))["changed"] == [str(target)]
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_refused_configuration_leaves_the_old_one(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "config"
    tool.apply(document(target, "good\n"))
    refusing = document(target, "bad\n", validate=[["grep", "-q", "good", f"{{{target}}}"]])
    with pytest.raises(tool.RefusedError, match="grep refuses the new configuration, the old one stays"):
        tool.apply(refusing)
    assert target.read_text() == "good\n"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "state"] == ["config"]


def test_a_validator_sees_the_new_file_under_its_own_name(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "x.service"
    seen = tmp_path / "seen"
    tool.apply(document(target, "new\n", validate=[["cp", f"{{{target}}}", str(seen)]]))
    assert seen.read_text() == "new\n"


def test_a_change_reloads_and_no_change_does_not(tool: ModuleType, tmp_path: Path) -> None:
    target, mark = tmp_path / "config", tmp_path / "reloaded"
    assert tool.apply(document(target, "1\n", reload=["touch", str(mark)]))["action"] == "reload"
    assert mark.exists()
    mark.unlink()
    assert tool.apply(document(target, "1\n", reload=["touch", str(mark)]))["action"] == "none"
    assert not mark.exists()


def test_a_reload_that_a_kill_prevented_is_made_good(tool: ModuleType, tmp_path: Path) -> None:
    target, mark = tmp_path / "config", tmp_path / "reloaded"
    with pytest.raises(tool.RefusedError):
        tool.apply(document(target, "1\n", reload=["false"]))
    assert tool.apply(document(target, "1\n", reload=["touch", str(mark)]))["action"] == "reload"
    assert mark.exists()


def test_a_file_that_needs_a_restart_restarts(tool: ModuleType, tmp_path: Path) -> None:
    target, mark = tmp_path / "config", tmp_path / "restarted"
    wanted = document(target, "1\n", reload=["false"], restart=["touch", str(mark)], restart_on=[str(target)])
    assert tool.apply(wanted)["action"] == "restart"
    assert mark.exists()


def test_a_wait_that_gives_up_is_an_error(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(tool.RefusedError, match="gave up waiting"):
        tool.apply(document(tmp_path / "config", "1\n", wait=[["false"]]))


def test_an_unknown_owner_is_named(tool: ModuleType, tmp_path: Path) -> None:
    wanted = document(tmp_path / "config", "1\n")
    wanted["files"][0]["owner"] = "nobody-here:nobody-here"
    with pytest.raises(tool.RefusedError, match="owner nobody-here:nobody-here does not exist"):
        tool.apply(wanted)


ZONE = "@ IN SOA a. b. (\n    @SERIAL@ ; serial\n    60 )\n"


def test_a_zone_gets_a_serial_and_keeps_it_while_nothing_else_changes(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "zone"
    tool.apply(document(target, ZONE))
    first = target.read_text()
    assert "@SERIAL@" not in first
    assert tool.apply(document(target, ZONE))["changed"] == []
    assert target.read_text() == first


def test_a_changed_zone_gets_a_higher_serial_even_if_the_clock_went_back(tool: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "zone"
    future = 4_000_000_000
    target.write_text(ZONE.replace("@SERIAL@", str(future)))
    tool.apply(document(target, ZONE + "www IN A 10.0.0.1\n"))
    assert f"{future + 1} ; serial" in target.read_text()


@pytest.mark.parametrize(("is_enabled", "enables"), [(0, False), (1, True)])
def test_a_unit_is_enabled_once(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_enabled: int, enables: bool
) -> None:
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    answer = f'[ "$1" != is-enabled ] || exit {is_enabled}'
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{answer}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(systemctl.parent), prepend=":")
    assert tool.apply(document(tmp_path / "config", "1\n", enable=["haproxy"]))["action"] == "none"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert ("enable --quiet haproxy" in asked) is enables
