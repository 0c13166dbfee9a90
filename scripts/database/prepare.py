"""Bring a ring to the wanted state, in the order in which an interruption does no harm."""

from __future__ import annotations

import time
from typing import Any

from cassandra.cluster import Session

from scripts.database.connection import addresses_up, wait_for_nodes
from scripts.database.notes import Notes, open_notes
from scripts.database.request import Request
from scripts.database.roles import administered, drop_default_login, ensure_app_role, ensure_rights
from scripts.database.schema import (
    SYSTEM_KEYSPACES,
    differences,
    ensure_keyspace,
    ensure_table,
    existing_columns,
)
from scripts.database.seed import ensure_rows
from scripts.database.spread import spread


def prepare(request: Request) -> dict[str, Any]:
    """Make roles, keyspaces, tables, rights and seed rows; return what was done, as plain data."""
    begin = time.monotonic()
    with administered(request.ring) as session:
        notes = _prepare_keyspaces(session, request)
        dropped = drop_default_login(session)
        role = ensure_app_role(session, request.ring, request.app_password)
        tables, rights, rows = _first_tables(session, notes, request)
        return {
            "nodes": len(addresses_up(session)),
            "keyspace": request.keyspace,
            "replication_factor": request.replication_factor,
            "tables": tables,
            "app_role": role,
            "rights_granted": rights,
            "default_login_dropped": dropped,
            "rows_written": rows,
            "seconds": round(time.monotonic() - begin, 1),
        }


def _prepare_keyspaces(session: Session, request: Request) -> Notes:
    """Make the keyspaces; where the replication is another than noted, bring the replicas level before going on.

    The note is written last: a run that stopped in between does it again. Only this part needs every node up.
    """
    datacenter, factor = request.ring.datacenter, request.replication_factor
    wanted = {datacenter: factor}
    if _noted_replication(session, request) == wanted:
        return Notes(session, f"{request.keyspace}_notes")
    wait_for_nodes(session, request.ring)
    for keyspace in (*SYSTEM_KEYSPACES, request.keyspace):
        ensure_keyspace(session, keyspace, datacenter, factor)
    notes = open_notes(session, request.keyspace, datacenter, factor)
    for keyspace in ("system_auth", request.keyspace, notes.keyspace):
        spread(session, keyspace)
    notes.write("replication", wanted)
    return notes


def _noted_replication(session: Session, request: Request) -> Any:
    """Return the replication for which the replicas were brought level last; None on a new ring."""
    keyspace = f"{request.keyspace}_notes"
    query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'note'"
    if not list(session.execute(query, (keyspace,))):
        return None
    return Notes(session, keyspace).read("replication")


def _first_tables(session: Session, notes: Notes, request: Request) -> tuple[dict[str, str], int, int]:
    """Make the tables a new database starts with, rights and rows; return what was done with each.

    Once: from then on releases make tables and drop them, and what one has dropped must not come back. Those that are
    still as they were made get rights and rows that are missing.
    """
    seeded = any(notes.read(f"seeded {table.name}") is not None for table in request.tables)
    were_made = seeded or notes.read("tables") is not None  # the first note is older than the second
    there = {table.name: existing_columns(session, request.keyspace, table.name) for table in request.tables}
    kept = tuple(t for t in request.tables if not were_made or (there[t.name] and not differences(t, there[t.name])))
    done = {table.name: ensure_table(session, request.keyspace, table) for table in kept}
    rights = ensure_rights(session, request.keyspace, kept)
    if not were_made:
        notes.write("tables", [table.name for table in request.tables])
    rows = ensure_rows(session, notes, request.keyspace, kept[0], request.seed_rows) if kept else 0
    return done, rights, rows
