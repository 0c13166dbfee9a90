"""How large a table is, by the nodes' own estimates: soon known, and minutes old."""

from __future__ import annotations

from dataclasses import dataclass

from cassandra.cluster import Session

from scripts.database.connection import rows_of

RANGES = (
    "SELECT mean_partition_size, partitions_count FROM system.size_estimates"
    " WHERE keyspace_name = %s AND table_name = %s"
)


@dataclass(frozen=True)
class Estimate:
    """About how many partitions a table has, and how many bytes, each replicated row counted once."""

    partitions: int
    size: int


def node_count(session: Session) -> int:
    """Return how many nodes the ring has."""
    return len(rows_of(session, "SELECT peer FROM system.peers_v2")) + 1


def estimate(session: Session, keyspace: str, table: str, nodes: int) -> Estimate | None:
    """Return about how large a table is in a ring of so many nodes; None until one has estimated it.

    A node estimates the ranges it is first replica of, every five minutes; one node stands for all of them.
    """
    found = rows_of(session, RANGES, [keyspace, table])
    if not found:
        return None
    partitions = sum(int(row.partitions_count) for row in found)
    size = sum(int(row.mean_partition_size) * int(row.partitions_count) for row in found)
    return Estimate(partitions * nodes, size * nodes)
