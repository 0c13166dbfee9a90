"""One transaction of the journal: its clock, its statements, and the event that every change leaves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any


class Transaction:
    """What a verb works with. `now` stands still while it runs."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._connection = connection
        self.now = now

    def run(self, statement: str, *values: object) -> int:
        """Run a statement; the number that an insert gave its row."""
        return self._connection.execute(statement, values).lastrowid or 0

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, if there is one."""
        found: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return found

    def event(self, kind: str, text: str, release: str | None = None, data: Mapping[str, Any] | None = None) -> int:
        """Append to the audit; the event's number."""
        return self.run(
            "INSERT INTO events (at, kind, release, text, data) VALUES (?, ?, ?, ?, ?)",
            self.now,
            kind,
            release,
            text,
            json.dumps(data or {}, ensure_ascii=False),
        )
