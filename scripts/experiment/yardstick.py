"""How quick this machine is at a time: what the same piece of work takes of a processor, second by second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import fmean
from types import TracebackType
from typing import Self

ROUNDS = 10_000  # some 0.4 ms
TRIES = 3  # the quickest counts: one that was interrupted says nothing of the processor
PAUSE_SECONDS = 1.0


def piece() -> float:
    """Do the piece of work once; the milliseconds of a processor that it took, waiting for one left out."""
    began, total = time.thread_time_ns(), 0
    for number in range(ROUNDS):
        total += number * number
    return (time.thread_time_ns() - began) / 1e6


class Yardstick:
    """Measures while its block runs.

    A processor's speed depends on what else its core and its caches are at, also for others' virtual machines, and the
    accounts of /proc/stat do not show it: they count time, whatever was done in it.
    """

    def __init__(self, work: Callable[[], float] = piece, pause: float = PAUSE_SECONDS) -> None:
        self._work, self._pause = work, pause
        self._found: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def milliseconds(self) -> float | None:
        """What the piece of work took on average; None before it was done."""
        return round(fmean(self._found), 4) if self._found else None

    def _measure(self) -> None:
        while True:
            self._found.append(min(self._work() for _ in range(TRIES)))
            if self._over.wait(self._pause):
                return
