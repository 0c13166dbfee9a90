"""May the data be changed like this, now? Asked of every node, before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.data import comparable_type
from components.stages import copy_seconds, waits
from scripts.journal.words import span
from scripts.release import freezing
from scripts.release.control_tables import ControlTables
from scripts.release.databases import Databases, Room, check_jars
from scripts.release.documents import listed
from scripts.release.errors import RefusedError
from scripts.release.work import Work

OUTAGE_SECONDS = 3 * 3600.0  # how long a node may be away and still get what it missed (Cassandra's hint window)
GRACE_FACTOR = 3
ROOM_FACTOR = 2.0  # the copy itself, and as much again while Cassandra compacts it
MIB = 1 << 20
Inspected = Mapping[str, Any]


def check(work: Work, data: Mapping[str, Any]) -> None:
    """Raise RefusedError with the first thing that stands against it; note about how many rows there are to copy."""
    tables, databases = ControlTables(work.told.stack, data), Databases(work.told.stack)
    seen = tables.inspect()
    check_nodes(seen)
    for table in data["tables"]:
        check_table(table["source"], seen["tables"].get(table["source"]))
    sources = [table["source"] for table in data["tables"]]
    work.figures["dropped_before"] = {name: seen["tables"][name]["dropped"] for name in sources}
    check_free(work, data, seen)
    work.figures["data_rows"] = rows_of(data, seen)
    if not data["tables"]:
        return
    work.check()
    check_grace(work, data, seen)
    check_room(data, databases.room(data["keyspace"], sources))
    if waits(data):
        check_freeze(work, tables)
        return
    say_what_stays_behind(work, data)
    check_conditional(data, tables.conditional())
    check_jars(databases.mirrors())
    work.say("trying the mirror through every database node")
    work.figures["probed"] = tables.probe()


def say_what_stays_behind(work: Work, data: Mapping[str, Any]) -> None:
    """Say which values the new version alone can hold: a way back keeps every write, as far as the old one can."""
    only_new: list[str] = []
    for table in data["tables"]:
        only_new += [f"{table['name']}.{added['target']}" for added in table["added"]]
        only_new += [
            f"{table['name']}.{pair['target']} that {pair['from']} cannot hold"
            for pair in table["pairs"]
            if comparable_type(pair["from"]) != comparable_type(pair["to"])
        ]
    if only_new:
        work.figures["only_new"] = only_new
        work.say(
            f"`evenkeel undo` and a rollback keep what both versions can hold; values of {listed(only_new)} are in the"
            " new table alone and go with it, but for its snapshot"
        )


def check_freeze(work: Work, tables: ControlTables) -> None:
    """Say how long writes will wait and what that release costs, or refuse where they would wait too long."""
    release = work.told.release
    require_every_balancer(work)
    work.say("trying how long a scan of both tables takes")
    seconds = freezing.expected(work, tables)
    work.figures["freeze_expected"] = round(seconds, 1)
    freezing.require_short(seconds, release.plan)
    came_from = release.previous.version if release.previous else "the live version"
    work.say(
        f"`mirror: scan`: writes will wait for about {span(seconds)}, answered with 503, and for"
        f" {span(freezing.ceiling(release.plan))} at most; all sites go together; afterwards nothing leads back to"
        f" {came_from} without losing what was written since, so there is no `evenkeel undo` to it"
    )


def require_every_balancer(work: Work) -> None:
    """Refuse while a load balancer is away: it could let writes through that no scan sees."""
    if lost := sorted(work.load_balancers.lost):
        raise RefusedError(
            f"{listed(lost)} cannot be reached, and with `mirror: scan` every load balancer must have writes wait;"
            " start it, or use `mirror: trigger`"
        )


def rows_of(data: Mapping[str, Any], seen: Inspected) -> int:
    """Return about how many rows the tables that are copied have."""
    return sum(int(seen["tables"].get(table["source"], {}).get("rows") or 0) for table in data["tables"])


def check_nodes(seen: Inspected) -> None:
    """Refuse while a node is down, or the nodes do not agree: triggers are made only where all know of them."""
    down = sorted(address for address, node in seen["nodes"].items() if not node["up"])
    if down:
        raise RefusedError(
            f"the database {'node' if len(down) == 1 else 'nodes'} {listed(down)} {'is' if len(down) == 1 else 'are'}"
            " down; tables change only while every node is up (`evenkeel status`)"
        )
    if not seen["agreement"]:
        raise RefusedError("the database's nodes do not agree on its tables yet; try again in a minute")


def check_table(name: str, found: Mapping[str, Any] | None) -> None:
    """Refuse a table that is not there, or counts."""
    if found is None:
        raise RefusedError(f"the database has no table {name}, which the live version works on; see `evenkeel history`")
    if found.get("counter"):
        raise RefusedError(
            f"the table {name} has counters, which can be neither mirrored nor copied: Cassandra takes no time for them"
        )


def check_free(work: Work, data: Mapping[str, Any], seen: Inspected) -> None:
    """Refuse a name that a table nobody knows of has already: its rows are not ours to copy over, nor to drop."""
    if data["release"] != work.told.release.id:
        return  # goes on with the tables of a release before
    for table in [*data["tables"], *data.get("created", ())]:
        if table["target"] in seen["tables"]:
            raise RefusedError(
                f"the database has a table {table['target']} already, which no release knows of; see what it is, then"
                " drop it or rename the new one"
            )


def check_conditional(data: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse a table that is written conditionally: Cassandra refuses such a write once the table is mirrored."""
    for table in data["tables"]:
        nodes = found["tables"].get(table["source"])
        if nodes:
            raise RefusedError(
                f"the table {table['source']} is written with conditions (IF …; {listed(nodes)} remember such writes),"
                " which Cassandra refuses on a mirrored table; have the service do without them"
            )


def check_grace(work: Work, data: Mapping[str, Any], seen: Inspected) -> None:
    """Refuse a table whose deletions are forgotten before a copy, its verification and an outage can be over."""
    seconds = 2 * copy_seconds(work.told.release.plan, work.figures["data_rows"]) + OUTAGE_SECONDS
    for table in data["tables"]:
        grace = int(seen["tables"][table["source"]]["gc_grace_seconds"])
        if grace < GRACE_FACTOR * seconds:
            raise RefusedError(
                f"the table {table['source']} forgets deletions after {span(grace)} (gc_grace_seconds), which must be"
                f" {span(GRACE_FACTOR * seconds)} or more, or a deleted row could come back; a higher"
                " `backfillRowsPerSecond` needs less"
            )


def check_room(data: Mapping[str, Any], found: Mapping[str, Room]) -> None:
    """Refuse where a disk has no room for the second copies of all nodes that have their data there."""
    names = listed([table["source"] for table in data["tables"]])
    for disk in sorted({room.disk for room in found.values()}):
        sharing = {host: room for host, room in found.items() if room.disk == disk}
        free = min(room.free for room in sharing.values())
        needed = int(ROOM_FACTOR * sum(room.used for room in sharing.values()))
        if free < needed:
            has = "share a disk that has" if len(sharing) > 1 else "has"
            raise RefusedError(
                f"{listed(sorted(sharing))} {has} {free // MIB} MiB free, and a second copy of {names} needs"
                f" {max(needed // MIB, 1)} MiB there while it is made; make room first"
            )
