"""Long work as it runs: `python3 -m scripts.tables.work DOCUMENT` (a file that is removed once read, or - for input).

One process a job, held by a lock on a file that a killed process lets go of. SIGTERM stops it between two pages. What
it did is written as it goes; a kind of work is a function that takes `Work` and returns its figures.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.policies import ConstantReconnectionPolicy

from scripts.database.connection import ADMIN, Login, connected, say
from scripts.database.errors import DatabaseError, RingError
from scripts.tables import nodes
from scripts.tables.errors import TablesError
from scripts.tables.held import KINDS, held, job_name
from scripts.tables.pace import SLOWEST, Governor
from scripts.tables.patience import FIRST_BREAK, LONGEST_BREAK, Patience, StoppedError
from scripts.tables.progress import Part, Progress, Step
from scripts.tables.ranges import plan_ranges
from scripts.tables.request import read_data, read_ring

STREAMS = 4
RATE_SECONDS = 10
RECONNECT_SECONDS = 2.0
# How often nodes are asked what waits, and progress is put on disk where no part began or ended. At a slow pace there
# is little to hear or to repeat, and users would feel the questions and the waiting for the disk as much as the copy.
WAITING_SECONDS, WAITING_SECONDS_SLOW, SLOW_PACE = 3.0, 10.0, 100.0
WRITE_SECONDS = 5.0


class Work:
    """One job's work: where and what, how fast, how far. `count` and the parts may be used by several threads."""

    def __init__(self, name: str, document: Mapping[str, Any], progress: Progress, session: Session) -> None:
        self.name = name
        self.document = document
        self.data = read_data(document)
        self.progress = progress
        self.session = session
        self.stop = threading.Event()
        self.patience = Patience(self.stop)
        slowest = float(document.get("slowest", SLOWEST))
        self.governor = Governor(paced=bool(document.get("paced", True)), slowest=slowest)
        self.streams = int(document.get("streams", STREAMS))
        self.rows = 0  # by this process, unfinished parts included
        self.began = time.monotonic()
        self._begun: list[int] = []
        self._finished: dict[int, int] = {}
        self._closed = 0  # rows of parts that this process has finished
        self._written = 0.0
        self._recent: deque[tuple[float, int]] = deque(maxlen=RATE_SECONDS + 1)
        self._lock = threading.Lock()

    def count(self, rows: int) -> None:
        """Note that so many rows more are done."""
        with self._lock:
            self.rows += rows

    def go_on(self) -> None:
        """Raise StoppedError where the work was asked to stop."""
        if self.stop.is_set():
            raise StoppedError("stopped")

    def plan(self, source: str) -> None:
        """Cut the ring into ranges for the table `source`, once a job."""
        if not self.progress.planned(self.name, source):
            self.progress.plan(self.name, source, plan_ranges(self.session, self.data.keyspace, source))

    def each_part(self, do: Callable[[Part], int]) -> None:
        """Call `do` for every part that is not done yet, several at a time; it returns how many rows the part had.

        The first error ends all of them; a part of which not all was done counts as not begun.
        """
        parts: queue.SimpleQueue[Part] = queue.SimpleQueue()
        for part in self.progress.unfinished(self.name):
            parts.put(part)
        errors: list[BaseException] = []
        threads = [
            threading.Thread(target=self._stream, args=(parts, do, errors), daemon=True) for _ in range(self.streams)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise next((error for error in errors if not isinstance(error, StoppedError)), errors[0])

    def _stream(self, parts: queue.SimpleQueue[Part], do: Callable[[Part], int], errors: list[BaseException]) -> None:
        while not errors:
            try:
                part = parts.get_nowait()
            except queue.Empty:
                return
            try:
                self.go_on()
                with self._lock:
                    self._begun.append(part.place)
                rows = do(part)
                with self._lock:
                    self._finished[part.place] = rows
                    self._closed += rows
            except BaseException as error:
                errors.append(error)
                self.stop.set()  # the others may be waiting for a ring that has no part in this
                return

    def tick(self) -> None:
        """Note how far the work is, once a second; on disk where a part began or ended, or it has been some time."""
        self._recent.append((time.monotonic(), self.rows))
        with self._lock:
            is_news = bool(self._begun or self._finished)
        if is_news or time.monotonic() >= self._written + WRITE_SECONDS:
            self.write_down()

    def write_down(self) -> None:
        """Put on disk what was done since the last time; whatever cannot be written is kept for the next time."""
        with self._lock:
            begun, finished, still_open = self._begun, self._finished, max(self.rows - self._closed, 0)
            self._begun, self._finished = [], {}
        try:
            reason = self.patience.pausing or self.governor.reason
            self.progress.note(self.name, Step(begun, finished, self.rate(), self.governor.rate, reason, still_open))
        except sqlite3.Error:
            with self._lock:
                self._begun = begun + self._begun
                self._finished = {**finished, **self._finished}
            raise
        self._written = time.monotonic()

    def rate(self) -> float:
        """Return the rows a second of the last ten seconds."""
        if len(self._recent) < 2:
            return 0.0
        (first, before), (last, now) = self._recent[0], self._recent[-1]
        return (now - before) / max(last - first, 0.001)

    def figures(self) -> dict[str, Any]:
        """Return what every kind of work tells of itself."""
        known = self.progress.read(self.name) or {}
        return {
            **{key: known[key] for key in ("rows", "ranges", "ranges_done", "ranges_repeated", "started")},
            "rows_by_this_process": self.rows,
            "seconds": round(time.monotonic() - self.began, 1),
            "rows_per_second": round(self.rows / max(time.monotonic() - self.began, 0.001), 1),
            "retries": self.patience.retries,
            "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }


def run(document: Mapping[str, Any]) -> None:
    """Do the work that a document asks for, unless a process is at it already."""
    name, progress = job_name(document), Progress()
    with held(progress, name) as ours:
        if not ours:
            return
        progress.begin(name, str(document["kind"]), os.getpid())
        state, reason, figures = attempt(name, document, progress)
        progress.end(name, state, reason, figures)
        say(f"{name}: {state} {reason}")


def attempt(name: str, document: Mapping[str, Any], progress: Progress) -> tuple[str, str, dict[str, Any]]:
    """Do the work; return the state it ends in, why, and its figures."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        tell = partial(_tell, name, progress)
        with patiently_connected(document, stop, tell) as session:
            work = Work(name, document, progress, session)
            work.stop = work.patience.stop = stop
            with written_down(work):
                figures = kind_of_work(str(document["kind"]))(work)
            return "done", "", {**work.figures(), **figures}
    except StoppedError:
        return "failed", "it was stopped; started again, it goes on from there", {}
    except (TablesError, DatabaseError, DriverException, sqlite3.Error) as error:
        return "failed", str(error), {}
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}", {}


def kind_of_work(kind: str) -> Callable[[Work], dict[str, Any]]:
    """Return the function that does this kind of work."""
    module, _, function = KINDS[kind].partition(":")
    found: Callable[[Work], dict[str, Any]] = getattr(importlib.import_module(f"scripts.tables.{module}"), function)
    return found


@contextmanager
def patiently_connected(
    document: Mapping[str, Any], stop: threading.Event, tell: Callable[[str], None]
) -> Iterator[Session]:
    """Give a session; waits for a ring that does not answer yet, for work outlives outages, and tells so."""
    ring, tries = read_ring(document), 0
    while True:
        try:
            opening = connected(ring, Login(ADMIN, ring.admin_password))
            session = opening.__enter__()
            break
        except RingError as error:
            tries += 1
            tell(f"paused: {error}; goes on by itself")
            if stop.wait(min(FIRST_BREAK * 2**tries, LONGEST_BREAK)):
                raise StoppedError("stopped") from error
    # A node that comes back is used again at once: the driver would try less and less often, up to ten minutes apart.
    session.cluster.reconnection_policy = ConstantReconnectionPolicy(RECONNECT_SECONDS, None)
    try:
        yield session
    finally:
        opening.__exit__(None, None, None)


def _tell(name: str, progress: Progress, reason: str) -> None:
    """Let whoever asks for the job's state know why nothing moves."""
    say(f"{name}: {reason}")
    progress.note(name, Step((), {}, 0.0, None, reason))


@contextmanager
def written_down(work: Work) -> Iterator[None]:
    """Set the pace once a second while the work goes on, write progress down as often as it pays, and at its end."""
    over = threading.Event()
    ticker = threading.Thread(target=_tick, args=(work, over), daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()
        work.write_down()


def _tick(work: Work, over: threading.Event) -> None:
    asked = -WAITING_SECONDS_SLOW
    while not over.wait(1.0):
        try:
            work.tick()
            if work.governor.rate is None:
                continue
            waiting = None
            often = WAITING_SECONDS if work.governor.rate > SLOW_PACE else WAITING_SECONDS_SLOW
            if time.monotonic() >= asked + often:  # two requests to each node, beside those of the copy
                waiting, asked = nodes.waiting(work.session), time.monotonic()
            work.governor.adjust(work.progress.users(), work.progress.clock(), waiting)
        except (sqlite3.Error, DriverException, NoHostAvailable) as error:
            say(f"{work.name}: {error}")  # the next second tries again; at the end it counts


def main(arguments: list[str]) -> int:
    """Read the document and do what it asks for."""
    if len(arguments) != 1:
        print("scripts.tables.work: started by `python3 -m scripts.tables job`", file=sys.stderr)
        return 2
    if arguments[0] == "-":
        content = sys.stdin.read()
    else:
        place = Path(arguments[0])
        content = place.read_text("utf-8")
        place.unlink()  # it holds a password
    try:
        run(json.loads(content))
    except (TablesError, DatabaseError, sqlite3.Error) as error:
        print(f"scripts.tables.work: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
