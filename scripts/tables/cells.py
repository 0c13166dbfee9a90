"""Rows as cells: each with the bytes of its value, its own write time and what is left of its life.

Read by token range and by page, so that memory does not grow with the table. A set, a map, a list or a user-defined
type that is not frozen is several cells, one an element or field, told apart by their `path`. What CQL does not show is
not here: row markers (a row without any cell is one that has only its marker), tombstones, cells that have expired.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import Session

from scripts.tables.errors import TablesError
from scripts.tables.tokens import TokenRange
from scripts.tables.wire import RawRow, bind, profile_of, quoted

SIMPLE, SET, MAP, LIST, UDT = "simple", "set", "map", "list", "udt"
PAGE_ROWS = 1_000
_INT = struct.Struct(">i")
_SHORT = struct.Struct(">H")
_LONG = struct.Struct(">q")


class Cell(NamedTuple):
    """One cell. A tuple, for a table has many: made four times as quickly as a frozen dataclass.

    `timestamp` in microseconds since the epoch, `ttl` in seconds from the moment of reading, None for ever. `path` is
    None for a column of one cell; else the element (SET; `value` is then b""), the key (MAP), the number of the field
    as two bytes (UDT) or of the element as four (LIST, whose elements have no name that survives).
    """

    value: bytes
    timestamp: int
    ttl: int | None
    path: bytes | None = None


class Row(NamedTuple):
    """One row, or a partition's static part (`clustering` is then None). Columns without a live cell are missing."""

    token: int
    partition: tuple[bytes, ...]
    clustering: tuple[bytes, ...] | None
    cells: dict[str, tuple[Cell, ...]]


@dataclass(frozen=True)
class Page:
    """Consecutive rows of one range; `read_at` (monotonic seconds) is when their TTLs were true, at the latest."""

    rows: list[Row]
    read_at: float
    bytes: int


@dataclass(frozen=True)
class Column:
    """A column outside the key. `fields` are the names of a UDT's fields, in order."""

    name: str
    type: str
    kind: str
    static: bool
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table as it is in the schema; `columns` in alphabetical order."""

    keyspace: str
    name: str
    partition: tuple[str, ...]
    clustering: tuple[str, ...]
    columns: tuple[Column, ...]
    default_ttl: int = 0

    @property
    def regulars(self) -> tuple[Column, ...]:
        """The columns that every row has its own of."""
        return tuple(column for column in self.columns if not column.static)

    @property
    def statics(self) -> tuple[Column, ...]:
        """The columns that a partition has once."""
        return tuple(column for column in self.columns if column.static)

    def column(self, name: str) -> Column:
        """Return one column by its name."""
        return next(column for column in self.columns if column.name == name)


PageSize = Callable[[], int]


def open_table(session: Session, keyspace: str, name: str) -> Table:
    """Return a table as the schema has it now. Raises TablesError where there is none."""
    cluster = session.cluster
    cluster.refresh_keyspace_metadata(keyspace)
    space = cluster.metadata.keyspaces.get(keyspace)
    found = space.tables.get(name) if space else None
    if found is None:
        raise TablesError(f"there is no table {keyspace}.{name}")
    types = {type_name: tuple(udt.field_names) for type_name, udt in space.user_types.items()}
    partition = tuple(column.name for column in found.partition_key)
    clustering = tuple(column.name for column in found.clustering_key)
    columns = tuple(
        Column(column.name, column.cql_type, kind_of(column.cql_type, types), bool(column.is_static),
               types.get(column.cql_type, ()))
        for column in sorted(found.columns.values(), key=lambda column: str(column.name))
        if column.name not in (*partition, *clustering)
    )  # fmt: skip
    return Table(keyspace, name, partition, clustering, columns, int(found.options.get("default_time_to_live") or 0))


def kind_of(cql_type: str, user_types: Any) -> str:
    """Return whether a column of this type is one cell or one an element."""
    for kind in (SET, MAP, LIST):
        if cql_type.startswith(f"{kind}<"):
            return kind
    return UDT if cql_type in user_types else SIMPLE


class Reader:
    """Reads chosen columns of a table by token range; may be used by several threads. `session` is a raw one."""

    def __init__(
        self,
        session: Session,
        table: Table,
        columns: tuple[Column, ...] | None = None,
        consistency: int = ConsistencyLevel.QUORUM,
        execute: Callable[[Callable[[], Any]], Any] = lambda ask: ask(),
    ) -> None:
        self.session = session
        self.execute = execute  # calls what it is given, again where that fails and may succeed later
        self.table = table
        chosen = table.columns if columns is None else columns
        self.regulars = tuple(column for column in chosen if not column.static)
        self.statics = tuple(column for column in chosen if column.static)
        self.profile = profile_of(session, consistency)
        self._rows = session.prepare(self._select((*table.partition, *table.clustering), self.regulars))
        self._statics = session.prepare(self._select(table.partition, self.statics, "DISTINCT "))

    def _select(self, key: tuple[str, ...], columns: tuple[Column, ...], distinct: str = "") -> str:
        marks = ", ".join(map(quoted, self.table.partition))
        wanted = [f"token({marks})", *map(quoted, key)]
        for name in (quoted(column.name) for column in columns):
            wanted += [name, f"writetime({name})", f"ttl({name})"]
        return (
            f"SELECT {distinct}{', '.join(wanted)} FROM {self.table.keyspace}.{self.table.name}"  # noqa: S608 - schema's names
            f" WHERE token({marks}) > ? AND token({marks}) <= ?"
        )

    def rows(self, tokens: TokenRange, page_rows: PageSize = lambda: PAGE_ROWS) -> Iterator[Row]:
        """Give the rows of a range in the order of their tokens, within a partition in the table's own order."""
        for page in self.pages(tokens, page_rows):
            yield from page.rows

    def partitions(self, tokens: TokenRange, page_rows: PageSize = lambda: PAGE_ROWS) -> Iterator[Row]:
        """Give the static part of each partition that has one."""
        for page in self.static_pages(tokens, page_rows):
            yield from page.rows

    def pages(self, tokens: TokenRange, page_rows: PageSize = lambda: PAGE_ROWS) -> Iterator[Page]:
        """Give the rows of a range page by page; `page_rows` says how many the next one may have."""
        # A partition that has a static part only shows up as a row without clustering key: it is no row.
        yield from self._pages(self._rows, tokens, page_rows, self._row)

    def static_pages(self, tokens: TokenRange, page_rows: PageSize = lambda: PAGE_ROWS) -> Iterator[Page]:
        """Give the static parts of a range page by page; nothing where no static column was chosen."""
        if self.statics:
            yield from self._pages(self._statics, tokens, page_rows, self._static)

    def _pages(
        self, statement: Any, tokens: TokenRange, page_rows: PageSize, make: Callable[[RawRow], Row | None]
    ) -> Iterator[Page]:
        bound = bind(statement, (_LONG.pack(tokens.start), _LONG.pack(tokens.end)))
        state = None
        while True:
            bound.fetch_size = page_rows()
            ask = partial(self.session.execute, bound, execution_profile=self.profile, paging_state=state)
            result = self.execute(ask)
            raw, now = result.current_rows, time.monotonic()
            size = sum(len(value) for row in raw for value in row if value)
            yield Page([row for row in map(make, raw) if row is not None], now, size)
            state = result.paging_state
            if not state:
                return

    def _row(self, raw: RawRow) -> Row | None:
        split = 1 + len(self.table.partition)
        end = split + len(self.table.clustering)
        clustering = raw[split:end]
        if None in clustering:
            return None
        return Row(_token(raw), raw[1:split], clustering, _cells(raw, end, self.regulars))  # type: ignore[arg-type]

    def _static(self, raw: RawRow) -> Row | None:
        split = 1 + len(self.table.partition)
        cells = _cells(raw, split, self.statics)
        return Row(_token(raw), raw[1:split], None, cells) if cells else None  # type: ignore[arg-type]


def _token(raw: RawRow) -> int:
    return int(_LONG.unpack(raw[0] or b"")[0])


def _cells(raw: RawRow, place: int, columns: tuple[Column, ...]) -> dict[str, tuple[Cell, ...]]:
    """Return the live cells of the columns, whose values stand in threes from `place` on: value, write time, TTL."""
    cells: dict[str, tuple[Cell, ...]] = {}
    for column in columns:
        value, written, ttl = raw[place], raw[place + 1], raw[place + 2]
        place += 3
        if value is None or written is None:
            continue
        if column.kind == SIMPLE:
            life = None if ttl is None else _INT.unpack(ttl)[0]
            cells[column.name] = (Cell(value, _LONG.unpack(written)[0], life),)
        else:
            cells[column.name] = _elements(column.kind, value, written, ttl)
    return cells


def _elements(kind: str, value: bytes, written: bytes, ttl: bytes | None) -> tuple[Cell, ...]:
    """Return one cell for each element that has a write time."""
    times = split_values(written)
    lives = split_values(ttl) if ttl is not None else [None] * len(times)
    return tuple(
        Cell(content, _LONG.unpack(at)[0], None if life is None else _INT.unpack(life)[0], path)
        for (path, content), at, life in zip(_parts(kind, value), times, lives, strict=True)
        if at is not None and content is not None
    )


def _parts(kind: str, value: bytes) -> list[tuple[bytes, bytes | None]]:
    """Return path and value of each element, in the order of their write times."""
    if kind == UDT:
        return [(_SHORT.pack(number), field) for number, field in enumerate(split_fields(value))]
    elements = split_values(value, pairs=kind == MAP)
    if kind == MAP:
        return [(key or b"", content) for key, content in zip(elements[::2], elements[1::2], strict=True)]
    if kind == SET:
        return [(element or b"", b"") for element in elements]
    return [(_INT.pack(number), element) for number, element in enumerate(elements)]


def split_values(content: bytes, pairs: bool = False) -> list[bytes | None]:
    """Return the values of a list, set or (`pairs`: keys and values in turn) map: each with its length before it."""
    count = _INT.unpack_from(content)[0] * (2 if pairs else 1)
    found, place = _split(content, 4, count)
    if place != len(content):
        raise TablesError("a collection came that is longer than it says")
    return found


def split_fields(content: bytes) -> list[bytes | None]:
    """Return the fields of a UDT: each with its length before it; later fields may be missing."""
    found: list[bytes | None] = []
    place = 0
    while place < len(content):
        (field,), place = _split(content, place, 1)
        found.append(field)
    return found


def join_values(values: list[bytes], pairs: bool = False) -> bytes:
    """Return the collection of these values; what `split_values` takes apart."""
    parts = [_INT.pack(len(values) // 2 if pairs else len(values))]
    for value in values:
        parts += (_INT.pack(len(value)), value)
    return b"".join(parts)


def _split(content: bytes, place: int, count: int) -> tuple[list[bytes | None], int]:
    found: list[bytes | None] = []
    for _ in range(count):
        length = _INT.unpack_from(content, place)[0]
        place += 4
        found.append(None if length < 0 else content[place : place + length])
        place += max(length, 0)
    return found, place
