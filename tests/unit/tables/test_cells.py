"""Rows come as cells: one an element where a column is a collection, each with its own time and life.

The bytes here are what a node of 5.0 sends for a row with such columns.
"""

import struct

import pytest

from scripts.tables.cells import (
    LIST,
    MAP,
    SET,
    SIMPLE,
    UDT,
    Cell,
    Column,
    _cells,
    join_values,
    kind_of,
    split_fields,
    split_values,
)
from scripts.tables.errors import TablesError
from scripts.tables.wire import decode, encode, split_rows


def numbers(pattern, *values):
    """A list of numbers as CQL sends one; None for a missing element."""
    parts = [struct.pack(">i", len(values))]
    for value in values:
        size = struct.calcsize(pattern)
        parts.append(struct.pack(">i", -1) if value is None else struct.pack(">i", size) + struct.pack(pattern, value))
    return b"".join(parts)


def test_a_column_of_one_cell_is_one_cell():
    raw = (b"value", struct.pack(">q", 1_000), struct.pack(">i", 60))
    assert _cells(raw, 0, (Column("a", "text", SIMPLE, False),)) == {"a": (Cell(b"value", 1_000, 60),)}


def test_a_null_is_no_cell():
    assert _cells((None, None, None), 0, (Column("a", "text", SIMPLE, False),)) == {}


def test_elements_of_a_set_have_their_own_times_and_lives():
    raw = (join_values([b"e", b"q"]), numbers(">q", 2_000, 1_000), numbers(">i", 900, None))
    cells = _cells(raw, 0, (Column("s", "set<text>", SET, False),))
    assert cells == {"s": (Cell(b"", 2_000, 900, b"e"), Cell(b"", 1_000, None, b"q"))}


def test_elements_of_a_map_are_told_apart_by_their_keys():
    raw = (encode("map<text,int>", {"k": 1, "l": 5}), numbers(">q", 1, 2), None)
    cells = _cells(raw, 0, (Column("m", "map<text, int>", MAP, False),))
    one, five = struct.pack(">i", 1), struct.pack(">i", 5)
    assert cells == {"m": (Cell(one, 1, None, b"k"), Cell(five, 2, None, b"l"))}


def test_a_field_of_a_udt_that_was_never_set_is_no_cell():
    value = struct.pack(">i", -1) + struct.pack(">i", 1) + b"C"
    cells = _cells((value, numbers(">q", None, 7), None), 0, (Column("u", "address", UDT, False, ("street", "city")),))
    assert cells == {"u": (Cell(b"C", 7, None, b"\0\1"),)}


def test_a_list_keeps_the_order_of_its_elements():
    cells = _cells(
        (encode("list<int>", [8, 9]), numbers(">q", 1, 1), None), 0, (Column("l", "list<int>", LIST, False),)
    )
    assert [cell.path for cell in cells["l"]] == [b"\0\0\0\0", b"\0\0\0\1"]


@pytest.mark.parametrize("values", [[], [b""], [b"a", b"", b"longer"]])
def test_a_collection_taken_apart_and_joined_is_the_same(values):
    assert split_values(join_values(values)) == values
    assert split_values(join_values(values * 2, pairs=True), pairs=True) == values * 2


def test_a_collection_that_is_longer_than_it_says_is_an_error():
    with pytest.raises(TablesError, match="longer"):
        split_values(join_values([b"a"]) + b"more")


def test_a_udt_of_an_older_form_has_fewer_fields():
    assert split_fields(struct.pack(">i", 1) + b"x") == [b"x"]
    assert split_fields(b"") == []


def test_a_page_is_taken_apart_into_bytes_and_nulls():
    content = struct.pack(">i", 2) + b"".join(
        struct.pack(">i", 1) + b"a" + struct.pack(">i", -1) + struct.pack(">i", 0) for _ in range(2)
    )
    assert split_rows(content, 3) == [(b"a", None, b"")] * 2


@pytest.mark.parametrize(
    ("cql", "kind"),
    [
        ("text", SIMPLE),
        ("frozen<set<int>>", SIMPLE),
        ("set<int>", SET),
        ("map<text, frozen<list<int>>>", MAP),
        ("list<int>", LIST),
        ("address", UDT),
        ("frozen<address>", SIMPLE),
        ("tuple<int, text>", SIMPLE),
    ],
)
def test_what_a_type_is_made_of(cql, kind):
    assert kind_of(cql, {"address": ("street",)}) == kind


def test_values_are_decoded_for_people_and_an_unknown_type_stays_as_it_is():
    assert decode("int", struct.pack(">i", -3)) == -3
    assert decode("map<text, frozen<set<int>>>", encode("map<text, frozen<set<int>>>", {"a": {1}})) == {"a": {1}}
    assert decode("address", b"\x01") == "01"
    assert decode("int", None) is None
