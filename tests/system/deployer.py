"""`pulumi up` as the tests need it: begun, watched stage by stage, killed with all it started, and finished later."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Self

from scripts.experiment import deployer
from scripts.experiment.deployer import pack
from scripts.inventory import Inventory
from scripts.release.journal import Journal
from tests.system.running import ROOT, STACK

PULUMI = str(ROOT / ".venv/bin/pulumi")
PATIENCE_SECONDS = 1800.0  # a paced copy of many rows takes long


@dataclass(frozen=True)
class Ended:
    """How a `pulumi up` ended: its status, all it said, and how long it took in seconds."""

    status: int
    said: str
    seconds: float

    @property
    def last_words(self) -> str:
        """The outcome's own lines."""
        return "\n".join(line for line in self.said.splitlines() if "outcome: " in line)


class Deployment:
    """A `pulumi up` in the background, in a session of its own, so that it can be killed with all its children."""

    def __init__(self, stack: str = STACK) -> None:
        command = [PULUMI, "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _read(self) -> None:
        """Keep what it says."""
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def wait_for(self, text: str) -> None:
        """Wait until it has said something; fails if it ends before."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(text in line for line in self.lines):
            assert self.process.poll() is None or text in "".join(self.lines), "".join(self.lines[-30:])
            assert time.monotonic() < end, f"it has not said {text!r}: {''.join(self.lines[-30:])}"
            time.sleep(0.02)

    def wait_for_stage(self, stage: str) -> None:
        """Wait until a stage is at work."""
        self.wait_for(f"release-{stage} creating")

    def kill(self) -> None:
        """Kill it and all that it started, as a power cut of the deployer's machine would."""
        for pid in of_session(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(30)

    def end(self) -> Ended:
        """Wait for its end."""
        self.process.wait(PATIENCE_SECONDS)
        seconds = time.monotonic() - self.began
        self._reader.join(10)
        return Ended(self.process.returncode, "".join(self.lines), seconds)


def of_session(leader: int) -> list[int]:
    """Return the processes of a session, whatever group they are in, the youngest first."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(int(path.name))
    return sorted(found, reverse=True)


def configure(stack: str = STACK, **values: str) -> None:
    """Set values of the stack's config; an empty text removes one."""
    deployer.configure(stack, **values)


def release(version: str, stack: str = STACK, during: Callable[[Deployment], None] | None = None) -> Ended:
    """Ask for a version and run `pulumi up` to its end; `during` may do something meanwhile."""
    pack(version)
    configure(stack, version=version)
    with Deployment(stack) as deployment:
        if during:
            during(deployment)
        return deployment.end()


def again(stack: str = STACK) -> Ended:
    """Run `pulumi up` once more, after clearing the lock that a killed one left in Pulumi's backend."""
    subprocess.run([PULUMI, "cancel", "--yes", "--stack", stack], cwd=ROOT, capture_output=True, check=False)
    with Deployment(stack) as deployment:
        return deployment.end()


def journal(inventory: Inventory) -> Journal:
    """Return the stack's journal."""
    return Journal(inventory.login(inventory.host("control")))
