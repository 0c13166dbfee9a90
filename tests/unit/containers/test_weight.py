"""The hosts' group gets its weight, whichever kind of cgroups a machine has; what forbids it stops nobody."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.containers import weight
from scripts.containers.quirks import Runtime, candidates
from scripts.containers.weight import group_for, remove_group, weigh


def group(cgroups: Path, place: str, file: str = "") -> Path:
    folder = cgroups / place
    folder.mkdir(parents=True)
    if file:
        (folder / file).write_text("old")
    return folder / file


@pytest.mark.parametrize(
    ("place", "file", "weight"),
    [("cpu/evenkeel", "cpu.shares", "16384"), ("evenkeel", "cpu.weight", "1600")],
    ids=["cgroup 1", "cgroup 2"],
)
def test_the_group_weighs_sixteen_times_an_ordinary_one(tmp_path: Path, place: str, file: str, weight: str) -> None:
    found = group(tmp_path, place, file)
    weigh(tmp_path)
    assert found.read_text() == weight


def test_where_systemd_keeps_the_groups_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        asked.append(command)

    monkeypatch.setattr(weight.subprocess, "run", run)
    weigh(tmp_path)
    assert not asked
    group(tmp_path, "evenkeel.slice")
    weigh(tmp_path)
    assert asked == [["systemctl", "set-property", "--runtime", "evenkeel.slice", "CPUWeight=1600"]]


def test_a_machine_that_refuses_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="Access denied\n")

    monkeypatch.setattr(weight.subprocess, "run", run)
    group(tmp_path, "cpu/evenkeel.slice")
    weigh(tmp_path)
    assert "no more than one process beside them on this machine: Access denied." in capsys.readouterr().err


def test_without_a_group_there_is_nothing_to_weigh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weigh(tmp_path)
    assert capsys.readouterr().err == ""


def test_the_group_is_named_as_podmans_manager_of_cgroups_wants_it() -> None:
    assert group_for("cgroupfs") == "/evenkeel"
    assert group_for("systemd") == "evenkeel.slice"
    assert group_for("another") == ""


def test_hosts_start_without_a_group_where_they_do_not_start_with_one() -> None:
    groups = [way.group for way in candidates(4096, 4096, "/evenkeel")]
    half = len(groups) // 2
    assert groups == ["/evenkeel"] * half + [""] * half
    assert {way.group for way in candidates(4096, 4096)} == {""}


def test_the_group_is_in_podmans_arguments_and_its_lack_among_the_quirks() -> None:
    arguments = Runtime("", (), "/evenkeel").create_arguments()
    assert arguments[arguments.index("--cgroup-parent") + 1] == "/evenkeel"
    assert Runtime("", (), "/evenkeel").quirks() == []
    assert "--cgroup-parent" not in Runtime("", ()).create_arguments()
    assert Runtime("", ()).quirks() == ["no weight of their own"]


def test_what_podman_leaves_of_the_group_is_removed_and_nobody_elses(tmp_path: Path) -> None:
    group(tmp_path, "cpu/evenkeel/conmon")
    group(tmp_path, "memory/evenkeel")
    group(tmp_path, "cpu/libpod_parent")
    busy = group(tmp_path, "pids/evenkeel", "in-use")
    remove_group(tmp_path)
    assert sorted(str(left.relative_to(tmp_path)) for left in tmp_path.glob("*/*")) == [
        "cpu/libpod_parent",
        "pids/evenkeel",
    ]
    assert busy.exists()
