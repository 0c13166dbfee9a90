"""What Cassandra Data Migrator says of its last run: it ends well also where it has left rows out.

It keeps its own account in the target's keyspace (its TargetUpsertRunDetailsStatement.java).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cassandra import DriverException

from scripts.database.connection import ADMIN, Login, connected
from scripts.database.errors import DatabaseError
from scripts.database.request import Ring
from scripts.tables.errors import TablesError

LAST_RUN = (
    "SELECT run_id, status, run_info FROM {keyspace}.cdm_run_info WHERE table_name = %s ORDER BY run_id DESC LIMIT 1"
)
FAILED_PARTS = re.compile(r"Partitions Failed\s*:\s*(\d+)")


def require_whole(ring: Ring, keyspace: str, tables: Sequence[str]) -> None:
    """Raise TablesError where the migrator's last run of one of these tables left something out."""
    try:
        with connected(ring, Login(ADMIN, ring.admin_password)) as session:
            for table in tables:
                last = session.execute(LAST_RUN.format(keyspace=keyspace), (table,)).one()
                if reason := left_out(table, last):
                    raise TablesError(reason)
    except (DatabaseError, DriverException) as error:
        raise TablesError(f"what Cassandra Data Migrator left out cannot be read: {error}") from error


def left_out(table: str, run: Any) -> str:
    """Return what a run of the migrator (its run_id, status and run_info) has left out, "" when nothing."""
    if run is None:
        return f"Cassandra Data Migrator has no run of {table}; the release's own copy goes on"
    failed = FAILED_PARTS.search(run.run_info or "")
    if run.status == "ENDED" and failed and int(failed[1]) == 0:
        return ""
    parts = f"{failed[1]} parts" if failed else "some"
    return (
        f"Cassandra Data Migrator left out {parts} of {table}, its output says why; the release's own copy goes on, and"
        f" the same with --run {run.run_id} tries them again"
    )
