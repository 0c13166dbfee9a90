"""What was finished earlier, kept in the database: a small keyspace beside the service's, the administrator's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cassandra.cluster import Session

from scripts.database.connection import change, rows_of
from scripts.database.schema import ensure_keyspace, existing_columns


@dataclass(frozen=True)
class Notes:
    """Named JSON values in the table `note` of the keyspace that `open_notes` made."""

    session: Session
    keyspace: str

    def read(self, name: str, default: Any = None) -> Any:
        """Return the value noted under `name`."""
        query = f"SELECT value FROM {self.keyspace}.note WHERE name = %s"  # noqa: S608 - our own keyspace
        rows = rows_of(self.session, query, [name])
        return json.loads(rows[0].value) if rows else default

    def write(self, name: str, value: Any) -> None:
        """Note a value."""
        query = f"INSERT INTO {self.keyspace}.note (name, value) VALUES (%s, %s)"  # noqa: S608 - our own keyspace
        self.session.execute(query, (name, json.dumps(value)))


def open_notes(session: Session, keyspace: str, datacenter: str, factor: int) -> Notes:
    """Return the notes kept beside `keyspace`, made where they are missing."""
    name = f"{keyspace}_notes"
    ensure_keyspace(session, name, datacenter, factor)
    if not existing_columns(session, name, "note"):
        change(session, f"CREATE TABLE IF NOT EXISTS {name}.note (name text PRIMARY KEY, value text)")
    return Notes(session, name)
