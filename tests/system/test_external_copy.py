"""The programs of others copy a table as a release's own copy would: our comparison finds nothing that differs.

They come with nothing of ours, so whoever has them says where they are: EVENKEEL_SPARK_SUBMIT and EVENKEEL_CDM_JAR for
Cassandra Data Migrator on a Spark of this machine, EVENKEEL_DSBULK for DataStax Bulk Loader.
"""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from components.manifest import Manifest
from components.migration import plan
from components.tables import Table
from scripts.cli.backfill import copy
from scripts.cli.undo import as_stack
from scripts.database.connection import ADMIN, Login, connected
from scripts.release.comparison import differences, in_words
from scripts.release.control_tables import ControlTables
from scripts.release.documents import Stack
from scripts.tables import external
from scripts.tables.errors import TablesError
from scripts.tables.external import DSBULK, SPARK, Engine
from scripts.tables.request import read_ring
from tests.system.measure_backfill import KEYSPACE, manifest
from tests.system.running import RunningStack

pytestmark = pytest.mark.system

SOURCE, NUMBER, ROWS = "elsewhere", 9_101, 20_000
TARGET = f"item_r{NUMBER}"
ACCOUNTS = ("cdm_run_info", "cdm_run_details")  # the migrator's own, in the target's keyspace
LIVES = (0, 86_400)  # seconds; every other row ends by itself, on another day
JOB_SECONDS = 600.0


def program(variable: str) -> str:
    """Where a program of others is, as the person who runs the tests says."""
    return os.environ.get(variable) or pytest.skip(f"{variable} says where it is: it does not come with Evenkeel")


@pytest.fixture(scope="module")
def machines(stack: RunningStack) -> Stack:
    """The stack as a release knows it."""
    return as_stack(stack.inventory)


@pytest.fixture
def session(machines: Stack) -> Iterator[Session]:
    """A session of the administrator; the tables that a test made are dropped afterwards."""
    ring = read_ring({"ring": machines.ring})
    with connected(ring, Login(ADMIN, ring.admin_password)) as opened:
        drop(opened)
        yield opened
        drop(opened)


def drop(session: Session) -> None:
    """Drop both tables, and what the migrator keeps of its runs."""
    for name in (SOURCE, TARGET, *ACCOUNTS):
        session.execute(f"DROP TABLE IF EXISTS {KEYSPACE}.{name}", timeout=120)


def fill(session: Session, table: Table, lives: tuple[int, ...] = LIVES) -> None:
    """Make the old table with rows that were written whole, some of which live for a day."""
    columns = ", ".join(f"{column} {kind}" for column, kind in table.columns.items())
    session.execute(f"CREATE TABLE {KEYSPACE}.{SOURCE} ({columns}, PRIMARY KEY ({', '.join(table.primary_key)}))")
    names, places = ", ".join(table.columns), ", ".join("?" for _ in table.columns)
    insert = session.prepare(f"INSERT INTO {KEYSPACE}.{SOURCE} ({names}) VALUES ({places}) USING TTL ?")  # noqa: S608
    rows = [
        (*(value(kind, number) for kind in table.columns.values()), lives[number % len(lives)])
        for number in range(ROWS)
    ]
    execute_concurrent_with_args(session, insert, rows, concurrency=64)


def value(kind: str, number: int) -> Any:
    """A value of a type, another one for each row."""
    made: dict[str, Any] = {
        "uuid": uuid.UUID(int=number * 7_919 + 1, version=4),
        "text": f"it's «text» {number}, with a comma",
        "int": number,
        "timestamp": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "set<text>": {f"tag {number % 5}", "and another"},
    }
    return made[kind]


def change(machines: Stack, old: Table, new: Manifest) -> ControlTables:
    """The change of the tables as preflight plans it, the new one made, its own copy begun at the slowest pace."""
    data = plan((old,), {"item": SOURCE}, new, release_id=f"elsewhere-{NUMBER}", number=NUMBER, keyspace=KEYSPACE)
    assert data is not None
    made = ControlTables(machines, data.as_dict())
    made.create()
    made.job("start", "backfill", paced=True, afresh=True)
    return made


def compared(tables: ControlTables) -> dict[str, Any]:
    """What our comparison says of both tables."""
    state, end = tables.job("start", "compare", run="verify", paced=False, afresh=True), time.monotonic() + JOB_SECONDS
    while state["state"] == "running":
        assert time.monotonic() < end, state
        time.sleep(0.5)
        state = tables.job("state", "compare", run="verify")
    assert state["state"] == "done", state
    figures: dict[str, Any] = state["figures"]
    return figures


def copied_by(engine: Engine, machines: Stack, tables: ControlTables) -> None:
    """Copy as `evenkeel backfill --engine` does, and hold the tables against each other."""
    copy(engine, machines.ring, dict(tables.data), tables, print_only=False)
    own = tables.job("state", "backfill")
    assert (own["state"], own["reason"]) == ("done", f"the rest was copied by {engine.name}")
    assert own["rows"] < ROWS / 2, "our own copy was not to do the work"
    figures = compared(tables)
    assert figures["rows"] == ROWS
    assert differences(figures) == 0, in_words(figures)


def test_spark_copies_a_table_with_collections_and_lives_and_a_new_columns_default(
    machines: Stack, session: Session
) -> None:
    submit, jar = program("EVENKEEL_SPARK_SUBMIT"), program("EVENKEEL_CDM_JAR")
    (old,), new = manifest("1.0.0").tables, manifest("4.0.0")
    (table,), (migration,) = new.tables, new.migrations
    table = dataclasses.replace(table, columns={**table.columns, "quantity": "int"})
    new = dataclasses.replace(new, tables=(table,), migrations=(dataclasses.replace(migration, widen={}),))
    fill(session, old)
    copied_by(Engine(SPARK, submit, "local[2]", jar, whole_rows=True), machines, change(machines, old, new))


def test_a_copy_by_spark_that_left_rows_out_is_not_taken_for_done(
    machines: Stack, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, jar = program("EVENKEEL_SPARK_SUBMIT"), program("EVENKEEL_CDM_JAR")
    monkeypatch.setattr(external, "beyond_migrator", lambda _: "")  # as if nobody knew what it cannot copy
    (old,) = manifest("1.0.0").tables
    fill(session, old)
    tables = change(machines, old, manifest("4.0.0"))
    with pytest.raises(TablesError, match=f"left out 16 parts of {TARGET}.*the release's own copy goes on"):
        copy(Engine(SPARK, submit, "local[2]", jar, whole_rows=True), machines.ring, dict(tables.data), tables, False)
    assert tables.job("state", "backfill")["state"] == "running"
    tables.job("stop", "backfill")


def test_dsbulk_copies_a_table_of_plain_columns_and_makes_numbers_longer(machines: Stack, session: Session) -> None:
    dsbulk = program("EVENKEEL_DSBULK")
    (old,), new = manifest("1.0.0").tables, manifest("4.0.0")
    (table,), (migration,) = new.tables, new.migrations
    old = dataclasses.replace(old, columns={name: kind for name, kind in old.columns.items() if name != "tags"})
    table = dataclasses.replace(table, columns={**old.columns, "quantity": "bigint"})
    new = dataclasses.replace(new, tables=(table,), migrations=(dataclasses.replace(migration, add={}, rename={}),))
    fill(session, old, lives=(0,))  # those grow by what passes between unloading and loading
    copied_by(Engine(DSBULK, dsbulk), machines, change(machines, old, new))
