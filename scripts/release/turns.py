"""Several who do something one after another, because those who serve users are near."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """Lets several do something one after another, without making anybody wait for long.

    A program that starts takes all of a processor. Hosts may share the processors of one machine with each other and
    with those who serve, and two starts at a time are felt there where one is not.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Begin when nobody else is at it, or when this has been waited for long enough."""
        mine = self._lock.acquire(timeout=self._seconds)
        try:
            yield
        finally:
            if mine:
                self._lock.release()
