"""The rows a new database starts with: the same ones every time, and never over what a user wrote.

Every cell carries the timestamp 1, the oldest there is: whatever a user changes or deletes is newer and stays, also
when the same rows are written again after an interruption.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from scripts.database.connection import say
from scripts.database.errors import DatabaseError, RequestError
from scripts.database.notes import Notes
from scripts.database.request import TableSpec

NAMESPACE = uuid.UUID("5a6d5f2e-8f0b-5d0f-9a52-6f0d2f4b7c11")
EPOCH = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
CHUNK = 2_000
AT_ONCE = 128

Maker = Callable[[str, int], Any]
MAKERS: Mapping[str, Maker] = {
    "uuid": lambda column, number: uuid.uuid5(NAMESPACE, f"{column}/{number}"),
    "text": lambda column, number: f"{column} {number}",
    "varchar": lambda column, number: f"{column} {number}",
    "ascii": lambda column, number: f"{column} {number}",
    "int": lambda column, number: number % 1_000,
    "bigint": lambda column, number: number,
    "smallint": lambda column, number: number % 1_000,
    "tinyint": lambda column, number: number % 100,
    "varint": lambda column, number: number,
    "double": lambda column, number: number / 4,
    "float": lambda column, number: float(number % 1_000) / 4,
    "decimal": lambda column, number: Decimal(number).scaleb(-2),
    "boolean": lambda column, number: number % 2 == 0,
    "timestamp": lambda column, number: EPOCH + datetime.timedelta(seconds=number),
    "date": lambda column, number: (EPOCH + datetime.timedelta(days=number % 10_000)).date(),
    "set<text>": lambda column, number: {f"{column}-{number % 7}", f"{column}-{number % 11}"},
    "list<text>": lambda column, number: [f"{column}-{number % 7}"],
    "map<text,text>": lambda column, number: {column: str(number)},
}


def maker(table: TableSpec, column: str) -> Maker:
    """Return what makes the values of a column; keys only of types that can tell every row from every other."""
    kind = table.columns[column].replace(" ", "")
    if kind not in MAKERS:
        if column in table.primary_key:
            raise RequestError(f"table {table.name}: no seed rows can be made with the key {column} of type {kind}")
        return lambda column, number: None
    if column in table.primary_key and kind == "int":
        return MAKERS["bigint"]
    return MAKERS[kind]


def row(table: TableSpec, number: int) -> dict[str, Any]:
    """Return the seed row `number` of `table`, by column; columns of types we cannot make stay unset."""
    values = {column: maker(table, column)(column, number) for column in table.columns}
    return {column: value for column, value in values.items() if value is not None}


def insert_statement(keyspace: str, table: TableSpec) -> str:
    """Return the statement that writes one seed row; columns in the order of `row`."""
    columns = list(row(table, 0))
    marks = ", ".join("?" * len(columns))
    into = f"{keyspace}.{table.name} ({', '.join(columns)})"
    return f"INSERT INTO {into} VALUES ({marks}) USING TIMESTAMP 1"  # noqa: S608 - names checked by request.py


def ensure_rows(session: Session, notes: Notes, keyspace: str, table: TableSpec, wanted: int) -> int:
    """Write the seed rows that were not written before; return how many that were."""
    name = f"seeded {table.name}"
    done = int(notes.read(name, 0))
    if done >= wanted:
        return 0
    statement = session.prepare(insert_statement(keyspace, table))
    first = done
    while done < wanted:
        upto = min(done + CHUNK, wanted)
        _write(session, statement, [tuple(row(table, number).values()) for number in range(done, upto)])
        done = upto
        notes.write(name, done)
        say(f"{keyspace}.{table.name}: {done} of {wanted} rows")
    return done - first


def _write(session: Session, statement: Any, rows: list[tuple[Any, ...]]) -> None:
    """Write rows, many at once; a row that fails is tried once more, alone."""
    outcomes = execute_concurrent_with_args(session, statement, rows, AT_ONCE, raise_on_first_error=False)
    failed = [values for values, outcome in zip(rows, outcomes, strict=True) if not outcome.success]
    for values in failed:
        try:
            session.execute(statement, values)
        except Exception as error:
            raise DatabaseError(f"{len(failed)} seed rows could not be written: {error}; run it again") from error
