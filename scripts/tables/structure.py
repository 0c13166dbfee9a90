"""The tables themselves: what there is, and the new ones made like the old ones. Their end is in ending.py.

inspect  {"nodes": {address: {"up"}}, "agreement", "tables": {name: {"columns", "dropped", "key", "triggers",
          "gc_grace_seconds", "counter", "rows"}}} of the release's tables that are there; `rows` is an estimate,
          `dropped` has columns that the table had once
create   the release's new tables, as the old ones are stored, with the service's rights: {"tables": {name: how}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cassandra.cluster import Session

from components.data import Created, TableChange, comparable_type
from scripts.database.connection import ADMIN, Login, addresses_up, change, connected, rows_of, say, schema_versions
from scripts.database.request import TableSpec
from scripts.database.roles import ensure_rights
from scripts.database.schema import Column, existing_columns, existing_key
from scripts.tables.counting import count_all, tables_there
from scripts.tables.errors import Refused
from scripts.tables.mirroring import exists, require_whole, triggers
from scripts.tables.request import read_data, read_ring

LOOK_SECONDS = 10.0  # for all tables together
NUMBERS = (
    *("bloom_filter_fp_chance", "crc_check_chance", "default_time_to_live", "gc_grace_seconds"),
    *("max_index_interval", "memtable_flush_period_in_ms", "min_index_interval"),
)
TEXTS = ("additional_write_policy", "read_repair", "speculative_retry")
MAPS = ("caching", "compaction", "compression")


def inspect(document: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the nodes and at the release's tables, old and new."""
    data, ring = read_data(document), read_ring(document)
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        up = addresses_up(session)
        known = {str(host.address) for host in session.cluster.metadata.all_hosts()} | set(ring.contact_points)
        query = "SELECT table_name, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = %s"
        graces = {row.table_name: row.gc_grace_seconds for row in rows_of(session, query, [data.keyspace])}
        there = tables_there(session, data)
        counted = count_all(session, data.keyspace, there, LOOK_SECONDS)
        return {
            "nodes": {address: {"up": address in up} for address in sorted(known)},
            "agreement": len(schema_versions(session)) == 1,
            "tables": {
                name: {
                    **look(session, data.keyspace, name, columns),
                    "gc_grace_seconds": graces[name],
                    "rows": counted[name].rows,
                }
                for name, columns in there.items()
            },
        }


def look(session: Session, keyspace: str, table: str, columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return what the schema says of one table with these columns."""
    return {
        "columns": {name: column.type for name, column in columns.items()},
        "dropped": dropped_columns(session, keyspace, table),
        "key": list(existing_key(columns)),
        "triggers": sorted(triggers(session, keyspace, table)),
        "counter": any(column.type == "counter" for column in columns.values()),
    }


def dropped_columns(session: Session, keyspace: str, table: str) -> list[str]:
    """Return the columns that a table had once; its files may have them still."""
    query = "SELECT column_name FROM system_schema.dropped_columns WHERE keyspace_name = %s AND table_name = %s"
    return sorted(row.column_name for row in rows_of(session, query, [keyspace, table]))


# --- Making ----------------------------------------------------------------------------------------------------------


def create(document: Mapping[str, Any]) -> dict[str, Any]:
    """Make the new tables; those that are there must be what they should be."""
    data, ring = read_data(document), read_ring(document)
    made: dict[str, str] = {}
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        require_whole(session, ring)
        for each in data.tables:
            if not exists(session, data.keyspace, each.source):
                raise Refused(f"there is no table {data.keyspace}.{each.source} to make {each.target} from")
            order, options = stored(session, data.keyspace, each.source)
            made[each.target] = ensure(session, data.keyspace, as_made(each), (*order, *options))
        for new in data.created:
            made[new.target] = ensure(session, data.keyspace, new, ())
        specs = tuple(TableSpec(name, {}, ()) for name in made)
        rights = ensure_rights(session, data.keyspace, specs)
    return {"tables": made, "rights_granted": rights}


def as_made(each: TableChange) -> Created:
    """Return the new table of a change as one that is made from nothing."""
    return Created(each.name, each.target, each.key, each.partition, each.target_columns, each.statics)


def ensure(session: Session, keyspace: str, new: Created, options: tuple[str, ...]) -> str:
    """Make a table, or hold that the one of its name has these columns and this key."""
    found = existing_columns(session, keyspace, new.target)
    if not found:
        change(session, statement(keyspace, new, options))
        say(f"created the table {keyspace}.{new.target}")
        return "created"
    there = {name: comparable_type(column.type) for name, column in found.items()}
    wanted = {name: comparable_type(kind) for name, kind in new.columns.items()}
    statics = {name for name, column in found.items() if column.kind == "static"}
    if there != wanted or tuple(existing_key(found)) != new.key or statics != set(new.statics):
        raise Refused(f"there is a table {keyspace}.{new.target} already, and it is another one; see what it is")
    return "present"


def statement(keyspace: str, new: Created, options: tuple[str, ...]) -> str:
    """Return the statement that makes a table."""
    columns = [f"{name} {kind}{' static' if name in new.statics else ''}" for name, kind in new.columns.items()]
    key = ", ".join([f"({', '.join(new.partition)})", *new.key[len(new.partition) :]])
    having = f" WITH {' AND '.join(options)}" if options else ""
    return f"CREATE TABLE IF NOT EXISTS {keyspace}.{new.target} ({', '.join(columns)}, PRIMARY KEY ({key})){having}"


def stored(session: Session, keyspace: str, table: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return how a table orders and stores its rows, as parts of a statement."""
    query = (
        "SELECT column_name, clustering_order, position FROM system_schema.columns"
        " WHERE keyspace_name = %s AND table_name = %s"
    )
    clustering = [row for row in rows_of(session, query, [keyspace, table]) if row.clustering_order in ("asc", "desc")]
    ordered = sorted(clustering, key=lambda row: int(row.position))
    listed = ", ".join(f"{row.column_name} {row.clustering_order.upper()}" for row in ordered)
    order = (f"CLUSTERING ORDER BY ({listed})",) if listed else ()
    query = "SELECT * FROM system_schema.tables WHERE keyspace_name = %s AND table_name = %s"
    return order, options_of(rows_of(session, query, [keyspace, table])[0]._asdict())


def options_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of a row of system_schema.tables as CQL writes them; those of other releases are left out."""
    numbers = [f"{name} = {row[name]}" for name in NUMBERS if row.get(name) is not None]
    texts = [f"{name} = '{row[name]}'" for name in TEXTS if row.get(name)]
    maps = [f"{name} = {literal(row[name])}" for name in MAPS if row.get(name)]
    return (*numbers, *texts, *maps)


def literal(entries: Mapping[str, str]) -> str:
    """Return a map of texts as CQL writes it."""
    return "{" + ", ".join(f"'{key}': '{value}'" for key, value in entries.items()) + "}"
