"""What a row of the new table has beyond its twin in the old one, and the statements that take it back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from cassandra.cluster import Session
from cassandra.query import BoundStatement

from scripts.tables.cells import MAP, SET, UDT, Cell, Row, Table
from scripts.tables.difference import Twin
from scripts.tables.wire import bind, quoted

_LONG = struct.Struct(">q")


def stray_cells(source: Row, target: Row, twins: Iterable[Twin]) -> Iterator[tuple[str, Cell]]:
    """Give the cells of the new row that the old one has none for, each with its column in the new table.

    Columns that only the new table has are its own business.
    """
    for twin in twins:
        theirs = {cell.path for cell in source.cells.get(twin.source, ())}
        for cell in target.cells.get(twin.target, ()):
            if cell.path not in theirs:
                yield twin.target, cell


class Deletions:
    """Statements that take rows and cells out of a table, each at a given time; may be used by several threads."""

    def __init__(self, session: Session, table: Table) -> None:
        self._session, self._table = session, table
        self._prepared: dict[str, Any] = {}

    def row(self, row: Row, at: int) -> BoundStatement:
        """Return what ends a row, whatever of it was written at `at` (microseconds) or before."""
        return bind(self._statement("", static=False), (_LONG.pack(at), *row.partition, *(row.clustering or ())))

    def cell(self, row: Row, name: str, cell: Cell) -> BoundStatement:
        """Return what ends one cell, or one element of a collection, as it was written."""
        column = self._table.column(name)
        what, more = quoted(name), []
        if column.kind == UDT:
            what += f".{quoted(column.fields[int.from_bytes(cell.path or b'')])}"
        elif column.kind in (SET, MAP):
            what, more = f"{what}[?]", [cell.path or b""]
        key = (*row.partition, *(row.clustering or ()))
        statement = self._statement(what, static=row.clustering is None)
        return bind(statement, (*more, _LONG.pack(cell.timestamp), *key))

    def _statement(self, what: str, *, static: bool) -> Any:
        """Return the prepared DELETE; two threads that prepare the same one get the same."""
        known = self._prepared.get(what)
        if known is None:
            table = self._table
            names = table.partition if static else (*table.partition, *table.clustering)
            where = " AND ".join(f"{quoted(name)} = ?" for name in names)
            text = f"DELETE {what} FROM {table.keyspace}.{table.name} USING TIMESTAMP ? WHERE {where}"
            known = self._prepared[what] = self._session.prepare(text)
        return known
