"""Keyspaces and tables: what differs from the wanted state, and the statements that bring it there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cassandra.cluster import Session

from scripts.database.connection import change, rows_of, say
from scripts.database.errors import DatabaseError
from scripts.database.request import TableSpec

# Keyspaces of Cassandra's own whose loss would be felt: roles and rights, repair's history, traces.
SYSTEM_KEYSPACES = ("system_auth", "system_distributed", "system_traces")
STRATEGY = "NetworkTopologyStrategy"


@dataclass(frozen=True)
class Column:
    """A column as system_schema.columns has it; `position` is -1 outside the key."""

    name: str
    type: str
    kind: str
    position: int


def replication(datacenter: str, factor: int) -> dict[str, str]:
    """Return the replication of a keyspace as system_schema.keyspaces writes it."""
    return {"class": f"org.apache.cassandra.locator.{STRATEGY}", datacenter: str(factor)}


def replication_clause(datacenter: str, factor: int) -> str:
    """Return the same as CQL writes it."""
    return f"replication = {{'class': '{STRATEGY}', '{datacenter}': {factor}}}"


def ensure_keyspace(session: Session, keyspace: str, datacenter: str, factor: int) -> bool:
    """Create `keyspace` or correct its replication; return whether the replication of existing rows changed."""
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    found = rows_of(session, query, [keyspace])
    clause = replication_clause(datacenter, factor)
    if not found:
        change(session, f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH {clause}")
        say(f"created the keyspace {keyspace}")
        return False
    if dict(found[0].replication) == replication(datacenter, factor):
        return False
    change(session, f"ALTER KEYSPACE {keyspace} WITH {clause}")
    say(f"{keyspace} now has {factor} replicas of each row")
    return True


def create_table(keyspace: str, table: TableSpec) -> str:
    """Return the statement that creates `table`."""
    columns = ", ".join(f"{name} {kind}{' static' * (name in table.static)}" for name, kind in table.columns.items())
    key = ", ".join(table.primary_key)
    return f"CREATE TABLE IF NOT EXISTS {keyspace}.{table.name} ({columns}, PRIMARY KEY ({key}))"


def differences(table: TableSpec, found: Mapping[str, Column]) -> list[str]:
    """Return how the existing columns differ from the wanted ones, each as a few words; none when they are equal."""
    words = [f"{name} is missing" for name in table.columns if name not in found]
    words += [f"{name} is not in the manifest" for name in found if name not in table.columns]
    for name, kind in table.columns.items():
        if name in found and _plain(found[name].type) != _plain(kind):
            words.append(f"{name} is {found[name].type}, the manifest says {kind}")
        if name in found and (found[name].kind == "static") != (name in table.static):
            words.append(f"{name} is static in {'the manifest' if name in table.static else 'the database'} only")
    key = existing_key(found)
    if key != table.primary_key:
        words.append(f"the primary key is ({', '.join(key)}), the manifest says ({', '.join(table.primary_key)})")
    return words


def existing_key(found: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the names of the key's columns in order, the partition key's first."""
    parts = [column for column in found.values() if column.kind in ("partition_key", "clustering")]
    ordered = sorted(parts, key=lambda column: (column.kind != "partition_key", column.position))
    return tuple(column.name for column in ordered)


def ensure_table(session: Session, keyspace: str, table: TableSpec) -> str:
    """Create `table`, or check that it is as wanted; return "created" or "present"."""
    found = existing_columns(session, keyspace, table.name)
    if not found:
        change(session, create_table(keyspace, table))
        say(f"created the table {keyspace}.{table.name}")
        return "created"
    if words := differences(table, found):
        raise DatabaseError(
            f"the table {keyspace}.{table.name} differs from the manifest ({'; '.join(words)}), and a table in use is "
            "never altered in place: give the new form a name of its own, or correct the manifest"
        )
    return "present"


def existing_columns(session: Session, keyspace: str, table: str) -> dict[str, Column]:
    """Return the columns of a table by name; empty when there is no such table."""
    query = (
        "SELECT column_name, type, kind, position FROM system_schema.columns"
        " WHERE keyspace_name = %s AND table_name = %s"
    )
    rows: list[Any] = rows_of(session, query, [keyspace, table])
    return {row.column_name: Column(row.column_name, row.type, row.kind, row.position) for row in rows}


def _plain(kind: str) -> str:
    """Return a type without its spaces; `varchar` is another word for `text`."""
    return re.sub(r"\bvarchar\b", "text", kind.replace(" ", "").lower())
