"""Transactions for those who keep something beside the journal: in tables of their own, in its file or another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_SECONDS = 10.0


@contextmanager
def transaction(path: Path, mode: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """Give a connection of its own; what is done with it is on disk afterwards, or undone after an error.

    A connection for each call: they are rare, and no thread then ever holds one that another waits for.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=FULL")
        database.execute(f"BEGIN {mode}")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
