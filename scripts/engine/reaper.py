"""Ends what the engine started when the engine itself is killed.

Run as a program it reads lines `+GROUP` and `-GROUP` from its standard input and, when that closes, kills the process
groups that are still listed: a killed engine closes it, so no command outlives it unseen.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path


class Reaper:
    """The engine's side: tells the reaping process which process groups there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        """The group must not outlive the engine."""
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """The group has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with self._lock, suppress(OSError):
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
                    stdin=subprocess.PIPE,
                    start_new_session=True,
                )
            assert self._process.stdin is not None  # noqa: S101 - asked for above
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """The engine ends in good order."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()
                self._process.wait()
                self._process = None


def reap() -> None:
    """The reaping process."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    reap()
