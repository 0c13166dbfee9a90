"""How far long work has come: an SQLite file of its own beside the journal, `tables.sqlite`.

A job is begun once and goes on whenever it is started again: its ranges are planned once, and a finished one stays
finished. What a running job has finished is written within a second, so a job that is killed repeats what it finished
within its last second and the ranges that were open, with the same timestamps.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.journal.beside import transaction
from scripts.tables.tokens import TokenRange

JOURNAL = "/var/lib/evenkeel/journal.sqlite"
FILE = "tables.sqlite"
TABLES = (
    "CREATE TABLE IF NOT EXISTS table_jobs (name TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL,"
    " reason TEXT NOT NULL, pid INTEGER, started INTEGER NOT NULL, began REAL NOT NULL, updated REAL NOT NULL,"
    " ended REAL, rate REAL NOT NULL, pace REAL, figures TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS table_job_ranges (job TEXT NOT NULL, place INTEGER NOT NULL, source TEXT NOT NULL,"
    " low INTEGER NOT NULL, high INTEGER NOT NULL, rows INTEGER, times INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (job, place)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS table_users (one INTEGER PRIMARY KEY CHECK (one = 1), p99_ms REAL NOT NULL,"
    " p99_before_ms REAL NOT NULL, at REAL NOT NULL)",
)


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the file is: beside the journal."""
    return Path(environment.get("EVENKEEL_JOURNAL", JOURNAL)).parent / FILE


@dataclass(frozen=True)
class Part:
    """One range of one table (the source's name) of a job, and how often it was begun before."""

    place: int
    source: str
    tokens: TokenRange
    times: int = 0


@dataclass(frozen=True)
class Users:
    """What the deployer last said of the users' 99th percentile, in milliseconds; `at` in seconds since the epoch."""

    p99_ms: float
    p99_before_ms: float
    at: float


@dataclass(frozen=True)
class Step:
    """What a job did since it was last written down: parts begun, and finished ones with their rows.

    `open_rows` are those done of parts that are not finished, for a person to see: killed, the job does them again.
    `rate` is what it does, `pace` what it may do (None: no limit), both in rows a second; `reason` says why.
    """

    begun: Sequence[int]
    finished: Mapping[int, int]
    rate: float
    pace: float | None
    reason: str
    open_rows: int = 0


class Progress:
    """All jobs' progress. Every method is one transaction, on disk when it returns; usable by several threads."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = path or default_path()
        self.clock = clock
        with self._transaction() as database:
            for table in TABLES:
                database.execute(table)

    def begin(self, job: str, kind: str, pid: int) -> None:
        """Note that a process works on this job from now on; the first one begins it."""
        now = self.clock()
        with self._transaction() as database:
            database.execute(
                "INSERT INTO table_jobs VALUES (?, ?, 'running', '', ?, 1, ?, ?, NULL, 0, NULL, '{}')"
                " ON CONFLICT (name) DO UPDATE SET state = 'running', reason = '', pid = excluded.pid,"
                " started = started + 1, updated = excluded.updated, ended = NULL, rate = 0",
                (job, kind, pid, now, now),
            )

    def plan(self, job: str, source: str, ranges: Sequence[TokenRange]) -> None:
        """Remember the ranges of one table, unless this job has some of it already."""
        with self._transaction() as database:
            query = "SELECT 1 FROM table_job_ranges WHERE job = ? AND source = ? LIMIT 1"
            if database.execute(query, (job, source)).fetchone():
                return
            first = database.execute("SELECT count(*) FROM table_job_ranges WHERE job = ?", (job,)).fetchone()[0]
            database.executemany(
                "INSERT INTO table_job_ranges (job, place, source, low, high) VALUES (?, ?, ?, ?, ?)",
                ((job, first + number, source, one.start, one.end) for number, one in enumerate(ranges)),
            )

    def planned(self, job: str, source: str) -> bool:
        """Whether the ranges of this table are known."""
        with self._transaction("DEFERRED") as database:
            query = "SELECT 1 FROM table_job_ranges WHERE job = ? AND source = ? LIMIT 1"
            return database.execute(query, (job, source)).fetchone() is not None

    def unfinished(self, job: str) -> list[Part]:
        """Return the parts that are still to do, in order."""
        query = "SELECT place, source, low, high, times FROM table_job_ranges WHERE job = ? AND rows IS NULL"
        with self._transaction("DEFERRED") as database:
            found = database.execute(f"{query} ORDER BY place", (job,)).fetchall()
        return [Part(place, source, TokenRange(low, high), times) for place, source, low, high, times in found]

    def finished(self, job: str) -> list[tuple[Part, int]]:
        """Return the parts that are done, in order, each with its number of rows."""
        query = "SELECT place, source, low, high, times, rows FROM table_job_ranges WHERE job = ? AND rows IS NOT NULL"
        with self._transaction("DEFERRED") as database:
            found = database.execute(f"{query} ORDER BY place", (job,)).fetchall()
        return [
            (Part(place, source, TokenRange(low, high), times), rows) for place, source, low, high, times, rows in found
        ]

    def note(self, job: str, step: Step) -> None:
        """Write down what happened since the last time."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE table_job_ranges SET times = times + 1 WHERE job = ? AND place = ?",
                ((job, place) for place in step.begun),
            )
            database.executemany(
                "UPDATE table_job_ranges SET rows = ? WHERE job = ? AND place = ?",
                ((rows, job, place) for place, rows in step.finished.items()),
            )
            database.execute(
                "UPDATE table_jobs SET rate = ?, pace = ?, reason = ?, updated = ?, figures = ? WHERE name = ?",
                (step.rate, step.pace, step.reason, self.clock(), json.dumps({"open_rows": step.open_rows}), job),
            )

    def end(self, job: str, state: str, reason: str, figures: Mapping[str, Any]) -> None:
        """Note how a job ended: done or failed."""
        now = self.clock()
        with self._transaction() as database:
            database.execute(
                "UPDATE table_jobs SET state = ?, reason = ?, figures = ?, updated = ?, ended = ?, pid = NULL"
                " WHERE name = ?",
                (state, reason, json.dumps(figures), now, now, job),
            )

    def hand_over(self, job: str, who: str) -> int:
        """Note that another program has copied what was left of a job; return how many parts that were."""
        now = self.clock()
        with self._transaction() as database:
            left = database.execute(
                "UPDATE table_job_ranges SET rows = 0 WHERE job = ? AND rows IS NULL", (job,)
            ).rowcount
            database.execute(
                "UPDATE table_jobs SET state = 'done', reason = ?, figures = ?, updated = ?, ended = ?, pid = NULL"
                " WHERE name = ?",
                (f"the rest was copied by {who}", json.dumps({"copied_by": who, "ranges_left": left}), now, now, job),
            )
        return int(left)

    def forget(self, job: str) -> None:
        """Let a job start from the beginning."""
        with self._transaction() as database:
            database.execute("DELETE FROM table_job_ranges WHERE job = ?", (job,))
            database.execute("DELETE FROM table_jobs WHERE name = ?", (job,))

    def read(self, job: str) -> dict[str, Any] | None:
        """Return what is known of a job; None for one that never began."""
        with self._transaction("DEFERRED") as database:
            database.row_factory = sqlite3.Row
            row = database.execute("SELECT * FROM table_jobs WHERE name = ?", (job,)).fetchone()
            if row is None:
                return None
            counted = database.execute(
                "SELECT count(*) AS ranges, count(rows) AS ranges_done, coalesce(sum(rows), 0) AS rows,"
                " coalesce(sum(max(times - 1, 0)), 0) AS ranges_repeated,"
                " coalesce(sum(1.0 * high - low), 0) AS width,"
                " coalesce(sum(CASE WHEN rows IS NULL THEN 0.0 ELSE 1.0 * high - low END), 0) AS width_done"
                " FROM table_job_ranges WHERE job = ?",
                (job,),
            ).fetchone()
        return {**dict(row), **dict(counted), "figures": json.loads(row["figures"])}

    def tell_users(self, users: Users) -> None:
        """Remember how users fare."""
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO table_users VALUES (1, ?, ?, ?)", (users.p99_ms, users.p99_before_ms, users.at)
            )

    def users(self) -> Users | None:
        """Return how users fare, as last told."""
        with self._transaction("DEFERRED") as database:
            row = database.execute("SELECT p99_ms, p99_before_ms, at FROM table_users").fetchone()
        return Users(*row) if row else None

    def _transaction(self, mode: str = "IMMEDIATE") -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path, mode)
