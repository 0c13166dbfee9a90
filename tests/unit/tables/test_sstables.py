"""Whole files are taken over where a file of the old table is a file of the new one; else the reason is told."""

import copy

import pytest

from scripts.tables.request import read_data
from scripts.tables.sstables import obstacle, requests
from tests.unit.tables.changes import DOCUMENT


def data(**table):
    document = copy.deepcopy(DOCUMENT)
    pairs = [{**pair, "to": pair["from"]} for pair in document["tables"][0]["pairs"]]
    added = [{"target": "note", "type": "text", "default": None}]
    document["tables"][0].update({"pairs": pairs, "added": added, **table})
    return read_data({"data": document})


def test_a_column_without_default_is_all_that_is_added():
    assert obstacle(data(), {}) is None
    assert obstacle(data(added=[]), {"item": [], "other": ["old"]}) is None


def pair(source, target, old, new):
    return {"source": source, "target": target, "from": old, "to": new}


OBSTACLES = [
    ({"pairs": [pair("a", "b", "text", "text")]}, "a is renamed to b"),
    ({"pairs": [pair("n", "n", "int", "bigint")]}, "n is widened from int to bigint"),
    ({"dropped": ["a"]}, "a is dropped"),
    ({"added": [{"target": "c", "type": "text", "default": "x"}]}, "c has a default, which no file has"),
]


@pytest.mark.parametrize(("table", "words"), OBSTACLES, ids=[words for _, words in OBSTACLES])
def test_anything_else_is_copied_row_by_row_and_the_reason_told(table, words):
    assert obstacle(data(**table), {}) == f"files of item cannot be taken over as they are: {words}"


def test_another_way_to_write_a_type_is_the_same_type():
    assert obstacle(data(pairs=[pair("m", "m", "map<text,int>", "map<text, int>")]), {}) is None


def test_a_column_that_was_dropped_once_may_still_be_in_files():
    assert obstacle(data(), {"item": ["old"]}).endswith("old was dropped from it once")


def test_each_table_is_one_request_to_a_node():
    assert requests(data()) == [
        {"keyspace": "evenkeel", "source": "item", "target": "item_r7", "tag": "evenkeel-import-7"}
    ]
