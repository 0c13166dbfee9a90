"""The statements that make a release's tables; on a real ring in tests/system/test_mirror.py."""

from __future__ import annotations

from typing import Any

from components.data import Created, comparable_type
from scripts.tables.request import read_change
from scripts.tables.structure import as_made, options_of, statement
from tests.system.mirror_lab import data_document


def test_a_new_table_has_the_old_ones_key_order_and_options() -> None:
    columns = {"shop": "text", "day": "date", "id": "int", "shelf": "text", "summary": "text"}
    new = Created("item", "item_r7", ("shop", "day", "id"), ("shop", "day"), columns, ("shelf",))
    assert statement("evenkeel", new, ("CLUSTERING ORDER BY (id DESC)", "gc_grace_seconds = 10")) == (
        "CREATE TABLE IF NOT EXISTS evenkeel.item_r7 (shop text, day date, id int, shelf text static, summary text,"
        " PRIMARY KEY ((shop, day), id)) WITH CLUSTERING ORDER BY (id DESC) AND gc_grace_seconds = 10"
    )


def test_a_table_without_clustering_or_options_is_plain() -> None:
    new = Created("tag", "tag", ("id",), ("id",), {"id": "uuid"})
    assert statement("evenkeel", new, ()) == "CREATE TABLE IF NOT EXISTS evenkeel.tag (id uuid, PRIMARY KEY ((id)))"


def test_the_data_document_says_what_a_new_table_is() -> None:
    new = as_made(read_change(data_document()["tables"][0]))
    assert new.target == "item_r2"
    assert new.columns["quantity"] == "bigint"
    assert (new.partition, new.key, new.statics) == (("shop",), ("shop", "id"), ("shelf",))


def test_options_are_written_as_cassandra_reads_them() -> None:
    row: dict[str, Any] = {
        "gc_grace_seconds": 864000,
        "default_time_to_live": 0,
        "speculative_retry": "99p",
        "compaction": {"class": "UnifiedCompactionStrategy", "min_sstable_size": "100MiB"},
        "comment": "mine",
        "cdc": None,
        "id": "an id",
    }
    assert options_of(row) == (
        "default_time_to_live = 0",
        "gc_grace_seconds = 864000",
        "speculative_retry = '99p'",
        "compaction = {'class': 'UnifiedCompactionStrategy', 'min_sstable_size': '100MiB'}",
    )


def test_types_are_compared_without_spaces_and_with_one_word_for_text() -> None:
    assert comparable_type("map<varchar, int>") == comparable_type("map<text,int>")
