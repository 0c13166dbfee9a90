"""What a copy sends: rows of a partition together, and each time with the lives that are left at that moment."""

import dataclasses
import struct
import threading
from types import SimpleNamespace

import pytest
from cassandra import OperationTimedOut
from cassandra.query import BatchStatement, PreparedStatement

from scripts.tables import backfill
from scripts.tables.backfill import BATCH_STATEMENTS, Writer, batches
from scripts.tables.cells import Page
from scripts.tables.mapping import Plan, Slot, same
from scripts.tables.pace import SLOWEST, Governor
from tests.unit.tables.changes import SOURCE, row


def plan():
    statement = PreparedStatement([], b"id", [], "", "evenkeel", 5, [], None)
    return Plan(("p", "c"), (Slot(SOURCE.column("a"), 0, same),), 1, statement, statement)


def lives(statement):
    """The TTLs that a batch of a row's marker and cells writes."""
    assert isinstance(statement, BatchStatement)
    (_, _, marker), (_, _, update) = statement._statements_and_parameters
    return [struct.unpack(">i", raw)[0] for raw in (marker[-1], update[1])]


class Ring:
    """A session whose first answers are time-outs, each of which takes some seconds; `sent` is what it was sent."""

    def __init__(self, clock, failures, seconds):
        self.clock, self.failures, self.seconds, self.sent = clock, failures, seconds, []

    def execute_async(self, statement, execution_profile=None):
        self.sent.append(statement)
        error = OperationTimedOut() if len(self.sent) <= self.failures else None
        self.clock.now += self.seconds if error else 0
        return SimpleNamespace(add_callbacks=lambda done, failed: failed(error) if error else done(None))


class Waits:
    """Patience without waiting."""

    pausing = ""

    def rest(self, error, tries):
        assert isinstance(error, OperationTimedOut)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(backfill, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(backfill, "profile_of", lambda session, once: None)
    return clock


def write(ring, rows, read_at=1_000.0):
    governor = Governor(paced=False, slowest=SLOWEST)
    Writer(ring, governor, Waits()).write(batches(plan(), Page(rows, read_at, 0)))
    return governor


def test_what_is_sent_again_lives_no_longer_than_the_row_it_was_read_from(clock):
    ring = Ring(clock, failures=3, seconds=20.0)
    write(ring, [row(a=(b"x", 9, 100))], read_at=990.0)
    assert [lives(statement) for statement in ring.sent] == [[90, 90], [70, 70], [50, 50], [30, 30]]


def test_what_has_ended_while_it_could_not_be_written_is_not_written(clock):
    ring = Ring(clock, failures=1, seconds=20.0)
    governor = write(ring, [row(a=(b"x", 9, 15))])
    assert len(ring.sent) == 1
    for _ in range(200):  # more than may be on their way: nothing is waited for that was never sent
        governor.in_flight.acquire(timeout=0.1)
        governor.in_flight.release()


def test_a_life_counts_from_the_sending_and_not_from_when_the_pace_began_to_hold_it(clock, monkeypatch):
    monkeypatch.setattr(Governor, "admit", lambda self, rows: setattr(clock, "now", clock.now + 10.0))
    ring = Ring(clock, failures=0, seconds=0.0)
    write(ring, [row(a=(b"x", 9, 100))])
    assert lives(ring.sent[0]) == [90, 90]


def test_rows_of_one_partition_go_together_up_to_a_size():
    rows = [row(a=(b"x", 9, None))] * (2 * BATCH_STATEMENTS)
    other = row(a=(b"x", 9, None))._replace(partition=(b"other",))
    assert [count for count, _ in batches(plan(), Page([*rows, other], 0.0, 0))] == [50, 50, 50, 50, 1]


def neighbours(count, key=b"%d", value=b"x"):
    return [row(a=(value, 9, None))._replace(partition=(key % number,)) for number in range(count)]


def test_small_neighbours_go_together_a_few_at_a_time():
    assert [count for count, _ in batches(plan(), Page(neighbours(10), 0.0, 0))] == [4, 4, 2]
    (_, make), *_ = batches(plan(), Page(neighbours(4), 0.0, 0))
    assert len(make()._statements_and_parameters) == 8


@pytest.mark.parametrize(
    ("key", "value"), [(b"%d", b"x" * 2_500), (b"%d" + b"k" * 1_200, b"x")], ids=["values", "keys"]
)
def test_neighbours_that_are_large_go_alone(key, value):
    """Cassandra refuses a batch of several partitions that is larger than 50 KiB."""
    assert [count for count, _ in batches(plan(), Page(neighbours(3, key, value), 0.0, 0))] == [1, 1, 1]


def test_what_is_in_sets_and_defaults_counts_too():
    rows = [row(s=[(b"", 9, None, b"x" * 2_500)])._replace(partition=(b"%d" % number,)) for number in range(3)]
    assert [count for count, _ in batches(plan(), Page(rows, 0.0, 0))] == [1, 1, 1]
    with_default = dataclasses.replace(plan(), defaults=(b"x" * 2_500,))
    assert [count for count, _ in batches(with_default, Page(neighbours(3), 0.0, 0))] == [1, 1, 1]


def test_a_wide_partition_is_not_held_up_by_a_small_neighbour():
    small, large = neighbours(2)
    rows = [small, *[large] * 300]
    counts = [count for count, _ in batches(plan(), Page(rows, 0.0, 0))]
    assert sum(counts) == 301
    assert counts[:2] == [50, 50]


def test_an_error_in_the_making_of_a_statement_ends_the_copy_and_holds_nothing_up():
    def broken():
        raise ValueError("a value does not fit")

    governor = Governor(paced=False, slowest=SLOWEST)
    patience = backfill.Patience(threading.Event())
    writer = object.__new__(Writer)
    writer.session, writer.governor, writer.patience, writer.profile = None, governor, patience, None
    with pytest.raises(ValueError, match="does not fit"):
        writer.write([(1, broken)])
