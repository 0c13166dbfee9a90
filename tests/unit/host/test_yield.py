"""A version that starts has the processor time that nobody else wants, until it is ready, and not for long."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.programs import TOOLS

import evenkeel_yield  # isort: skip

PYTHON = Path("/usr/bin/python3")
USER = 64998
# What the slot's unit does: it becomes the program, which starts a thread.
PROGRAM = """
import sys, threading, time
sys.path.insert(0, {tools!r})
import evenkeel_yield
evenkeel_yield.MARKER = {marker!r}
evenkeel_yield.join_if_asked("blue")
threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
print("started", flush=True)
time.sleep(30)
"""

may_return = pytest.mark.skipif(
    os.getuid() != 0 or not PYTHON.exists() or not evenkeel_yield.can_return(), reason="needs root with CAP_SYS_NICE"
)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place that the slot's user may read, with the tools in it, and where the marker is."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    for name in ("evenkeel_yield.py", "evenkeel_memory.py"):
        shutil.copy(TOOLS / name, path)
        (path / name).chmod(0o644)
    monkeypatch.setattr(evenkeel_yield, "MARKER", str(path / "{slot}.yields"))
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield path
    for number, handler in kept.items():
        signal.signal(number, handler)
    shutil.rmtree(path)


@pytest.fixture
def started(folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def start(folder: Path, running: list[subprocess.Popen[str]]) -> int:
    text = PROGRAM.format(tools=str(folder), marker=str(folder / "{slot}.yields"))
    process = subprocess.Popen([PYTHON, "-c", text], stdout=subprocess.PIPE, text=True, user=USER, cwd="/")
    running.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process.pid


def classes(process: int) -> list[int]:
    return [os.sched_getscheduler(int(path.name)) for path in Path(f"/proc/{process}/task").iterdir()]


@may_return
def test_what_starts_yields_with_all_its_threads_until_it_is_ready(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    with evenkeel_yield.yielding("blue", USER, 20):
        process = start(folder, started)
        assert classes(process) == [os.SCHED_IDLE, os.SCHED_IDLE]
        assert os.sched_getscheduler(0) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    assert classes(process) == [os.SCHED_OTHER, os.SCHED_OTHER]
    assert not (folder / "blue.yields").exists()
    assert classes(start(folder, started)) == [os.SCHED_OTHER, os.SCHED_OTHER]  # as after a crash


@may_return
def test_it_yields_no_more_when_it_has_taken_long(folder: Path, started: list[subprocess.Popen[str]]) -> None:
    with evenkeel_yield.yielding("blue", USER, 1):
        process = start(folder, started)
        end = time.monotonic() + 10
        while os.SCHED_IDLE in classes(process) and time.monotonic() < end:
            time.sleep(0.05)
        assert [*classes(process), os.sched_getscheduler(0)] == [os.SCHED_OTHER] * 3
        assert not (folder / "blue.yields").exists()


@may_return
def test_what_fails_to_start_does_not_leave_it_yielding(folder: Path, started: list[subprocess.Popen[str]]) -> None:
    with pytest.raises(SystemExit), evenkeel_yield.yielding("blue", USER, 20):
        process = start(folder, started)
        sys.exit("not ready")
    assert os.SCHED_IDLE not in classes(process)


@may_return
def test_it_yields_no_more_when_who_started_it_is_told_to_end(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    with pytest.raises(SystemExit), evenkeel_yield.yielding("blue", USER, 20):
        process = start(folder, started)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert os.SCHED_IDLE not in classes(process)


@may_return
def test_an_order_to_yield_that_was_left_behind_is_not_obeyed_for_ever(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    (folder / "blue.yields").write_text(str(time.time() - 1))
    assert os.SCHED_IDLE not in classes(start(folder, started))


def test_nothing_yields_where_it_could_not_be_taken_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evenkeel_yield, "can_return", lambda: False)
    with evenkeel_yield.yielding("blue", USER, 20):
        assert list(folder.glob("*.yields")) == []
