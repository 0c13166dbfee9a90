"""A row becomes statements that change nothing: values, write times and lives stay, nulls are never written."""

import struct

import pytest
from cassandra.query import PreparedStatement

from scripts.tables.cells import MAP, SET, Cell
from scripts.tables.errors import Refused
from scripts.tables.mapping import MARKER, Plan, Slot, conversion, marker_ttl, remaining, same, shortest
from scripts.tables.wire import UNSET, decode, encode
from tests.unit.tables.changes import SOURCE, row

NAMES = ("a", "n", "s", "m", "u")  # u has two places


def statement():
    return PreparedStatement([], b"id", [], "", "evenkeel", 5, [], None)


def plan(**changes):
    slots, place = [], 0
    for name in NAMES:
        slots.append(Slot(SOURCE.column(name), place, conversion("int", "bigint") if name == "n" else same))
        place += 2 if name == "u" else 1
    made = {"key": ("p", "c"), "slots": tuple(slots), "width": place, "update": statement(), "insert": statement()}
    return Plan(**{**made, "defaults": (b"general",), **changes})


def split(bound):
    """An UPDATE's write time, TTL and values."""
    written, ttl, *values = bound.values[:8]
    return struct.unpack(">q", written)[0], struct.unpack(">i", ttl)[0], values


def test_a_row_of_one_write_time_is_a_marker_and_one_update():
    insert, update = plan().statements(row(a=(b"x", 9, None), n=(struct.pack(">i", -2), 9, None)), 0)
    assert insert.values == [b"key", b"\0\0\0\1", b"general", struct.pack(">i", 0)]
    written, ttl, values = split(update)
    assert (written, ttl) == (9, 0)
    assert values == [b"x", struct.pack(">q", -2), UNSET, UNSET, UNSET, UNSET]
    assert update.values[8:] == [b"key", b"\0\0\0\1"]


def test_cells_of_different_times_are_different_updates():
    _, *updates = plan().statements(row(a=(b"x", 9, None), n=(struct.pack(">i", 1), 8, None)), 0)
    assert {split(update)[0] for update in updates} == {8, 9}


def test_elements_are_added_by_their_own_times():
    cells = [(b"", 5, None, b"e"), (b"", 6, 100, b"q"), (b"", 5, None, b"w")]
    _, *updates = plan().statements(row(s=cells), 0)
    found = {split(update)[:2]: decode("set<text>", split(update)[2][2]) for update in updates}
    assert found == {(5, 0): {"e", "w"}, (6, 100): {"q"}}


def test_a_maps_elements_keep_their_keys():
    _, update = plan().statements(row(m=[(struct.pack(">i", 3), 5, None, b"k")]), 0)
    assert decode("map<text,int>", split(update)[2][3]) == {"k": 3}


def test_a_udts_fields_are_set_one_by_one():
    _, update = plan().statements(row(u=[(b"C", 5, None, b"\0\1")]), 0)
    assert split(update)[2][4:] == [UNSET, b"C"]


def test_a_row_without_cells_is_its_marker():
    (insert,) = plan().statements(row(), 0)
    assert insert.values[-1] == struct.pack(">i", 0)


def test_what_expires_while_it_is_copied_is_not_copied():
    assert list(plan().statements(row(a=(b"x", 9, 3)), 3)) == []


def test_a_life_is_shorter_by_what_passed_since_it_was_read():
    insert, update = plan().statements(row(a=(b"x", 9, 100)), 4)
    assert split(update)[1] == 96
    assert insert.values[-1] == struct.pack(">i", 96)
    assert remaining(Cell(b"", 9, None), 1_000) == (9, 0)


@pytest.mark.parametrize(("lives", "marker"), [([10, 99], 99), ([10, 0], 0), ([], 0)])
def test_a_marker_lives_as_long_as_the_last_cell(lives, marker):
    assert marker_ttl({(time, life): {} for time, life in enumerate(lives)}) == marker


def test_a_default_that_is_a_collection_is_added_at_timestamp_1():
    tags = encode("set<text>", {"new"})
    insert, late, _ = plan(width=7, late={6: tags}).statements(row(a=(b"x", 9, 50)), 0)
    assert late.values[:2] == [MARKER, struct.pack(">i", 50)]
    assert late.values[2:9] == [*[UNSET] * 6, tags]
    assert insert.values[-1] == struct.pack(">i", 50)


def test_a_static_part_has_no_marker():
    (update,) = plan(insert=None).statements(row(a=(b"x", 9, None))._replace(clustering=None), 0)
    assert update.values[8:] == [b"key"]


WIDER = [
    ("int", "bigint", -5),
    ("tinyint", "smallint", -128),
    ("smallint", "int", 32_767),
    ("bigint", "varint", -(2**63)),
    ("tinyint", "varint", 127),
    ("int", "varint", 128),
    ("float", "double", 0.5),
    ("ascii", "text", "plain"),
    ("int", "int", 7),
]


@pytest.mark.parametrize(("source", "target", "value"), WIDER)
def test_a_widened_value_is_the_same_value(source, target, value):
    widened = conversion(source, target)(encode(source, value))
    assert decode(target, widened) == value
    assert widened == encode(target, value), "not as the mirror or a client would write it"


def test_an_empty_value_stays_empty():
    assert conversion("int", "bigint")(b"") == conversion("float", "double")(b"") == b""


NARROWER = [("bigint", "int"), ("text", "ascii"), ("int", "double"), ("set<int>", "int")]


@pytest.mark.parametrize(("source", "target"), NARROWER)
def test_a_change_that_could_lose_something_is_refused(source, target):
    with pytest.raises(Refused, match=f"{source} does not fit {target}"):
        conversion(source, target)


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, -128, -129, 255, 256, 2**63, -(2**63) - 1])
def test_a_varint_is_as_short_as_it_can_be(number):
    assert shortest(number) == encode("varint", number)


def test_kinds_are_told_apart():
    assert SOURCE.column("s").kind == SET
    assert SOURCE.column("m").kind == MAP
