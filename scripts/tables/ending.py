"""The end of tables that had their day.

    droppable  {}: refused while a table cannot be dropped without loss; changes nothing
    drop       {"which": "source" | "target"}: the mirror of both, then that side's tables: {"dropped": [names]}

Somebody whom nobody knows of may still write to a table that goes, and is told that it was written. So the mirror into
it ends first, and the one out of it last: what is written late reaches the table that stays, until no node allows it
any more (a right that was revoked lives on for `permissions_validity`).

A write that a node has missed is kept for it by another (a hint), and a mirrored one holds rows of both tables.
Cassandra throws it away whole once one of the two is unknown. So none may be left when a table is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from cassandra.cluster import Session

from components.data import Data
from scripts.database.connection import ADMIN, APP, Login, change, connected, say
from scripts.database.roles import RIGHTS
from scripts.tables.errors import MisuseError, Refused, TablesError
from scripts.tables.mirroring import drop_trigger, exists, longest, require_whole, settle
from scripts.tables.nodes import with_hints
from scripts.tables.request import read_data, read_ring

VALIDITY = "permissions_validity"
LONGEST_SECONDS = 60.0  # that a drop waits for rights to be forgotten, or for hints to be handed over
# A hint is written to a file after 2 s, and the file is closed, and listed, within another ten.
UNSEEN_SECONDS = 12.5
LOOK_SECONDS = 1.0


def droppable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse while one of the release's tables could not be dropped, with why."""
    data, ring = read_data(document), read_ring(document)
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        require_whole(session, ring)
        if is_mirrored(data):
            require_short_rights(session)
            require_no_hints(session)
    return {}


def drop(document: Mapping[str, Any]) -> dict[str, Any]:
    """Drop one side of the release's pairs, mirror first; with "target" also the tables that were made from nothing.

    Cassandra keeps a snapshot of each on every node (auto_snapshot). May be done again at any point.
    """
    data, ring = read_data(document), read_ring(document)
    which = document.get("which")
    if which not in ("source", "target"):
        raise MisuseError('drop takes {which: "source" or "target"}')
    sides = [(each.source, each.target) for each in data.tables]
    going, staying = [pair[which == "target"] for pair in sides], [pair[which == "source"] for pair in sides]
    made = [each.target for each in data.created] if which == "target" else []
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        require_whole(session, ring)
        there = [name for name in (*going, *made) if exists(session, data.keyspace, name)]
        if is_mirrored(data):
            part(session, data.keyspace, staying, going, there)
        else:
            revoke(session, data.keyspace, there)
        for name in there:
            change(session, f"DROP TABLE IF EXISTS {data.keyspace}.{name}")
            say(f"dropped the table {data.keyspace}.{name}; every node keeps a snapshot of it")
    return {"dropped": there}


def is_mirrored(data: Data) -> bool:
    """Tell whether the tables are a pair that triggers keep level."""
    return data.mirror == "trigger" and bool(data.tables)


def part(session: Session, keyspace: str, staying: Sequence[str], going: Sequence[str], there: Sequence[str]) -> None:
    """End the mirror between tables that stay and tables that go, and with it whatever is written to the latter."""
    for name in staying:
        drop_trigger(session, keyspace, name)
    revoke(session, keyspace, there)
    settle(session, keyspace, staying)
    wait_out(session, max(UNSEEN_SECONDS, longest(session, VALIDITY)))
    for name in going:
        drop_trigger(session, keyspace, name)
    settle(session, keyspace, going)


def revoke(session: Session, keyspace: str, tables: Sequence[str]) -> None:
    """Take the service's rights on these tables away."""
    for name in tables:
        for right in RIGHTS:
            session.execute(f"REVOKE {right} ON TABLE {keyspace}.{name} FROM {APP}")


def wait_out(session: Session, seconds: float) -> None:
    """Return when so many seconds have passed without a hint on any node; fail where hints stay."""
    begin = quiet = time.monotonic()
    say(f"waiting {seconds:.0f} s for what is written late, and for what nodes keep for each other")
    while (now := time.monotonic()) - quiet < seconds:
        if holders := with_hints(session):
            if now - begin > LONGEST_SECONDS:
                raise TablesError(f"{hints_words(holders)}; the mirror is taken down, the tables stay until it is done")
            quiet = now
        time.sleep(LOOK_SECONDS)


def require_no_hints(session: Session) -> None:
    """Refuse where a node goes on keeping what another one has missed."""
    end = time.monotonic() + LONGEST_SECONDS
    while holders := with_hints(session):
        if time.monotonic() > end:
            raise Refused(hints_words(holders), {"hints": holders})
        time.sleep(LOOK_SECONDS)


def hints_words(holders: Sequence[str]) -> str:
    """Return why tables cannot be dropped while nodes have hints."""
    return (
        f"{', '.join(holders)} may keep writes that another database node has missed (hints), which would go with the"
        " table; they are handed over by themselves, so try again in a minute"
    )


def require_short_rights(session: Session) -> None:
    """Refuse where a right that was revoked would be allowed for longer than a drop can wait."""
    seconds = longest(session, VALIDITY)
    if seconds > LONGEST_SECONDS:
        raise Refused(
            f"a database node allows a revoked right for {seconds:.0f} s ({VALIDITY}), and a table is dropped only when"
            f" nobody may write to it any more; set {LONGEST_SECONDS:.0f} s or less in cassandra.yaml"
        )
