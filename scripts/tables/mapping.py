"""How a row of the old table becomes statements for the new one; the values are bytes all the way.

One INSERT for the row's marker and the defaults of added columns, at timestamp 1, so that whatever anybody wrote wins;
then one UPDATE for each pair of write time and TTL that the row's cells have. Columns that an UPDATE does not set are
left unset, which writes nothing, where a null would write a tombstone. Elements of collections are added one to the
other: assigning a whole collection would delete what the mirror has put there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cassandra.cluster import Session
from cassandra.query import BoundStatement

from components.data import TableChange
from scripts.tables.cells import LIST, MAP, SET, SIMPLE, UDT, Cell, Column, Row, Table, join_values
from scripts.tables.errors import Refused
from scripts.tables.wire import UNSET, bind, encode, quoted

MARKER = struct.pack(">q", 1)
_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
Convert = Callable[[bytes], bytes]
Life = tuple[int, int]  # write time, and seconds to live or 0 for ever

INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}


def same(value: bytes) -> bytes:
    """Return the value as it is."""
    return value


def conversion(source: str, target: str) -> Convert:
    """Return what widens a value of one type to another; Refused where that could change it."""
    source, target = source.replace(" ", ""), target.replace(" ", "")
    if source == target or (source, target) in {
        ("ascii", "text"), ("ascii", "varchar"), ("varchar", "text"), ("text", "varchar"), ("timeuuid", "uuid"),
    }:  # fmt: skip
        return same
    if source == "float" and target == "double":
        return lambda value: struct.pack(">d", struct.unpack(">f", value)[0]) if value else value
    if source in INTEGERS and INTEGERS.get(target, 0) > INTEGERS[source]:
        width = INTEGERS[target]
        return lambda value: int.from_bytes(value, signed=True).to_bytes(width, signed=True) if value else value
    if source in INTEGERS and target == "varint":
        return lambda value: shortest(int.from_bytes(value, signed=True)) if value else value
    raise Refused(f"a value of type {source} does not fit {target} unchanged")


def shortest(number: int) -> bytes:
    """Return a whole number in as few bytes as it takes, which is how a varint is kept."""
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, signed=True)


@dataclass(frozen=True)
class Slot:
    """Where the cells of one source column go in the UPDATE: at `first`, or at one place a field of a UDT."""

    column: Column
    first: int
    convert: Convert


@dataclass(frozen=True)
class Plan:
    """The statements of one kind of row (rows, or partitions' static parts) and where their values go.

    `update` takes write time, TTL, then `width` values, then the key; `insert` the key, `defaults` and the TTL.
    `late` are defaults that are collections: values of the UPDATE by place.
    """

    key: tuple[str, ...]
    slots: tuple[Slot, ...]
    width: int
    update: Any
    insert: Any = None
    defaults: tuple[bytes, ...] = ()
    late: Mapping[int, bytes] | None = None

    def statements(self, row: Row, elapsed: int) -> Iterator[BoundStatement]:
        """Give the statements that copy a row whose TTLs were true `elapsed` seconds ago."""
        key = (*row.partition, *(row.clustering or ()))
        groups = self._by_life(row, elapsed)
        if row.cells and not groups:
            return  # all of it has expired since it was read
        if self.insert is not None:
            longest = marker_ttl(groups)
            yield bind(self.insert, (*key, *self.defaults, _INT.pack(longest)))
            if self.late:
                yield self._set((1, longest), self.late, key)
        for life, values in groups.items():
            yield self._set(life, values, key)

    def _set(self, life: Life, values: Mapping[int, bytes], key: tuple[bytes, ...]) -> BoundStatement:
        whole: list[Any] = [UNSET] * self.width
        for place, value in values.items():
            whole[place] = value
        return bind(self.update, (_LONG.pack(life[0]), _INT.pack(life[1]), *whole, *key))

    def _by_life(self, row: Row, elapsed: int) -> dict[Life, dict[int, bytes]]:
        """Return the values to set, by write time and TTL, then by place in the UPDATE."""
        groups: dict[Life, dict[int, bytes]] = {}
        elements: dict[tuple[Life, Slot], list[bytes]] = {}
        for slot in self.slots:
            for cell in row.cells.get(slot.column.name, ()):
                life = remaining(cell, elapsed)
                if life is None:
                    continue
                place = slot.first
                if slot.column.kind == UDT:
                    place += int.from_bytes(cell.path or b"")
                if slot.column.kind in (SET, MAP):
                    found = elements.setdefault((life, slot), [])
                    found += (cell.path or b"", cell.value) if slot.column.kind == MAP else (cell.path or b"",)
                else:
                    groups.setdefault(life, {})[place] = slot.convert(cell.value)
        for (life, slot), values in elements.items():
            groups.setdefault(life, {})[slot.first] = join_values(values, pairs=slot.column.kind == MAP)
        return groups


def remaining(cell: Cell, elapsed: int) -> Life | None:
    """Return a cell's write time and TTL now; None when it has expired since it was read."""
    if cell.ttl is None:
        return cell.timestamp, 0
    return (cell.timestamp, cell.ttl - elapsed) if cell.ttl > elapsed else None


def marker_ttl(groups: Mapping[Life, Any]) -> int:
    """Return how long a row's marker lives: as long as the last of its cells, for ever (0) where one does or none is.

    CQL does not show the marker's own life. Rows that expire are mostly inserted whole, with one TTL.
    """
    lives = [ttl for _, ttl in groups]
    return max(lives) if lives and all(lives) else 0


def plans(session: Session, change: TableChange, source: Table, target: Table) -> tuple[Plan, Plan | None]:
    """Return how rows, and static parts where there are any, are copied; Refused where they cannot be."""
    rows = _plan(session, change, source, target, static=False)
    has_statics = any(source.column(pair.source).static for pair in change.pairs)
    return rows, _plan(session, change, source, target, static=True) if has_statics else None


def _plan(session: Session, change: TableChange, source: Table, target: Table, static: bool) -> Plan:
    pairs = [pair for pair in change.pairs if source.column(pair.source).static == static]
    key = change.partition if static else change.key
    slots: list[Slot] = []
    assignments: list[str] = []
    for pair in pairs:
        column = source.column(pair.source)
        if column.kind == LIST:
            raise Refused(
                f"{change.source}.{pair.source} is a list, whose elements cannot be copied one by one:"
                " freeze it, or make the change additive so that whole files can be taken over"
            )
        slots.append(Slot(column, len(assignments), conversion(pair.source_type, pair.target_type)))
        assignments += _assignments(target.column(pair.target), column.kind)
    insert: Any = None
    defaults: tuple[bytes, ...] = ()
    late: dict[int, bytes] = {}
    if not static:
        insert, defaults, whole = _insert(session, change, target)
        for name, value in whole.items():
            late[len(assignments)] = value
            assignments += _assignments(target.column(name), target.column(name).kind)
    update = None
    if assignments:
        where = " AND ".join(f"{quoted(name)} = ?" for name in key)
        update = session.prepare(
            f"UPDATE {target.keyspace}.{target.name} USING TIMESTAMP ? AND TTL ?"  # noqa: S608 - names from the schema
            f" SET {', '.join(assignments)} WHERE {where}"
        )
    return Plan(key, tuple(slots), len(assignments), update, insert, defaults, late)


def _assignments(column: Column, kind: str) -> list[str]:
    """Return what stands after SET for one column, one mark each."""
    name = quoted(column.name)
    if kind == SIMPLE:
        return [f"{name} = ?"]
    if kind == UDT:
        return [f"{name}.{quoted(field)} = ?" for field in column.fields]
    return [f"{name} = {name} + ?"]


def _insert(session: Session, change: TableChange, target: Table) -> tuple[Any, tuple[bytes, ...], dict[str, bytes]]:
    """Return the statement for marker and defaults, the defaults in order, and those that are collections by name."""
    names, values, whole = list(change.key), [], {}
    for added in change.added:
        if added.default is None:
            continue
        column = target.column(added.target)
        if column.static or column.kind == UDT:
            raise Refused(f"{change.target}.{added.target} is {'static' if column.static else 'no plain value'}: such a"
                          " column can be added without a default only")  # fmt: skip
        value = encode(added.type, added.default)
        if column.kind == SIMPLE:
            names.append(added.target)
            values.append(value)
        else:
            whole[added.target] = value
    marks = ", ".join("?" * len(names))
    statement = session.prepare(
        f"INSERT INTO {target.keyspace}.{target.name} ({', '.join(map(quoted, names))}) VALUES ({marks})"  # noqa: S608 - schema's names
        " USING TIMESTAMP 1 AND TTL ?"
    )
    return statement, tuple(values), whole
