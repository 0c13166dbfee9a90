"""Rows are counted where that is soon done; of a large or slow table it is told about how many there are."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import OperationTimedOut

from scripts.database.schema import Column
from scripts.tables import counting
from scripts.tables.counting import Counted, count_rows, partition_of

RING = 2**64


class Session:
    """A table of `rows`, spread evenly over the ring; each look takes `seconds`, the late ones more than they may."""

    def __init__(self, rows: int, partitions: int, seconds: float = 0.0, late_from: int = 10**9) -> None:
        self.rows, self.partitions, self.seconds, self.late_from = rows, partitions, seconds, late_from
        self.now, self.looks = 0.0, list[tuple[int, int]]()

    def execute(self, query: str, parameters: Any = None, timeout: float = 0.0) -> list[Any]:
        if "size_estimates" in query:
            return [SimpleNamespace(partitions_count=self.partitions // 4, mean_partition_size=100)]
        if "peers_v2" in query:
            return [SimpleNamespace(peer=number) for number in range(3)]
        assert "token(shop, day) >= %s" in query
        assert timeout > 0
        if len(self.looks) >= self.late_from:
            self.now += timeout
            raise OperationTimedOut
        self.now += self.seconds
        first, last = parameters
        self.looks.append((first, last))
        begin, end = (self.rows * (token + RING // 2) // RING for token in (first, last + 1))
        return [SimpleNamespace(rows=end - begin)]


def counted(session: Session, monkeypatch: pytest.MonkeyPatch, seconds: float = 5.0) -> Counted:
    monkeypatch.setattr(counting, "time", SimpleNamespace(monotonic=lambda: session.now))
    return count_rows(session, "evenkeel", "item", ("shop", "day"), seconds)


@pytest.mark.parametrize("rows", [0, 1, 63, 100_000])
def test_a_small_table_is_counted_and_every_part_of_the_ring_once(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    session = Session(rows, rows)
    assert counted(session, monkeypatch) == Counted(rows, True)
    borders = sorted(session.looks)
    assert (borders[0][0], borders[-1][1]) == (-RING // 2, RING // 2 - 1)
    assert all(one[1] + 1 == two[0] for one, two in itertools.pairwise(borders))


def test_a_large_table_is_estimated_in_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(3 * 10**9, 10**9, seconds=0.1)
    found = counted(session, monkeypatch)
    assert session.now < 5.2
    assert not found.is_exact
    assert found.rows == pytest.approx(3 * 10**9, rel=0.01)
    assert len({first * 10 // RING for first, _ in session.looks}) == 10, "of one part of the ring only"


def test_a_look_that_takes_too_long_makes_it_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(Session(64_000, 64_000, seconds=0.1, late_from=10), monkeypatch)
    assert found == Counted(64_000, False)


def test_a_table_of_which_nothing_can_be_counted_has_what_its_nodes_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(Session(64_000, 40_000, late_from=0), monkeypatch) == Counted(40_000, False)


def test_the_partition_key_comes_in_its_own_order() -> None:
    columns = {
        "a": Column("a", "int", "partition_key", 1),
        "b": Column("b", "int", "partition_key", 0),
        "c": Column("c", "int", "clustering", 0),
    }
    assert partition_of(columns) == ("b", "a")
