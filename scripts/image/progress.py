"""Progress lines of the image build: what is being waited for, and for how long already."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERVAL_SECONDS = 15.0


class Progress:
    """Prints one line a step when it starts and ends, and a sign of life in between."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """One line on standard error with the seconds since the start."""
        with self._lock:
            seconds = time.monotonic() - self._started
            sys.stderr.write(f"{self._title}: {seconds:4.0f} s  {text}\n")
            sys.stderr.flush()

    @contextmanager
    def step(self, name: str, log: Path | None = None) -> Iterator[None]:
        """Announce a step; every 15 s repeat its name with the last line of its log."""
        started = time.monotonic()
        self.say(name)
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(name, log, done), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
        self.say(f"{name}: done in {time.monotonic() - started:.0f} s")

    def _beat(self, name: str, log: Path | None, done: threading.Event) -> None:
        while not done.wait(INTERVAL_SECONDS):
            detail = last_line(log) if log else ""
            self.say(f"{name}: {detail[:80]}" if detail else f"still {name}")


def last_line(log: Path) -> str:
    """The last non-empty line of a log file; empty when there is none yet."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - 2000))
        lines = stream.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
