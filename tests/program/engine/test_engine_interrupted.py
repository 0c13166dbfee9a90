"""Interrupted and rival updates: the state stays good, nothing runs on unseen, and the next update finishes."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

from tests.program.engine.conftest import wait_for

SLOW = """
done = command("done", "echo done >> log")
slow = command("slow", "echo $$ > pid; echo slow >> log; test -e quick || exec sleep 300", opts={"depends_on": [done]})
command("after", "echo after >> log", opts={"depends_on": [slow]})
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def start_slow(project: Any) -> tuple[Any, int]:
    """An update that is at its slow command; returns it and the command's pid."""
    project.program(SLOW)
    update = project.start("up", "--yes", "--skip-preview")
    wait_for(lambda: (project.root / "pid").exists() and (project.root / "pid").read_text().strip() != "")
    return update, int((project.root / "pid").read_text())


def finish(project: Any) -> str:
    (project.root / "quick").touch()
    printed = str(project.up())
    assert project.names() == ["after", "default_1_2_1", "done", "slow", "small-dev"]
    assert "pending_operations" not in project.latest()
    assert project.log() == ["done", "slow", "slow", "after"]
    return printed


def test_ctrl_c_ends_the_commands_saves_and_the_next_up_finishes(project: Any) -> None:
    update, command = start_slow(project)
    update.send_signal(signal.SIGINT)
    printed, _ = update.communicate(timeout=60)
    assert update.returncode == 1
    assert "cancelled" in printed
    assert not alive(command)
    assert not list((project.root / "state/.pulumi/locks").rglob("*.json"))
    finish(project)


def test_a_killed_update_leaves_nothing_running_and_the_next_up_finishes(project: Any) -> None:
    update, command = start_slow(project)
    os.kill(update.pid, signal.SIGKILL)
    update.wait()
    wait_for(lambda: not alive(command), 10)
    assert [entry["type"] for entry in project.latest()["pending_operations"]] == ["creating"]
    printed = finish(project)
    assert f"(pid {update.pid})" in printed
    assert "interrupted while it created slow" in printed


def test_a_second_update_is_refused_while_one_runs(project: Any) -> None:
    update, _ = start_slow(project)
    refused = project.up(code=1)
    assert "the stack is currently locked by 1 lock(s)" in refused
    assert f"(pid {update.pid})" in refused
    assert "+ 1 to create" not in refused
    update.send_signal(signal.SIGINT)
    update.communicate(timeout=60)


def test_a_ctrl_c_that_another_thread_was_sent_is_heard(project: Any) -> None:
    update, command = start_slow(project)
    thread = max(int(path.name) for path in Path(f"/proc/{update.pid}/task").iterdir())
    assert thread != update.pid
    assert ctypes.CDLL(None).tgkill(update.pid, thread, signal.SIGINT) == 0
    printed, _ = update.communicate(timeout=60)
    assert "^C received" in printed
    assert not alive(command)


def test_a_second_ctrl_c_stops_at_once(project: Any) -> None:
    project.program('command("stubborn", "trap \'\' TERM; echo $$ > pid; sleep 300 & wait; sleep 300")')
    update = project.start("up", "--yes", "--skip-preview")
    wait_for(lambda: (project.root / "pid").exists() and (project.root / "pid").read_text().strip() != "")
    update.send_signal(signal.SIGINT)
    wait_for(lambda: alive(update.pid) and "SigCgt" in Path(f"/proc/{update.pid}/status").read_text())
    assert update.stdout is not None
    for line in update.stdout:
        if "^C received" in line:
            break
    update.send_signal(signal.SIGINT)
    update.communicate(timeout=8)
    assert update.returncode != 0
    wait_for(lambda: not alive(int((project.root / "pid").read_text())), 5)
    assert project.names() == ["default_1_2_1", "small-dev"]
