"""Seed rows are the same every time, all different, and older than anything a user writes."""

import pytest

from scripts.database.errors import RequestError
from scripts.database.request import TableSpec
from scripts.database.seed import MAKERS, ensure_rows, insert_statement, row

TABLE = TableSpec("item", {"id": "uuid", "name": "text", "stock": "int", "tags": "set<text>"}, ("id",))


class Notes:
    """Notes in memory."""

    def __init__(self, **values):
        self.values = values

    def read(self, name, default=None):
        return self.values.get(name, default)

    def write(self, name, value):
        self.values[name] = value


class Session:
    """A session that takes prepared statements."""

    def prepare(self, statement):
        return statement


@pytest.fixture
def written(monkeypatch):
    """The rows that were written, in order."""
    rows = []
    monkeypatch.setattr("scripts.database.seed._write", lambda session, statement, values: rows.extend(values))
    return rows


def test_a_row_is_the_same_every_time():
    assert str(row(TABLE, 7)["id"]) == "accc9724-15f5-5637-9594-dc39d9a71d9f"
    assert row(TABLE, 7) == row(TABLE, 7)


def test_no_two_rows_share_a_key():
    assert len({row(TABLE, number)["id"] for number in range(5_000)}) == 5_000


def test_a_whole_number_as_key_counts_on():
    table = TableSpec("count", {"n": "int", "v": "int"}, ("n",))
    assert [row(table, number)["n"] for number in (0, 999, 1_000, 2_001)] == [0, 999, 1_000, 2_001]


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_column_gets_a_value(kind):
    table = TableSpec("one", {"id": "uuid", "value": kind}, ("id",))
    assert "value" in row(table, 3)


def test_a_column_of_a_kind_we_cannot_make_stays_unset():
    table = TableSpec("one", {"id": "uuid", "address": "inet"}, ("id",))
    assert list(row(table, 3)) == ["id"]
    assert "address" not in insert_statement("evenkeel", table)


def test_a_key_of_such_a_kind_is_refused():
    with pytest.raises(RequestError, match="key address of type inet"):
        row(TableSpec("one", {"address": "inet"}, ("address",)), 3)


def test_every_cell_is_older_than_any_user_s():
    statement = insert_statement("evenkeel", TABLE)
    assert statement == "INSERT INTO evenkeel.item (id, name, stock, tags) VALUES (?, ?, ?, ?) USING TIMESTAMP 1"


def test_rows_written_before_are_not_written_again(written):
    notes = Notes(**{"seeded item": 4_000})
    assert ensure_rows(Session(), notes, "evenkeel", TABLE, 4_000) == 0
    assert written == []


def test_an_interrupted_seed_goes_on_where_it_was(written):
    notes = Notes(**{"seeded item": 4_000})
    assert ensure_rows(Session(), notes, "evenkeel", TABLE, 5_000) == 1_000
    assert written[0] == tuple(row(TABLE, 4_000).values())
    assert notes.values == {"seeded item": 5_000}


def test_a_smaller_number_removes_nothing(written):
    assert ensure_rows(Session(), Notes(**{"seeded item": 4_000}), "evenkeel", TABLE, 100) == 0
