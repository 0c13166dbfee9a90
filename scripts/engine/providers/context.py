"""What an operation of a provider is given: where it runs, where its output goes, and when it must stop."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.engine.reaper import Reaper

GRACE_SECONDS = 10.0
"""What a local command gets between SIGTERM and SIGKILL when the update is cancelled."""


class Cancellation:
    """Tells running operations to stop; each registers how it is stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: dict[object, Callable[[], None]] = {}
        self._set = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether operations must stop."""
        return self._set.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but only until cancelled; returns whether it was."""
        return self._set.wait(seconds)

    def request(self) -> None:
        """Stop everything that runs and whatever starts from now on."""
        self._set.set()
        with self._lock:
            stops = list(self._stops.values())
        for stop in stops:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """While the block runs, cancelling calls `stop`."""
        key = object()
        with self._lock:
            self._stops[key] = stop
        try:
            if self.requested:
                stop()
            yield
        finally:
            with self._lock:
                del self._stops[key]


class Children:
    """Local processes started by commands, each in a process group of its own."""

    def __init__(self, cancellation: Cancellation, reaper: Reaper) -> None:
        self.cancellation = cancellation
        self._reaper = reaper
        self._groups: set[int] = set()

    @contextmanager
    def track(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """While the block runs, the process's group ends with a cancellation, or with this engine."""
        self.keep(process.pid)
        try:
            with self.cancellation.stopping(lambda: self._end(process)):
                yield
        finally:
            self.release(process.pid)

    def keep(self, group: int) -> None:
        """From now on the process group ends with this engine, or with `kill`."""
        self._groups.add(group)
        self._reaper.add(group)

    def release(self, group: int) -> None:
        """The group has ended."""
        self._groups.discard(group)
        self._reaper.remove(group)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        timer = threading.Timer(GRACE_SECONDS, _signal_group, (process.pid, signal.SIGKILL))
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        """End all groups at once."""
        for group in list(self._groups):
            _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@dataclass(frozen=True)
class OperationContext:
    """Surroundings of one operation."""

    root: Path
    """The project's directory, where commands run unless they say otherwise."""
    children: Children
    log: Callable[[str], None]
    """Receives lines of output as they come."""
