"""Where the kernel does not hold a slot's memory limit, a process beside it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.programs import TOOLS

PYTHON = Path("/usr/bin/python3")
HOG = "import time; kept = b'x' * (80 << 20); print('big', flush=True); time.sleep(20)"


def test_a_user_s_memory_is_counted() -> None:
    import evenkeel_memory

    with subprocess.Popen([sys.executable, "-c", HOG], stdout=subprocess.PIPE) as hog:
        assert hog.stdout is not None
        hog.stdout.readline()
        assert evenkeel_memory.used_mb(evenkeel_memory.processes(os.getuid())) > 80
        hog.kill()


def test_what_comes_near_its_limit_is_looked_at_more_often() -> None:
    import evenkeel_memory

    assert [evenkeel_memory.pause(used, 100) for used in (0, 60, 75, 99, 120)] == [0.5, 0.4, 0.25, 0.25, 0.25]


@pytest.mark.skipif(os.getuid() != 0 or not PYTHON.exists(), reason="needs a user of its own for what is killed")
def test_a_program_that_uses_more_than_its_limit_is_killed() -> None:
    # The module's text, not its file: that user may not be let in to where this project lies.
    guarded = (TOOLS / "evenkeel_memory.py").read_text("utf-8")
    guarded += f"\nguard(40)\nos.execv('{PYTHON}', ['python3', '-c', {HOG!r}])\n"
    done = subprocess.run(
        [PYTHON, "-c", guarded], capture_output=True, text=True, timeout=15, check=False, user=64999, cwd="/"
    )
    assert done.returncode == -9
    assert "40 MiB is the limit; killed" in done.stdout
