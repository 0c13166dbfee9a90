"""Makes the new tables what the old ones are where no mirror does, by one scan of both (job kind «scan»).

Whatever an old row has that its twin lacks is written as the copy writes it, with its own write times. With
`"deletes": true`, which is right only while nobody writes, whatever a new row has beyond its twin is taken back: a row
at the newest write time that it has, so that nothing older comes back and anything newer stands; a cell at its own. A
row that shows no cell is kept by a marker, whose time CQL does not tell: it is taken back at the time of the scan.

Since nobody writes, what was read as the same stays so. Ranges in which something was changed are compared once more.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cassandra.cluster import Session
from cassandra.query import BoundStatement

from components.data import TableChange
from scripts.tables.backfill import Sent, Writer, joined
from scripts.tables.cells import Row, open_table
from scripts.tables.compare import TELL_ROWS, Again, Comparer
from scripts.tables.difference import Outcome, Twin
from scripts.tables.errors import TablesError
from scripts.tables.mapping import Plan, plans
from scripts.tables.progress import Part
from scripts.tables.strays import Deletions, stray_cells
from scripts.tables.tally import Tally
from scripts.tables.tokens import TokenRange
from scripts.tables.wire import raw_session
from scripts.tables.work import Work

# Nobody writes: what still differs is a hint or a repair away from being seen, or stays.
QUICKLY = Again(200, (0.05, 0.2, 0.5, 1.0))


def run(work: Work) -> dict[str, Any]:
    """Scan every table of the data document; return figures beyond those of any work.

    With deletes those of `Tally.figures`, which count what differs now; besides "levelled" and "taken_back", how many
    rows something was written to and taken from.
    """
    if work.progress.finished(work.name):  # a scan tells of one time: one that was broken off begins anew
        work.progress.forget(work.name)
        work.progress.begin(work.name, "scan", os.getpid())
    raw, deletes = raw_session(work.session), bool(work.document.get("deletes", False))
    scans = {change.source: TableScan.open(work, raw, change, deletes) for change in work.data.tables}
    for source in scans:
        work.plan(source)
    work.each_part(lambda part: scans[part.source].part(part))
    work.write_down()
    if work.progress.unfinished(work.name):
        raise TablesError("not the whole ring was scanned; start it again")
    total = Tally()
    for one in scans.values():
        total.add(one.total)
    told = total.figures() if deletes else {"rows": total.rows}
    changed = [(one.levelled, one.taken_back) for one in scans.values()]
    return {**told, "levelled": sum(one for one, _ in changed), "taken_back": sum(two for _, two in changed)}


@dataclass
class TableScan:
    """The scan of one table; `part` may be called by several threads. `deletions` is None where nothing goes."""

    work: Work
    comparer: Comparer
    writer: Writer
    rows: Plan
    partitions: Plan | None
    deletions: Deletions | None
    total: Tally
    lock: threading.Lock
    levelled: int = 0
    taken_back: int = 0

    @classmethod
    def open(cls, work: Work, raw: Session, change: TableChange, deletes: bool) -> TableScan:
        """Look at both tables, and prepare the statements."""
        keyspace, insist = work.data.keyspace, work.patience.insist
        source = open_table(work.session, keyspace, change.source)
        target = open_table(work.session, keyspace, change.target)
        rows, partitions = plans(raw, change, source, target)
        comparer = Comparer.open(raw, keyspace, change, insist, lambda seconds: rest(work, seconds), strict=deletes)
        writer = Writer(raw, work.governor, work.patience)
        deletions = Deletions(raw, target) if deletes else None
        return cls(work, comparer, writer, rows, partitions, deletions, Tally(), threading.Lock())

    def part(self, part: Part) -> int:
        """Level one range; return how many rows it had."""
        tally, changed = Tally(), [0, 0]
        self.writer.write(self._statements(part.tokens, tally, changed))
        if self.deletions is not None and any(changed):
            rows = tally.rows
            tally = self.comparer.compare(part.tokens, self._page_rows, QUICKLY)
            tally.rows = max(rows, tally.rows)
        with self.lock:
            self.total.add(tally)
            self.levelled += changed[0]
            self.taken_back += changed[1]
        return tally.rows

    def _statements(self, tokens: TokenRange, tally: Tally, changed: list[int]) -> Iterator[Sent]:
        """Give what makes a range level, row by row, while it is read."""
        told = 0
        for source, target, outcome in self.comparer.outcomes(self.comparer.readers, tokens, self._page_rows):
            tally.rows += 1
            if tally.rows - told >= TELL_ROWS:
                self._counted(tally.rows - told)
                told = tally.rows
            written, gone = self.repairs(source, target, outcome)
            if written or gone:
                changed[0] += bool(written)
                changed[1] += bool(gone)
                yield 1, partial(self._bound, source, target, outcome, time.monotonic())
            else:
                tally.count(outcome)
        self._counted(tally.rows - told)

    def _bound(self, source: Row | None, target: Row | None, outcome: Outcome, seen: float) -> Any:
        """Return what levels a row that was `seen` then, with the lives that are left now."""
        written, gone = self.repairs(source, target, outcome, int(time.monotonic() - seen))
        return joined([*written, *gone])

    def repairs(
        self, source: Row | None, target: Row | None, outcome: Outcome, elapsed: int = 0
    ) -> tuple[list[BoundStatement], list[BoundStatement]]:
        """Return the statements that write what the new row lacks, and those that take back what it must not have.

        Either of the two rows is None where its table has no such row; they were read `elapsed` seconds ago.
        """
        if source is None:
            return [], self._taken_back(target)
        if not (outcome.differences or outcome.unrepresentable or outcome.left_over):
            return [], []  # the same, or about to end, or without a default that a deletion has covered
        twins = self.comparer.mapping.statics if source.clustering is None else self.comparer.mapping.regulars
        plan = self.partitions if source.clustering is None else self.rows
        kept = {twin.source: source.cells[twin.source] for twin in twins if twin.source in source.cells}
        written = list(plan.statements(source._replace(cells=kept), elapsed)) if plan is not None else []
        return written, self._strays(source, target, twins)

    def _taken_back(self, target: Row | None) -> list[BoundStatement]:
        """Return what ends a row, or a static part, that only the new table has."""
        if target is None or self.deletions is None:
            return []
        if target.clustering is None:
            cells = [(name, cell) for name, found in target.cells.items() for cell in found]
            return [self.deletions.cell(target, name, cell) for name, cell in cells]
        return [self.deletions.row(target, now_if_bare(target))]

    def _strays(self, source: Row, target: Row | None, twins: Iterable[Twin]) -> list[BoundStatement]:
        if target is None or self.deletions is None:
            return []
        return [self.deletions.cell(target, name, cell) for name, cell in stray_cells(source, target, twins)]

    def _page_rows(self) -> int:
        return self.work.governor.page_rows(1)

    def _counted(self, rows: int) -> None:
        self.work.go_on()
        self.work.count(rows)
        self.work.governor.admit(rows)


def now_if_bare(row: Row) -> int:
    """Return the newest write time of a row's cells, the present in microseconds where it has none."""
    times = [cell.timestamp for cells in row.cells.values() for cell in cells]
    return max(times, default=time.time_ns() // 1_000)


def rest(work: Work, seconds: float) -> None:
    """Wait, unless the work is asked to stop."""
    work.stop.wait(seconds)
    work.go_on()
