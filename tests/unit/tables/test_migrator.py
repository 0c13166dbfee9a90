"""A run of Cassandra Data Migrator counts only where it left nothing out."""

import re
from types import SimpleNamespace

import pytest

from scripts.tables.migrator import left_out


def migrated(status, info):
    return SimpleNamespace(run_id=65, status=status, run_info=info)


def test_a_run_of_the_migrator_in_which_every_part_passed_left_nothing_out():
    assert left_out("item_r7", migrated("ENDED", "Read: 20000; Partitions Passed: 16; Partitions Failed: 0")) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (migrated("ENDED", "Error: 16; Partitions Failed: 16"), "left out 16 parts of item_r7.*--run 65 tries them"),
        (migrated("STARTED", None), "left out some of item_r7"),
        (migrated("ENDED", ""), "left out some of item_r7"),
        (None, "has no run of item_r7"),
    ],
)
def test_a_run_of_the_migrator_that_left_something_out_does_not_end_the_releases_own_copy(found, words):
    assert re.search(words, left_out("item_r7", found))
