"""What two rows of the two tables differ in, and what is no difference though it looks like one."""

import struct

import pytest

from scripts.tables.cells import Cell, Row
from scripts.tables.difference import Mapping, Twin, compare_rows, fits, same_value
from scripts.tables.merging import merge

NAME = Twin("name", "title", "text", "text")
QUANTITY = Twin("quantity", "quantity", "int", "bigint")
MAPPING = Mapping((NAME, QUANTITY), (), ("category",))
GENERAL = (Cell(b"general", 1, None),)


def number(value, size):
    return value.to_bytes(size, "big", signed=True)


def cell(value, timestamp=100, ttl=None, path=None):
    return Cell(value if isinstance(value, bytes) else value.encode(), timestamp, ttl, path)


def row(token=1, key=b"k", clustering=(), **cells):
    held = {name: content if isinstance(content, tuple) and not isinstance(content, Cell) else (content,)
            for name, content in cells.items()}  # fmt: skip
    return Row(token, (key,), clustering, held)


def old(**cells):
    return row(**{"name": cell("a"), "quantity": cell(number(-5, 4)), **cells})


def new(**cells):
    return row(**{"title": cell("a"), "quantity": cell(number(-5, 8)), "category": GENERAL, **cells})


def whys(source, target):
    return [(str(what), column, why) for what, column, why in compare_rows(source, target, MAPPING).differences]


def test_equal_rows_are_equal_through_a_rename_a_wider_type_and_a_default():
    assert compare_rows(old(), new(), MAPPING) == ((), 0, 0, 0)


def test_a_row_of_one_table_only_is_missing_or_extra():
    assert whys(old(), None)[0][:2] == ("missing", None)
    assert whys(None, new())[0][:2] == ("extra", None)


def test_a_row_that_has_only_its_marker_must_be_in_the_new_table_too():
    assert whys(row(), None)[0][0] == "missing"
    assert not whys(row(), row(category=GENERAL))


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"title": cell("b")}, "name", "two values"),
        ({"title": cell("a", 99)}, "name", "the old is newer"),
        ({"title": cell("a", 101)}, "name", "the new is newer"),
        ({"title": ()}, "name", "the new one none"),
        ({"title": cell("a", ttl=500)}, "name", "expires in the new table and not in the old"),
        ({"quantity": cell(number(-6, 8))}, "quantity", "the larger stands"),
    ],
)
def test_a_cell_that_differs_is_named_with_the_reason(cells, column, words):
    ((what, named, why),) = whys(old(), new(**cells))
    assert (what, named) == ("different", column) and words in why


def test_a_cell_of_the_new_table_alone_is_named():
    assert "the old one none" in whys(old(name=()), new())[0][2]


def test_lives_may_differ_by_seconds_and_not_by_more():
    assert not whys(old(name=cell("a", ttl=500)), new(title=cell("a", ttl=495)))
    assert "expires in 500 s" in whys(old(name=cell("a", ttl=500)), new(title=cell("a", ttl=400)))[0][2]


def test_what_is_about_to_expire_may_be_gone_from_one_table():
    assert not whys(old(name=cell("a", ttl=3)), new(title=()))
    assert not whys(row(name=cell("a", ttl=3)), None)
    assert not whys(None, row(title=cell("a", ttl=3)))
    assert whys(row(name=cell("a", ttl=3), quantity=cell(number(1, 4))), None)


def test_a_value_that_the_old_type_cannot_hold_is_no_difference_where_the_old_table_has_none():
    large = cell(number(2**40, 8), 200)
    assert compare_rows(old(quantity=()), new(quantity=large), MAPPING).unrepresentable == 1
    assert not whys(old(quantity=()), new(quantity=large))
    assert whys(old(), new(quantity=large)), "a stale value in the old table is a difference"
    assert compare_rows(None, row(quantity=large), MAPPING) == ((), 1, 0, 0)


def test_a_row_without_its_default_is_counted_and_no_difference():
    lacking = row(title=cell("a"), quantity=cell(number(-5, 8)))
    assert compare_rows(old(), lacking, MAPPING) == ((), 0, 1, 0)


def test_a_row_that_only_a_marker_a_default_or_a_column_of_its_own_keeps_is_left_over():
    assert compare_rows(None, row(), MAPPING) == ((), 0, 0, 1)
    assert compare_rows(None, row(category=GENERAL), MAPPING) == ((), 0, 0, 1)
    assert compare_rows(row(dropped=cell("x")), None, MAPPING) == ((), 0, 0, 1)


def test_a_collection_is_compared_element_by_element():
    tags = Twin("tags", "tags", "set<text>", "set<text>")
    mapping = Mapping((tags,), (), ())

    def tagged(*elements):
        return row(tags=tuple(cell(b"", at, ttl, path.encode()) for path, at, ttl in elements))

    both = tagged(("a", 1, None), ("b", 2, None))
    assert not compare_rows(both, tagged(("b", 2, None), ("a", 1, None)), mapping).differences
    assert compare_rows(both, tagged(("a", 1, None)), mapping).differences
    assert compare_rows(tagged(("a", 1, None)), both, mapping).differences
    assert compare_rows(both, tagged(("a", 1, None), ("b", 3, None)), mapping).differences


def test_the_static_part_of_a_partition_is_compared_by_its_own_columns():
    mapping = Mapping((NAME,), (Twin("owner", "owner", "text", "text"),), ("category",))
    part = Row(1, (b"k",), None, {"owner": (cell("me"),)})
    assert compare_rows(part, part, mapping) == ((), 0, 0, 0)
    assert compare_rows(part, None, mapping).differences


TENTH = struct.pack(">f", 0.1)


@pytest.mark.parametrize(
    ("left", "right", "source", "target", "same"),
    [
        (number(-1, 2), number(-1, 8), "smallint", "bigint", True),
        (number(300, 4), number(300, 2), "int", "varint", True),
        (TENTH, struct.pack(">d", *struct.unpack(">f", TENTH)), "float", "double", True),
        (struct.pack(">f", float("nan")), struct.pack(">d", float("nan")), "float", "double", True),
        (TENTH, struct.pack(">d", 0.1), "float", "double", False),
        (b"abc", b"abc", "ascii", "text", True),
        (b"", number(0, 8), "int", "bigint", False),
    ],
)  # fmt: skip
def test_values_are_compared_by_what_they_mean(left, right, source, target, same):
    assert same_value(left, right, Twin("c", "c", source, target)) is same


@pytest.mark.parametrize(
    ("content", "source", "target", "holds"),
    [
        (number(2**31 - 1, 8), "int", "bigint", True),
        (number(2**31, 8), "int", "bigint", False),
        (number(-(2**31), 8), "int", "bigint", True),
        (number(2**70, 9), "bigint", "varint", False),
        (struct.pack(">d", 0.1), "float", "double", False),
        (struct.pack(">d", 0.5), "float", "double", True),
        (struct.pack(">d", 1e300), "float", "double", False),
        ("ä".encode(), "ascii", "text", False),
        (bytes.fromhex("00112233445540118899aabbccddeeff"), "timeuuid", "uuid", False),
        (bytes.fromhex("00112233445510118899aabbccddeeff"), "timeuuid", "uuid", True),
    ],
)
def test_what_the_narrower_type_can_hold_is_known(content, source, target, holds):
    assert fits(content, source, target) is holds


def key(token, clustering):
    return Row(token, (b"%d" % token,), (b"%d" % clustering,), {})


def test_rows_meet_their_twins_and_those_without_are_given_alone():
    left = [key(1, 1), key(1, 2), key(3, 1), key(4, 1)]
    right = [key(1, 2), key(2, 1), key(4, 1), key(4, 2)]
    met = list(merge(iter(left), iter(right)))
    assert sorted((one and one.token, two and two.token) for one, two in met if one and two) == [(1, 1), (4, 4)]
    assert sorted(one.token for one, two in met if two is None) == [1, 3]
    assert sorted(two.token for one, two in met if one is None) == [2, 4]


def test_a_partition_of_a_hundred_thousand_rows_keeps_few_of_them_in_memory():
    count = 100_000
    alone = 0
    left = (key(1, number) for number in range(count))
    right = (key(1, number) for number in range(1, count))
    for one, two in merge(left, right, most_waiting=100):
        alone += one is None or two is None
    assert alone == 1
