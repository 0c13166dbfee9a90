"""How two tables are held against each other: what counts as a difference, and when it does."""

import pytest
from cassandra import Unavailable

from scripts.tables.cells import Cell, Row
from scripts.tables.compare import PAUSES, Again, Comparer
from scripts.tables.difference import Mapping, Twin
from scripts.tables.request import read_change
from scripts.tables.sentences import sentence
from scripts.tables.tokens import TokenRange

RING = TokenRange(-100, 100)
CHANGE = read_change({
    "name": "item", "source": "item", "target": "item_r2", "key": ["id"], "partition": ["id"],
    "source_columns": {"id": "text", "name": "text"}, "target_columns": {"id": "text", "title": "text"},
    "pairs": [{"source": "name", "target": "title", "from": "text", "to": "text"}],
})  # fmt: skip
MAPPING = Mapping((Twin("name", "title", "text", "text"),), (), ())


class Table:
    """A table in memory: token -> value. `later` are the values from the second reading on."""

    def __init__(self, column, now, later=None, error=None):
        self.column, self.now, self.later, self.error = column, now, later, error
        self.readings = []

    def rows(self, tokens, _page_rows=None):
        if self.error:
            raise self.error
        values = self.now if self.later is None or not self.readings else self.later
        self.readings.append(tokens)
        for token in sorted(values):
            if tokens.start < token <= tokens.end:
                cell = Cell(values[token].encode(), 5, None)
                yield Row(token, (b"%d" % token,), (), {self.column: (cell,)})

    def partitions(self, _tokens, _page_rows=None):
        return iter(())


def compare(old, new, every=None, most_doubts=10):
    """The tally, and how long was waited."""
    waited = []
    source, target = Table("name", old), new if isinstance(new, Table) else Table("title", new)
    comparer = Comparer(CHANGE, MAPPING, (source, target), every or (source, target), waited.append)
    return comparer.compare(RING, again=Again(most_doubts)), waited


def test_level_tables_are_read_once():
    tally, waited = compare({1: "a", 2: "b"}, {1: "a", 2: "b"})
    assert (tally.rows, tally.differences, waited, tally.ranges) == (2, 0, [], [])
    assert sentence(tally.figures()) == "the two tables are level: 2 rows compared"


def test_a_difference_that_is_gone_when_read_again_is_none():
    tally, waited = compare({1: "a", 2: "b"}, Table("title", {1: "a"}, later={1: "a", 2: "b"}))
    assert (tally.differences, tally.looked_again, waited) == (0, 1, [PAUSES[0]])


def test_a_difference_that_stays_is_named_by_key_column_and_reason():
    tally, waited = compare({1: "a", 2: "b", 3: "c"}, {2: "x", 3: "c", 4: "d"})
    assert (tally.missing, tally.extra, tally.different) == (1, 1, 1)
    assert waited == list(PAUSES)
    named = {(example.key["id"], example.column, example.what) for example in tally.examples}
    assert named == {("1", None, "missing"), ("2", "name", "different"), ("4", None, "extra")}
    assert tally.ranges == [("item", RING)]
    assert sentence(tally.figures()).startswith(
        "3 of 4 rows differ (1 missing, 1 extra, 1 different); first: item id 1"
    )


def test_what_the_last_replica_knows_decides():
    every = (Table("name", {1: "a"}), Table("title", {1: "a"}))
    tally, _ = compare({1: "a"}, {}, every)
    assert tally.differences == 0


def test_where_a_node_is_away_most_replicas_decide():
    away = Table("title", {}, error=Unavailable("one is down"))
    tally, _ = compare({1: "a"}, {}, (away, away))
    assert tally.missing == 1


def test_only_so_many_differences_are_looked_at_again_and_the_others_count():
    tally, _ = compare(dict.fromkeys(range(50), "a"), {}, most_doubts=10)
    assert (tally.missing, tally.looked_again) == (50, 10)


def test_at_most_twenty_examples_are_given():
    tally, _ = compare(dict.fromkeys(range(50), "a"), {}, most_doubts=0)
    assert (tally.missing, len(tally.examples)) == (50, 20)


@pytest.mark.parametrize(("name", "words"), [("left_over", "marker only"), ("unrepresentable", "cannot hold")])
def test_what_is_no_difference_is_told_apart(name, words):
    tally, _ = compare({1: "a"}, {1: "a"})
    setattr(tally, name, 3)
    assert words in sentence(tally.figures()) and sentence(tally.figures()).startswith("the two tables are level")
