"""A replacement's deletion spares the host that the same run has confirmed, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.containers.confirmed import confirm, current_run, forget, is_confirmed


def test_a_host_is_known_to_the_run_that_confirmed_it_until_it_is_forgotten(tmp_path: Path) -> None:
    confirm("x", "12 34", tmp_path)
    assert is_confirmed("x", "12 34", tmp_path)
    assert not is_confirmed("x", "12 35", tmp_path)
    assert not is_confirmed("y", "12 34", tmp_path)
    forget("x", tmp_path)
    assert not is_confirmed("x", "12 34", tmp_path)


def test_what_is_run_by_hand_belongs_to_no_run_and_confirms_nothing(tmp_path: Path) -> None:
    assert current_run() == ""
    confirm("x", current_run(), tmp_path)
    assert not is_confirmed("x", current_run(), tmp_path)


def test_a_run_is_named_by_its_provider_and_when_that_started() -> None:
    waiting = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "scripts.engine"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as provider:
        assert provider.stdout is not None
        provider.stdout.readline()
        run = current_run(provider.pid)
        assert run.split()[0] == str(provider.pid)
        assert current_run(provider.pid) == run
        provider.communicate()
