"""What the webhook remembers, in the journal's database: ids it has accepted, and how far each URL has been told.

Two tables of its own beside the journal's, so that one file holds all of it and survives a restart together.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path

from scripts.journal.beside import transaction

# Far longer than a signature is good for, so that a clock that is set back a little opens nothing.
REMEMBER_SECONDS = 24 * 3600.0
TABLES = (
    "CREATE TABLE IF NOT EXISTS webhook_nonces (id TEXT PRIMARY KEY, seen REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS webhook_delivered (url TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
)


class Memory:
    """The webhook's own tables. Every method is one transaction, on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._transaction() as database:
            for table in TABLES:
                database.execute(table)

    def accept(self, identity: str, now: float) -> bool:
        """Remember an id; False when it has been seen before."""
        with self._transaction() as database:
            database.execute("DELETE FROM webhook_nonces WHERE seen < ?", (now - REMEMBER_SECONDS,))
            added = database.execute("INSERT OR IGNORE INTO webhook_nonces VALUES (?, ?)", (identity, now))
            return added.rowcount == 1

    def forget(self, identity: str) -> None:
        """Let an id be used again: what it asked for has not been done."""
        with self._transaction() as database:
            database.execute("DELETE FROM webhook_nonces WHERE id = ?", (identity,))

    def delivered(self, url: str) -> int | None:
        """The number of the last event that this URL (its fingerprint) is done with; None when it is new."""
        with self._transaction() as database:
            row = database.execute("SELECT number FROM webhook_delivered WHERE url = ?", (url,)).fetchone()
            return int(row[0]) if row else None

    def set_delivered(self, url: str, number: int) -> None:
        """Remember that this URL is done with the events up to `number`."""
        with self._transaction() as database:
            database.execute("INSERT OR REPLACE INTO webhook_delivered VALUES (?, ?)", (url, number))

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path)
