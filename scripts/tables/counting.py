"""How many rows tables have: counted where that is soon done, else about how many, from a part of the ring.

count  {"tables": {name: rows}, "about": [names]} of the release's tables that are there; `about` are the estimates
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cassandra import OperationTimedOut, ReadTimeout
from cassandra.cluster import Session

from components.data import Data
from scripts.database.connection import ADMIN, Login, connected
from scripts.database.estimates import estimate, node_count
from scripts.database.schema import Column, existing_columns
from scripts.tables.request import read_data, read_ring

COUNT_SECONDS = 60.0  # for all tables together
LEAST_PARTS, PART_PARTITIONS = 64, 10_000
STRIDE = 7919  # a prime: parts from all over the ring, in an order that is always the same


@dataclass(frozen=True)
class Counted:
    """How many rows a table has, or about how many."""

    rows: int
    is_exact: bool


def count(document: Mapping[str, Any]) -> dict[str, Any]:
    """Count the rows of the release's tables, those that are there."""
    data, ring = read_data(document), read_ring(document)
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        found = count_all(session, data.keyspace, tables_there(session, data), COUNT_SECONDS)
    return {
        "tables": {name: counted.rows for name, counted in found.items()},
        "about": [name for name, counted in found.items() if not counted.is_exact],
    }


def tables_there(session: Session, data: Data) -> dict[str, dict[str, Column]]:
    """Return the columns of every table that the release is about, of those that are there."""
    names = [*data.paired, *(made.target for made in data.created)]
    columns = {name: existing_columns(session, data.keyspace, name) for name in names}
    return {name: found for name, found in columns.items() if found}


def count_all(
    session: Session, keyspace: str, there: Mapping[str, Mapping[str, Column]], seconds: float
) -> dict[str, Counted]:
    """Count the rows of tables, given with their columns, in so many seconds together."""
    return {
        name: count_rows(session, keyspace, name, partition_of(columns), seconds / len(there))
        for name, columns in there.items()
    }


def count_rows(session: Session, keyspace: str, table: str, partition: tuple[str, ...], seconds: float) -> Counted:
    """Count a table's rows, part by part of the ring; what is left when the time is over counts like what was seen.

    Parts are small where nodes estimate many partitions, so that a large table is known by many of them.
    """
    about = estimate(session, keyspace, table, node_count(session))
    partitions = about.partitions if about else 0
    parts = max(partitions // PART_PARTITIONS, LEAST_PARTS)
    parts += parts % STRIDE == 0
    token = f"token({', '.join(partition)})"
    query = f"SELECT COUNT(*) AS rows FROM {keyspace}.{table} WHERE {token} >= %s AND {token} <= %s"  # noqa: S608 - names
    rows = done = 0
    give_up = time.monotonic() + seconds
    while done < parts and (left := give_up - time.monotonic()) > 0:
        try:
            rows += count_part(session, query, done * STRIDE % parts, parts, left)
        except (OperationTimedOut, ReadTimeout):
            break
        done += 1
    if done == 0:
        return Counted(partitions, False)
    return Counted(rows * parts // done, done == parts)


def count_part(session: Session, query: str, place: int, parts: int, seconds: float) -> int:
    """Count the rows of one of so many parts of the ring."""
    first, last = (-(2**63) + 2**64 * number // parts for number in (place, place + 1))
    return int(next(iter(session.execute(query, (first, last - 1), timeout=seconds))).rows)


def partition_of(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the names of the partition key's columns, in order."""
    parts = [column for column in columns.values() if column.kind == "partition_key"]
    return tuple(column.name for column in sorted(parts, key=lambda column: column.position))
