"""The verb `conditional`: which tables are written with conditions (IF …), as each node's `system.paxos` remembers.

    {"ring", "data"} -> {"tables": {name: [addresses]}}, the release's old tables that are, with the nodes that know

A node keeps what it has promised and accepted for each partition that was ever written so, for as long as the table's
gc_grace_seconds; no other place tells of such writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from cassandra.cluster import Session

from scripts.database.connection import ADMIN, Login, connected
from scripts.tables.request import read_data, read_ring

TABLES = "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = %s"
PROMISES = "SELECT cf_id FROM system.paxos"
ASK_SECONDS = 20.0


def conditional(document: Mapping[str, Any]) -> dict[str, Any]:
    """Ask every node that is up."""
    data, ring = read_data(document), read_ring(document)
    sources = {change.source for change in data.tables}
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        ids = {row.id: row.table_name for row in session.execute(TABLES, (data.keyspace,))}
        found: dict[str, list[str]] = {}
        for host in session.cluster.metadata.all_hosts():
            if host.is_up:
                for name in sorted({ids[one] for one in remembered(session, host) if ids.get(one) in sources}):
                    found.setdefault(name, []).append(str(host.address))
    return {"tables": found}


def remembered(session: Session, host: Any) -> set[UUID]:
    """Return the ids of the tables for which a node keeps conditional writes."""
    return {row.cf_id for row in session.execute(PROMISES, host=host, timeout=ASK_SECONDS)}
