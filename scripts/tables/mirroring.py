"""The mirror on a pair of tables: on, off, tried on every node; and what makes it true that every write meets it.

    mirror    {"direction": "forward" | "reverse", "on": bool}   forward: what the old table is told reaches the new one
    mirrored  {}                                                 whether each table has its trigger
    probe     {}                                                 a write through each node, on tables of its own

A trigger counts from the moment when no write is under way any more that began without it. Three things see to that:
all nodes are up and agree on the schema; statements that clients prepared before are forgotten (a prepared statement
keeps the table as it was then, its triggers included: Cassandra 5.0 prepares it anew only where a change concerns
columns or a few options, of which `gc_grace_seconds` harms nobody); and then longer passes than a write may take. The
same when a trigger goes, or late statements would look for a twin that is no more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from cassandra import DriverException, InvalidRequest
from cassandra.cluster import NoHostAvailable, Session

from components.data import Data
from scripts.database.connection import (
    ADMIN,
    Login,
    addresses_up,
    agree,
    change,
    connected,
    patiently,
    rows_of,
    say,
)
from scripts.database.errors import RingError
from scripts.database.request import Ring
from scripts.database.schema import ensure_keyspace
from scripts.tables.errors import MisuseError, Refused, TablesError
from scripts.tables.request import read_data, read_ring

AGREE_SECONDS = 30.0  # nodes tell each other of a change within seconds
TRIGGER, CLASS = "evenkeel_mirror", "evenkeel.Mirror"
PROBE, TWIN = "probe", "probe_twin"
PROBE_COLUMNS = "(id text PRIMARY KEY, at bigint)"
SETTING = "SELECT value FROM system_views.settings WHERE name = %s"
WRITE = "write_request_timeout"
SLOWEST_SECONDS = 10.0  # where a node does not tell its own
SPARE_SECONDS = 1.0
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def mirror(document: Mapping[str, Any]) -> dict[str, Any]:
    """Turn one direction on or off; return {"tables": [names], "settled_seconds"}. May be done again at any point."""
    data, ring = read_data(document), read_ring(document)
    direction, on = document.get("direction"), document.get("on")
    if direction not in ("forward", "reverse") or not isinstance(on, bool):
        raise MisuseError("mirror takes {direction: forward or reverse, on: true or false}")
    names = [each.source if direction == "forward" else each.target for each in data.tables]
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        require_whole(session, ring)
        if on:
            try_nodes(session, ring, data, names)
            for name in names:
                create_trigger(session, data.keyspace, name)
        else:
            for name in names:
                drop_trigger(session, data.keyspace, name)
        settled = settle(session, data.keyspace, names)
        require_still_whole(session, ring)
        return {"tables": names, "settled_seconds": settled}


def mirrored(document: Mapping[str, Any]) -> dict[str, Any]:
    """Tell which tables of the pairs have their trigger: {"tables": {name: bool}}."""
    data, ring = read_data(document), read_ring(document)
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        return {"tables": {name: TRIGGER in triggers(session, data.keyspace, name) for name in data.paired}}


def probe(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write through every node and look for the twin; return {"nodes": [addresses]}. Refused, naming those who fail."""
    data, ring = read_data(document), read_ring(document)
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        require_whole(session, ring)
        return {"nodes": try_nodes(session, ring, data, [])}


def require_whole(session: Session, ring: Ring) -> None:
    """Refuse to change the schema while a node is down or has another one: it would not mirror when it comes back."""
    known = {str(host.address) for host in session.cluster.metadata.all_hosts()} | set(ring.contact_points)
    down = sorted(known - addresses_up(session))
    if down:
        raise Refused(f"the database {counted(down)} down; triggers change only while every node is up", {"down": down})
    try:
        patiently("one schema on every node", AGREE_SECONDS, lambda: agree(session))
    except RingError as error:
        raise Refused(f"{error}; try again in a minute") from error


def require_still_whole(session: Session, ring: Ring) -> None:
    """Fail where a node went away while triggers changed: cut off, it may take writes without having heard of them."""
    try:
        require_whole(session, ring)
    except Refused as error:
        raise TablesError(f"triggers were changed, but not every node is known to have heard of it: {error}") from error


def counted(addresses: list[str]) -> str:
    """Say «node x is» or «nodes x, y are»."""
    return (
        f"{'node' if len(addresses) == 1 else 'nodes'} {', '.join(addresses)} {'is' if len(addresses) == 1 else 'are'}"
    )


# --- Triggers --------------------------------------------------------------------------------------------------------


def triggers(session: Session, keyspace: str, table: str) -> dict[str, str]:
    """Return a table's triggers: class by name."""
    query = "SELECT trigger_name, options FROM system_schema.triggers WHERE keyspace_name = %s AND table_name = %s"
    return {row.trigger_name: dict(row.options)["class"] for row in rows_of(session, query, [keyspace, table])}


def exists(session: Session, keyspace: str, table: str) -> bool:
    """Return whether there is such a table."""
    query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s AND table_name = %s"
    return bool(rows_of(session, query, [keyspace, table]))


def create_trigger(session: Session, keyspace: str, table: str) -> None:
    """Have a table mirrored."""
    if not exists(session, keyspace, table):
        raise Refused(f"there is no table {keyspace}.{table} to mirror")
    found = triggers(session, keyspace, table)
    if found.get(TRIGGER, CLASS) != CLASS:
        raise Refused(f"{keyspace}.{table} has a trigger {TRIGGER} that is none of ours ({found[TRIGGER]}); drop it")
    if TRIGGER not in found:
        change(session, f"CREATE TRIGGER IF NOT EXISTS {TRIGGER} ON {keyspace}.{table} USING '{CLASS}'")
        say(f"{keyspace}.{table} is mirrored")


def drop_trigger(session: Session, keyspace: str, table: str) -> None:
    """Have a table mirrored no more; one that is gone needs nothing."""
    if TRIGGER in triggers(session, keyspace, table):
        change(session, f"DROP TRIGGER IF EXISTS {TRIGGER} ON {keyspace}.{table}")
        say(f"{keyspace}.{table} is mirrored no more")


def settle(session: Session, keyspace: str, tables: Iterable[str]) -> float:
    """Return, after so many seconds, when every write under way has met the tables as they are now."""
    begin = time.monotonic()
    for table in tables:
        if exists(session, keyspace, table):
            forget_statements(session, keyspace, table)
    time.sleep(longest(session, WRITE) + SPARE_SECONDS)
    return round(time.monotonic() - begin, 1)


def forget_statements(session: Session, keyspace: str, table: str) -> None:
    """Have every node forget the statements that were prepared for a table; drivers prepare them anew by themselves."""
    query = "SELECT gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = %s AND table_name = %s"
    seconds = int(rows_of(session, query, [keyspace, table])[0].gc_grace_seconds)
    for value in (seconds + 1, seconds):
        change(session, f"ALTER TABLE {keyspace}.{table} WITH gc_grace_seconds = {value}")


def longest(session: Session, setting: str) -> float:
    """Return the seconds of a setting of Cassandra's, the longest that any node which is up has."""
    return max(node_seconds(session, address, setting) for address in sorted(addresses_up(session)))


def node_seconds(session: Session, address: str, setting: str) -> float:
    """Return the seconds of a node's own setting."""
    host = next(host for host in session.cluster.metadata.all_hosts() if str(host.address) == address)
    try:
        rows = list(session.execute(SETTING, (setting,), host=host))
    except DriverException:
        return SLOWEST_SECONDS
    return seconds_of(rows[0].value) if rows else SLOWEST_SECONDS


def seconds_of(duration: str) -> float:
    """Return the seconds in a duration as Cassandra's settings have it: 2000ms, 2s."""
    match = re.fullmatch(r"(\d+)(us|ms|s|m|h|d)", duration.strip())
    return int(match[1]) * UNITS[match[2]] if match else SLOWEST_SECONDS


# --- Trying ----------------------------------------------------------------------------------------------------------


def try_nodes(session: Session, ring: Ring, data: Data, tables: list[str]) -> list[str]:
    """Write to the probe's table through every node; where it mirrors, and its mappings of `tables` are in order, pass.

    So a node that could not mirror is found before any user's write meets the trigger. Returns the nodes' addresses.
    """
    keyspace = f"{data.keyspace}_mirror"
    make_probe(session, ring, data.keyspace, keyspace)
    wrong: dict[str, str] = {}
    hosts = sorted(session.cluster.metadata.all_hosts(), key=lambda host: str(host.address))
    for host in hosts:
        # A key that is a table's name has the node look at that table's mapping, too (mirror/src/evenkeel/Pairs.java).
        for key in (f"node {host.address.replace('.', '-')}", *(f"{data.keyspace}.{table}" for table in tables)):
            reason = attempt(session, keyspace, host, key)
            if reason:
                wrong.setdefault(str(host.address), reason)
    if wrong:
        said = "; ".join(f"{address}: {reason}" for address, reason in wrong.items())
        raise Refused(f"{len(wrong)} of {len(hosts)} database nodes do not mirror ({said})", {"nodes": wrong})
    return [str(host.address) for host in hosts]


def make_probe(session: Session, ring: Ring, beside: str, keyspace: str) -> None:
    """Make the probe's tables, with as many replicas as the service's own, and the trigger between them."""
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    found = rows_of(session, query, [beside])
    if not found:
        raise Refused(f"there is no keyspace {beside}")
    ensure_keyspace(session, keyspace, ring.datacenter, int(dict(found[0].replication).get(ring.datacenter, 1)))
    for table in (PROBE, TWIN):
        if not exists(session, keyspace, table):
            change(session, f"CREATE TABLE IF NOT EXISTS {keyspace}.{table} {PROBE_COLUMNS}")
    try:
        create_trigger(session, keyspace, PROBE)
    except InvalidRequest as error:
        raise Refused(f"a database node cannot load the mirror ({error}); `pulumi up` installs it") from error


def attempt(session: Session, keyspace: str, host: Any, key: str) -> str:
    """Write one row through a node; return "" if its twin is there, else why not."""
    now = time.time_ns()
    write = f"INSERT INTO {keyspace}.{PROBE} (id, at) VALUES (%s, %s)"  # noqa: S608 - our own keyspace
    read = f"SELECT at FROM {keyspace}.{TWIN} WHERE id = %s"  # noqa: S608 - our own keyspace
    try:
        session.execute(write, (key, now), host=host)
    except (DriverException, NoHostAvailable) as error:
        return in_words(error)
    rows = rows_of(session, read, [key])
    return "" if rows and rows[0].at == now else "a write went through without its twin"


def in_words(error: Exception) -> str:
    """Return what a node said when it refused to mirror."""
    said = str(next(iter(error.errors.values()), error)) if isinstance(error, NoHostAvailable) else str(error)
    match = re.search(r"evenkeel\.Mirror: ([^\"]+)", said)
    if match:
        return match[1]
    if "executing trigger" in said:
        return "its Cassandra cannot load the mirror's program"
    return said
