"""What waits on each node, as its own virtual tables tell."""

from __future__ import annotations

from typing import Any

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session

ASK_SECONDS = 2.0
UNANSWERED = (DriverException, NoHostAvailable, OSError)  # the second is none of the first
REQUESTS = ("MutationStage", "ReadStage", "Native-Transport-Requests")
POOLS = "SELECT name, pending_tasks FROM system_views.thread_pools"
HINTS = "SELECT files FROM system_views.pending_hints"
KEPT = "SELECT address, files FROM system_views.pending_hints"
HANDING_OVER = "SELECT active_tasks, pending_tasks FROM system_views.thread_pools WHERE name = 'HintsDispatcher'"


def waiting(session: Session) -> dict[str, Any]:
    """Return the most that waits on any node that is up: {"pending", "compactions", "hints"}.

    A node that does not answer in two seconds counts as one where too much waits.
    """
    pending = compactions = 0
    hints = False
    for host in session.cluster.metadata.all_hosts():
        if not host.is_up:
            continue
        try:
            pools = {row.name: row.pending_tasks for row in session.execute(POOLS, host=host, timeout=ASK_SECONDS)}
            hints = hints or bool(list(session.execute(HINTS, host=host, timeout=ASK_SECONDS)))
        except UNANSWERED:
            pending = max(pending, 1_000)
            continue
        pending = max(pending, *(pools.get(name, 0) for name in REQUESTS))
        compactions = max(compactions, pools.get("CompactionExecutor", 0))
    return {"pending": pending, "compactions": compactions, "hints": hints}


def with_hints(session: Session) -> list[str]:
    """Return the addresses of the nodes that keep writes which another node has missed (hints), or do not tell."""
    return sorted(str(host.address) for host in session.cluster.metadata.all_hosts() if keeps_hints(session, host))


def keeps_hints(session: Session, host: Any) -> bool:
    """Tell whether a node keeps hints; those for a node that has left the ring do not count.

    A file that is being handed over is in no list. What is not in a closed file yet is seen by nobody, for some 12 s.
    """
    try:
        kept = list(session.execute(KEPT, host=host, timeout=ASK_SECONDS))
        at_work = list(session.execute(HANDING_OVER, host=host, timeout=ASK_SECONDS))
    except UNANSWERED:
        return True
    return any(row.address and row.files for row in kept) or any(
        row.active_tasks or row.pending_tasks for row in at_work
    )
