"""A scan writes what the new table lacks, and takes back what only it has: at the time that just suffices."""

from __future__ import annotations

import struct
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra.query import PreparedStatement

from scripts.tables import estimate
from scripts.tables.cells import MAP, SET, SIMPLE, UDT, Cell, Column, Row, Table
from scripts.tables.difference import Mapping, Twin, compare_rows
from scripts.tables.errors import TablesError
from scripts.tables.mapping import Plan, Slot, same
from scripts.tables.merging import merge
from scripts.tables.request import read_change
from scripts.tables.scan import TableScan, now_if_bare
from scripts.tables.strays import Deletions, stray_cells
from scripts.tables.tally import Tally
from scripts.tables.tokens import TokenRange
from tests.unit.tables.changes import DOCUMENT, row

TARGET = Table("evenkeel", "item_r7", ("p",), ("c",), (
    Column("a", "text", SIMPLE, False), Column("m", "map<text, int>", MAP, False), Column("s", "set<text>", SET, False),
    Column("u", "address", UDT, False, ("street", "zip")), Column("shelf", "text", SIMPLE, True),
    Column("category", "text", SIMPLE, False),
))  # fmt: skip
MAPPING = Mapping(tuple(Twin(name, name, "x", "x") for name in ("a", "m", "s", "u")), (), ())


class Session:
    """Remembers what was prepared."""

    def __init__(self) -> None:
        self.prepared: list[str] = []

    def prepare(self, text: str) -> PreparedStatement:
        self.prepared.append(text)
        return PreparedStatement([], b"id", [], text, "evenkeel", 5, [], None)


def scan(*, deletes: bool = True) -> tuple[TableScan, Session]:
    session = Session()
    update = PreparedStatement([], b"id", [], "UPDATE", "evenkeel", 5, [], None)
    plan = Plan(("p", "c"), (Slot(TARGET.column("a"), 0, same),), 1, update, update)
    comparer: Any = SimpleNamespace(mapping=MAPPING)
    deletions = Deletions(session, TARGET) if deletes else None  # type: ignore[arg-type]
    made = TableScan(None, comparer, None, plan, None, deletions, Tally(), threading.Lock())  # type: ignore[arg-type]
    return made, session


def repairs(source: Row | None, target: Row | None, *, deletes: bool = True) -> tuple[int, list[tuple[str, list[Any]]]]:
    """How many statements write, and those that take back: their text and values."""
    made, session = scan(deletes=deletes)
    written, gone = made.repairs(source, target, compare_rows(source, target, MAPPING))
    assert len(gone) <= len(session.prepared) or not gone
    return len(written), [(one.prepared_statement.query_string, list(one.values)) for one in gone]


def at(moment: int) -> bytes:
    return struct.pack(">q", moment)


def test_rows_that_are_the_same_are_left_alone() -> None:
    assert repairs(row(a=(b"x", 9, None)), row(a=(b"x", 9, None))) == (0, [])


def test_what_the_new_table_lacks_is_written_as_the_copy_writes_it() -> None:
    written, gone = repairs(row(a=(b"x", 9, None)), None)
    assert (written, gone) == (2, [])
    assert repairs(row(a=(b"y", 12, None)), row(a=(b"x", 9, None)))[0] == 2


def test_a_row_of_dropped_columns_alone_is_written_too() -> None:
    assert repairs(row(old=(b"x", 9, None)), None)[0] == 1


def test_a_row_that_only_the_new_table_has_ends_at_its_newest_write() -> None:
    _, gone = repairs(None, row(a=(b"x", 9, None), category=(b"general", 1, None), m=[(b"1", 30, None, b"k")]))
    (statement,) = gone
    assert statement == (
        'DELETE  FROM evenkeel.item_r7 USING TIMESTAMP ? WHERE "p" = ? AND "c" = ?',
        [at(30), b"key", b"\0\0\0\1"],
    )


def test_a_row_that_shows_no_cell_ends_now() -> None:
    before = time.time_ns() // 1_000
    assert before <= now_if_bare(row()) <= time.time_ns() // 1_000
    assert len(repairs(None, row())[1]) == 1


@pytest.mark.parametrize(
    ("cells", "what", "more"),
    [
        ({"a": [(b"x", 8, None)]}, '"a"', []),
        ({"s": [(b"", 8, None, b"e")]}, '"s"[?]', [b"e"]),
        ({"m": [(b"1", 8, None, b"k")]}, '"m"[?]', [b"k"]),
        ({"u": [(b"12345", 8, None, b"\0\1")]}, '"u"."zip"', []),
    ],
)
def test_a_cell_that_the_old_row_has_no_more_ends_at_its_own_time(
    cells: dict[str, Any], what: str, more: list[bytes]
) -> None:
    target = row(**cells)._replace(cells={**row(**cells).cells, "category": (Cell(b"general", 99, None),)})
    kept = {"a": (b"x", 7, None)} if "a" not in cells else {"m": [(b"1", 7, None, b"k")]}
    _, gone = repairs(row(**kept), target)
    found = [(text.split(" FROM")[0].removeprefix("DELETE "), values[:-2]) for text, values in gone]
    assert (what, [*more, at(8)]) in found
    assert not any("category" in text for text, _ in found), "a column of the new table's own is its own business"


def test_an_element_that_is_there_is_no_stray_whatever_its_value() -> None:
    source, target = row(m=[(b"1", 9, None, b"k")]), row(m=[(b"2", 8, None, b"k"), (b"3", 8, None, b"l")])
    assert [(name, cell.path) for name, cell in stray_cells(source, target, MAPPING.regulars)] == [("m", b"l")]


def test_a_static_part_ends_cell_by_cell() -> None:
    target = row(shelf=(b"x", 5, None))._replace(clustering=None)
    ((text, values),) = repairs(None, target)[1]
    assert text == 'DELETE "shelf" FROM evenkeel.item_r7 USING TIMESTAMP ? WHERE "p" = ?' and values == [at(5), b"key"]


def test_while_users_write_nothing_is_taken_back() -> None:
    assert repairs(None, row(a=(b"x", 9, None)), deletes=False) == (0, [])
    assert repairs(row(s=[(b"", 9, None, b"e")]), row(a=(b"x", 9, None)), deletes=False)[1] == []


def test_where_nobody_looks_again_a_partition_that_cannot_be_matched_is_an_error() -> None:
    many = [row()._replace(clustering=(struct.pack(">i", number),)) for number in range(9)]
    assert len(list(merge(iter(many), iter([]), 4))) == 9
    with pytest.raises(TablesError, match="more than 4 rows of one partition"):
        list(merge(iter(many), iter([]), 4, strict=True))


# --- how long it will take ------------------------------------------------------------------------------------------


class Comparer:
    """Takes its time for a range."""

    readers = None

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def outcomes(self, _readers: Any, tokens: TokenRange, _page_rows: Any) -> Any:
        time.sleep(self.seconds)
        yield from range(3)


def ranges(count: int) -> list[TokenRange]:
    step = (2**64 - 1) // count
    return [TokenRange(-(2**63) + number * step, -(2**63) + (number + 1) * step) for number in range(count)]


def test_a_small_table_is_scanned_whole_and_a_large_one_in_part() -> None:
    taken, rows, part = estimate.try_some(Comparer(0.0), ranges(16), 5.0)  # type: ignore[arg-type]
    assert (rows, round(part, 3)) == (48, 1.0)
    taken, rows, part = estimate.try_some(Comparer(0.05), ranges(400), 0.2)  # type: ignore[arg-type]
    assert 0 < part < 0.2 and rows < 400 and taken >= 0.2


def test_ranges_are_tried_from_all_over_the_ring_and_each_once() -> None:
    for count in (1, 64, 100, 7919, 8000):
        spread = estimate.spread(ranges(count))
        assert sorted(tokens.start for tokens in spread) == [tokens.start for tokens in ranges(count)]


def test_an_error_of_a_range_is_the_error_of_the_measuring() -> None:
    class Broken(Comparer):
        def outcomes(self, _readers: Any, _tokens: TokenRange, _page_rows: Any) -> Any:
            raise TablesError("no quorum")

    with pytest.raises(TablesError, match="no quorum"):
        estimate.try_some(Broken(0), ranges(3), 1.0)  # type: ignore[arg-type]


def test_without_a_new_table_each_row_is_its_own_twin() -> None:
    change = estimate.with_itself(read_change(DOCUMENT["tables"][0]))  # type: ignore[index]
    assert (change.source, change.target) == ("item", "item")
    assert all(pair.source == pair.target and pair.source_type == pair.target_type for pair in change.pairs)
