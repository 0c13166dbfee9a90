"""The ways to lose writes that the checker must notice, eight of them: each a sound release but for one thing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tests.system.checker_laboratory import MIRROR, NEW, OLD, Procedure, Release
from tests.system.checker_ring import WRITE_MS

WITH_TIMES = ("name", "description", "quantity", "created_at")
TARGET = ", ".join(NEW.columns.get(name, name) for name in (*WITH_TIMES, "tags"))


def copy_rows_as_the_thesis(release: Release, only_new: bool = False) -> None:
    """SELECT everything, INSERT it as it was read, as if written now; later only what is not there yet."""
    there = {row[0] for row in rows_of(release, NEW.table, "id")} if only_new else set()
    statement = release.session.prepare(insert_of(release))
    for row in rows_of(release, OLD.table, f"id, {', '.join(WITH_TIMES)}, tags"):
        if row[0] not in there:
            release.session.execute(statement, tuple(row))


def copy_with_row_wise_times(release: Release) -> None:
    """Each row as a whole, at the highest write time of its cells, as cassandra-data-migrator does."""
    times = ", ".join(f"writetime({name})" for name in WITH_TIMES)
    columns = f"id, {', '.join(WITH_TIMES)}, tags, {times}, writetime(tags)"
    statement = release.session.prepare(f"{insert_of(release)} USING TIMESTAMP ?")
    for row in rows_of(release, OLD.table, columns):
        values, written = tuple(row[:6]), [*row[6:10], *(row[10] or ())]
        release.session.execute(statement, (*values, max(time for time in written if time is not None)))


def mirror_without_settling(release: Release) -> None:
    """The trigger is made while one node cannot hear of it, and nobody asks that node before the copy begins.

    With one node alone, that node is the one that hears of it late.
    """
    last = len(release.ring.nodes)
    if last == 1:
        return
    release.ring.nodetool(last, "disablegossip")
    end = time.monotonic() + 300
    while f"DN  {release.ring.node(last).address}" not in release.ring.nodetool(1, "status"):
        assert time.monotonic() < end, "the first node does not notice that the last one is not heard of"
        time.sleep(1)
    release.create_trigger(OLD, MIRROR)


def copy_and_let_the_node_hear(release: Release) -> None:
    """The copy, after which the node that did not know of the trigger hears of it."""
    release.backfill()
    release.write_for(3)
    if len(release.ring.nodes) == 1:
        release.create_trigger(OLD, MIRROR)
    else:
        release.ring.nodetool(len(release.ring.nodes), "enablegossip")
    release.agree()


def mirror_without_forgetting(release: Release) -> None:
    """The trigger and all the waiting, but the nodes go on with the statements that clients prepared before it."""
    release.create_trigger(OLD, MIRROR, forget=False)
    release.agree()
    time.sleep(WRITE_MS / 1000 + 1)


def rows_of(release: Release, table: str, columns: str) -> Iterator[Any]:
    """All rows of a table, page by page."""
    query = f"SELECT {columns} FROM {release.keyspace}.{table}"  # noqa: S608 - our own names
    yield from release.session.execute(query, timeout=120)


def insert_of(release: Release) -> str:
    """The statement that puts a whole row into the new table."""
    table = f"{release.keyspace}.{NEW.table}"
    return f"INSERT INTO {table} (id, {TARGET}, category) VALUES (?, ?, ?, ?, ?, ?, 'general')"  # noqa: S608


MUTANTS = (
    Procedure("mirror off", forward=None, reverse=None),
    Procedure("one direction only", reverse=None),
    Procedure(
        "the thesis's copy and tail sync", forward=None, reverse=None, copy=copy_rows_as_the_thesis,
        tail=lambda release: copy_rows_as_the_thesis(release, only_new=True), judged=(NEW,),
    ),
    Procedure("row-wise max timestamps", copy=copy_with_row_wise_times),
    Procedure("no settle before the copy", mirror=mirror_without_settling, copy=copy_and_let_the_node_hear),
    Procedure("deletes not mirrored", forward="evenkeel.mutants.NoDeletes", reverse="evenkeel.mutants.NoDeletes"),
    Procedure("one-table acknowledgement", forward="evenkeel.mutants.OneTable", reverse="evenkeel.mutants.OneTable"),
    Procedure("prepared statements not forgotten", mirror=mirror_without_forgetting),
)  # fmt: skip
