"""Reads final states and prepares rows through CQL. Runs on the control host, with scripts.database's connection.

A table is {"table": "item_r4", "columns": {"description": "summary", …}, "marker": "created_at"}: its physical name,
its own name of each of the history's columns, and the column that makes a row a row.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TextIO

from scripts.checker.errors import CheckerError
from scripts.checker.history import prepared_key, prepared_values
from scripts.database.connection import ADMIN, Login, connected
from scripts.database.request import NAME, read_ring

AT_ONCE = 32
PAGE_ROWS = 1_000
READ_SECONDS = 60.0
# Rows are prepared with an old write time: whose clock is some seconds behind must still be able to change them.
EARLIER_SECONDS = 600

Ask = Callable[[], Any]


def prepare(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write `rows` rows of a run into one table; return what the client and the log have to know of them.

    {"ring", "keyspace", "run", "rows", "table": {…}, "login"?, "empty"?} -> {"rows", "timestamp"}; with "empty" true
    the table is emptied before.
    """
    keyspace, table = _name(document["keyspace"]), document["table"]
    run, rows = str(document["run"]), int(document["rows"])
    timestamp = (time.time_ns() - EARLIER_SECONDS * 10**9) // 1000
    made = datetime.fromtimestamp(timestamp / 1e6, UTC)
    names = [_name(table["columns"].get(name, name)) for name in prepared_values(run, 0)]
    columns = ", ".join([*names, _name(table["marker"]), "updated_at", "id"])
    marks = ", ".join("?" for _ in range(len(names) + 3))
    with _session(document) as session:
        if document.get("empty"):
            session.execute(f"TRUNCATE {keyspace}.{_name(table['table'])}", timeout=READ_SECONDS)
        statement = session.prepare(
            f"INSERT INTO {keyspace}.{_name(table['table'])} ({columns}) VALUES ({marks}) USING TIMESTAMP {timestamp}"  # noqa: S608
        )

        def send(number: int) -> Any:
            values = prepared_values(run, number)
            values["tags"] = set(values["tags"])
            key = uuid.UUID(prepared_key(run, number))
            return session.execute_async(statement, (*values.values(), made, made, key))

        for batch in _batches(range(rows), AT_ONCE):
            for future in [send(number) for number in batch]:
                future.result()
    return {"rows": rows, "timestamp": timestamp}


def read(document: Mapping[str, Any], out: TextIO) -> int:
    """Write every row of one table to `out`, a line each: {"key", "values"}; return how many.

    {"ring", "keyspace", "table": {…}, "login"?}
    """
    keyspace, table = _name(document["keyspace"]), document["table"]
    names: Mapping[str, str] = table["columns"]
    marker = _name(table["marker"])
    columns = ", ".join(["id", marker, *(_name(physical) for physical in names.values())])
    count = 0
    with _session(document) as session:
        query = f"SELECT {columns} FROM {keyspace}.{_name(table['table'])}"  # noqa: S608 - checked names
        for row in session.execute(query, timeout=READ_SECONDS):
            if row[1] is None:
                continue
            values = {name: _plain(row[2 + place]) for place, name in enumerate(names)}
            out.write(json.dumps({"key": str(row[0]), "values": values}) + "\n")
            count += 1
    return count


def _session(document: Mapping[str, Any]) -> Any:
    """A session as the administrator, or as `login`: {"role", "password"}."""
    ring = read_ring(document["ring"])
    login = document.get("login") or {"role": ADMIN, "password": ring.admin_password}
    return connected(ring, Login(**login))


def _batches(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    iterator = iter(numbers)
    while batch := list(islice(iterator, size)):
        yield batch


def _plain(value: Any) -> Any:
    """A value as JSON has it: a set as a list, a time as text."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [_plain(element) for element in value] if hasattr(value, "__iter__") else str(value)


def _name(name: str) -> str:
    if not NAME.match(name):
        raise CheckerError(f"{name!r} is no name of a table or a column")
    return name
