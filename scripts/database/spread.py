"""Bring all replicas of a keyspace level, through nothing but reads.

A read at ALL compares every replica and mends the ones that lag before it answers. It does what `nodetool repair` does
for a keyspace as small as the roles', and needs no access to the nodes' management ports.
"""

from __future__ import annotations

from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from scripts.database.connection import rows_of, say

PAGE = 500


def spread(session: Session, keyspace: str) -> int:
    """Read every row of every table of `keyspace` at ALL; return how many there were. Needs every node up."""
    tables = rows_of(session, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", [keyspace])
    total = 0
    for row in tables:
        statement: Any = SimpleStatement(
            f"SELECT * FROM {keyspace}.{row.table_name}",  # noqa: S608 - names come from the schema itself
            consistency_level=ConsistencyLevel.ALL,
            fetch_size=PAGE,
        )
        total += sum(1 for _ in session.execute(statement, timeout=60))
    say(f"{keyspace}: {total} rows are on all their replicas")
    return total
