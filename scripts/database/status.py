"""The ring as it is now: which nodes answer, whether they agree, about how many rows each table has."""

from __future__ import annotations

from typing import Any

from cassandra.cluster import Session

from scripts.database.connection import ADMIN, Login, addresses_up, connected, rows_of, schema_versions
from scripts.database.estimates import estimate, node_count
from scripts.database.request import Ring


def status(ring: Ring, keyspace: str) -> dict[str, Any]:
    """Return the ring's state as plain data. Cheap: reads small system tables of one node, counts nothing."""
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        up = addresses_up(session)
        versions = sorted(schema_versions(session))
        return {
            "nodes": [{"address": address, "up": address in up} for address in ring.contact_points],
            "schema_versions": versions,
            "agreed": len(versions) == 1,
            "rows": row_estimates(session, keyspace),
        }


def row_estimates(session: Session, keyspace: str) -> dict[str, int | None]:
    """Return about how many partitions each table of `keyspace` has; None until a node has estimated it."""
    tables = rows_of(session, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", [keyspace])
    nodes = node_count(session)
    found = {table.table_name: estimate(session, keyspace, table.table_name, nodes) for table in tables}
    return {name: about.partitions if about else None for name, about in found.items()}
