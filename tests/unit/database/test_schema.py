"""An existing table is compared with the manifest; a table that differs is never altered."""

import pytest

from scripts.database.request import TableSpec
from scripts.database.schema import Column, create_table, differences, existing_key, replication, replication_clause

TABLE = TableSpec("reading", {"place": "text", "at": "timestamp", "tags": "set<text>"}, ("place", "at"))


def existing(**changes):
    columns = {
        "place": Column("place", "text", "partition_key", 0),
        "at": Column("at", "timestamp", "clustering", 0),
        "tags": Column("tags", "set<text>", "regular", -1),
    }
    return {name: column for name, column in (columns | changes).items() if column is not None}


def test_the_statement_has_the_columns_in_order_and_the_key():
    assert create_table("evenkeel", TABLE) == (
        "CREATE TABLE IF NOT EXISTS evenkeel.reading"
        " (place text, at timestamp, tags set<text>, PRIMARY KEY (place, at))"
    )


def test_a_static_column_is_created_as_one_and_told_apart_from_others():
    table = TableSpec("reading", {"place": "text", "at": "timestamp", "tags": "set<text>"}, ("place", "at"), ("tags",))
    assert "tags set<text> static, PRIMARY KEY" in create_table("evenkeel", table)
    assert differences(table, existing()) == ["tags is static in the manifest only"]
    static = existing(tags=Column("tags", "set<text>", "static", -1))
    assert differences(table, static) == []
    assert differences(TABLE, static) == ["tags is static in the database only"]


def test_an_equal_table_has_no_differences():
    assert differences(TABLE, existing()) == []


def test_spaces_and_another_word_for_text_are_no_difference():
    table = TableSpec("reading", {"place": "varchar", "at": "timestamp", "tags": "set< text >"}, ("place", "at"))
    assert differences(table, existing()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tags": None}, "tags is missing"),
        ({"more": Column("more", "int", "regular", -1)}, "more is not in the manifest"),
        ({"tags": Column("tags", "list<text>", "regular", -1)}, "tags is list<text>, the manifest says set<text>"),
        ({"at": Column("at", "timestamp", "regular", -1)}, "the primary key is (place), the manifest says (place, at)"),
    ],
)
def test_each_difference_is_named(changes, words):
    assert words in differences(TABLE, existing(**changes))


def test_the_key_is_read_in_its_order():
    columns = [
        Column("b", "int", "clustering", 1),
        Column("a", "int", "clustering", 0),
        Column("p", "int", "partition_key", 0),
        Column("v", "int", "regular", -1),
    ]
    assert existing_key({column.name: column for column in columns}) == ("p", "a", "b")


def test_replication_is_written_and_recognised():
    assert replication_clause("dc1", 3) == "replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}"
    assert replication("dc1", 3) == {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3"}
