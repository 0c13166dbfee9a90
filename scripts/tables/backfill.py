"""Copies the rows that were there before the mirror: by token range, at QUORUM, each cell with its own time and TTL.

It never decides what is right: whatever the mirror writes meanwhile is either newer, and wins, or the same. So ranges
may be copied in any order, twice, or again after a kill.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType, BoundStatement

from components.data import TableChange
from scripts.tables.cells import Page, PageSize, Reader, Row, open_table
from scripts.tables.mapping import Plan, plans
from scripts.tables.pace import Governor
from scripts.tables.patience import Patience, is_overload, passes
from scripts.tables.progress import Part
from scripts.tables.tokens import TokenRange
from scripts.tables.wire import profile_of, raw_session
from scripts.tables.work import Work

# A batch of one partition is one mutation, far below the largest that a node takes (half a commit log segment, 4 MiB).
# Small neighbours go together, for each request costs its coordinator and us more than what is in it; they are of one
# range and have the same replicas. Of several partitions in a batch Cassandra warns where they are more than 10 or have
# more than 5 KiB, and refuses 50 KiB. It counts CELL_BYTES or less for each cell beside what is in it.
BATCH_STATEMENTS, BATCH_BYTES = 100, 64 * 1024
NEIGHBOURS, NEIGHBOURS_BYTES = 4, 4 * 1024
CELL_BYTES = 24
ROW_BYTES = 200.0  # until the first page tells
# Gives a statement as it is right at its sending, None where nothing of it is alive any more. What is sent again is
# made again: a TTL counts from its writing, and at equal write times the later end wins, so one that is too long stays.
Make = Callable[[], Any]
Sent = tuple[int, Make]  # how many rows it writes


def run(work: Work) -> dict[str, Any]:
    """Copy every table of the data document; return figures beyond those of any work."""
    raw = raw_session(work.session)
    copies = {change.source: TableCopy.open(work, raw, change) for change in work.data.tables}
    for source in copies:
        work.plan(source)
    work.each_part(lambda part: copies[part.source].part(part))
    return {"statics": sum(copy.statics for copy in copies.values()), "paced": work.governor.rate is not None}


@dataclass
class TableCopy:
    """The copy of one table; `part` may be called by several threads."""

    reader: Reader
    writer: Writer
    rows: Plan
    partitions: Plan | None
    work: Work
    row_bytes: float = ROW_BYTES
    statics: int = 0

    @classmethod
    def open(cls, work: Work, raw: Session, change: TableChange) -> TableCopy:
        """Look at both tables, and prepare the statements."""
        source = open_table(work.session, work.data.keyspace, change.source)
        target = open_table(work.session, work.data.keyspace, change.target)
        rows, partitions = plans(raw, change, source, target)
        columns = tuple(source.column(pair.source) for pair in change.pairs)
        reader = Reader(raw, source, columns, execute=work.patience.insist)
        return cls(reader, Writer(raw, work.governor, work.patience), rows, partitions, work)

    def part(self, part: Part) -> int:
        """Copy one range; return how many rows it had."""
        if self.partitions is not None:
            self.statics += self._copy(self.reader.static_pages(part.tokens, self._page_rows), self.partitions, False)
        return self._copy(self.reader.pages(part.tokens, self._page_rows), self.rows, True)

    def _copy(self, pages: Iterable[Page], plan: Plan, counted: bool) -> int:
        total = 0
        for page in pages:
            self.work.go_on()
            if page.rows:
                self.row_bytes = page.bytes / len(page.rows)
            self.writer.write(batches(plan, page))
            total += len(page.rows)
            if counted:
                self.work.count(len(page.rows))
        return total

    def _page_rows(self) -> int:
        return self.work.governor.page_rows(self.row_bytes)


def copy_range(work: Work, change: TableChange, tokens: TokenRange) -> int:
    """Copy one range once more, as verify does where it found a difference; return how many rows it had."""
    copy = TableCopy.open(work, raw_session(work.session), change)
    return copy.part(Part(-1, change.source, tokens))


def batches(plan: Plan, page: Page) -> Iterator[Sent]:
    """Give what to send for a page: for some rows of one partition or of a few small ones, what makes the statement."""
    held: list[Row] = []
    statements = size = partitions = 0
    defaults = sum(len(value) + CELL_BYTES for value in (*plan.defaults, *(plan.late or {}).values()))
    for row in page.rows:
        own = lives(row) + 1
        more = weight(row, own) + defaults
        partitions += not held or row.partition != held[-1].partition
        fits = partitions == 1 or (partitions <= NEIGHBOURS and size + more <= NEIGHBOURS_BYTES)
        if statements >= BATCH_STATEMENTS or size > BATCH_BYTES or not fits:
            yield len(held), partial(bound, plan, held, page.read_at)
            held, statements, size, partitions = [], 0, 0, 1
        held.append(row)
        statements += own
        size += more
    if held:
        yield len(held), partial(bound, plan, held, page.read_at)


def bound(plan: Plan, rows: Iterable[Row], read_at: float) -> Any:
    """Return what writes these rows now, with the lives that are left of those from `read_at`."""
    elapsed = int(time.monotonic() - read_at)
    return joined([statement for row in rows for statement in plan.statements(row, elapsed)])


def lives(row: Row) -> int:
    """Return how many pairs of write time and TTL a row's cells have, each a statement."""
    return len({(cell.timestamp, cell.ttl) for cells in row.cells.values() for cell in cells})


def weight(row: Row, statements: int) -> int:
    """Return about how many bytes a row's statements have, so many: its cells, and its key in each of them."""
    key = sum(len(part) for part in (*row.partition, *(row.clustering or ())))
    cells = [cell for cells in row.cells.values() for cell in cells]
    return key * statements + sum(len(cell.value) + len(cell.path or b"") + CELL_BYTES for cell in cells)


def joined(statements: list[BoundStatement]) -> Any:
    """Return one statement as it is, several as an unlogged batch, None for none.

    It is acknowledged once a quorum has all of it; one that is not may be there in part, and is sent again whole.
    """
    if len(statements) < 2:
        return next(iter(statements), None)
    batch = BatchStatement(BatchType.UNLOGGED)
    for statement in statements:
        batch.add(statement)
    batch.is_idempotent = True
    return batch


def gravest(errors: list[BaseException], tries: int) -> BaseException:
    """Return an error that does not pass by itself, if there is one."""
    return next((error for error in errors if not passes(error, tries)), errors[0])


class Writer:
    """Sends many statements at once, as the pace allows, and insists on every one of them."""

    def __init__(self, session: Session, governor: Governor, patience: Patience) -> None:
        self.session = session
        self.governor = governor
        self.patience = patience
        self.profile = profile_of(session, once=True)

    def write(self, statements: Iterable[Sent]) -> None:
        """Send statements; return when all are acknowledged by a quorum. What failed is made and sent again."""
        tries = 0
        waiting = statements
        while failed := self._once(waiting):
            tries += 1
            self.patience.rest(gravest([error for _, _, error in failed], tries), tries)
            waiting = [(rows, make) for rows, make, _ in failed]
        if tries:
            self.patience.pausing = ""

    def _once(self, statements: Iterable[Sent]) -> list[tuple[int, Make, BaseException]]:
        """Send each statement once; return those that were not acknowledged, each with its error."""
        answered = Answers()
        for rows, make in statements:
            if answered.failed:
                answered.failed.append((rows, make, answered.failed[0][2]))  # spare a ring in trouble
                continue
            self.governor.admit(rows)
            self.governor.in_flight.acquire()
            answered.expect()
            self._send(rows, make, answered)
        answered.wait()
        return answered.failed

    def _send(self, rows: int, make: Make, answered: Answers) -> None:
        begin = time.monotonic()

        def done(_: Any) -> None:
            self.governor.in_flight.release()
            self.governor.took(time.monotonic() - begin)
            answered.arrived()

        def failed(error: BaseException) -> None:
            self.governor.in_flight.release()
            self.governor.overloaded = self.governor.overloaded or is_overload(error)
            answered.failed.append((rows, make, error))
            answered.arrived()

        try:
            statement = make()
            if statement is None:
                self.governor.in_flight.release()
                answered.arrived()
                return
            future = self.session.execute_async(statement, execution_profile=self.profile)
        except Exception as error:
            failed(error)
            return
        future.add_callbacks(done, failed)


class Answers:
    """Counts what was sent and what was answered, across threads."""

    def __init__(self) -> None:
        self.failed: list[tuple[int, Make, BaseException]] = []
        self._open = 0
        self._changed = threading.Condition()

    def expect(self) -> None:
        """One more was sent."""
        with self._changed:
            self._open += 1

    def arrived(self) -> None:
        """One was answered."""
        with self._changed:
            self._open -= 1
            if self._open == 0:
                self._changed.notify_all()

    def wait(self) -> None:
        """Return when all are answered."""
        with self._changed:
            while self._open:
                self._changed.wait()


__all__ = ["PageSize", "TableCopy", "Writer", "copy_range", "run"]
