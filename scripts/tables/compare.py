"""Holds the two tables of a release against each other, range by range, both ways (job kind «compare»).

Every row of either table is read once at QUORUM and compared with its twin. Both tables are being written meanwhile,
so a difference counts only if it stays: its partition is read again, at growing intervals, at last at ALL. Where the
document says `"repair": true`, as verify does, ranges that differ are copied once more and compared again. Passed means
that the whole ring was covered and no difference was left. Memory is that of some pages, whatever the size of the
tables.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import NoHostAvailable, Session

from components.data import TableChange
from scripts.tables.backfill import copy_range
from scripts.tables.cells import PAGE_ROWS, PageSize, Reader, Row, open_table
from scripts.tables.difference import Difference, Mapping, Outcome, compare_rows, mapping_of
from scripts.tables.errors import TablesError
from scripts.tables.merging import MOST_WAITING, MOST_WAITING_STRICT, merge
from scripts.tables.progress import Part
from scripts.tables.tally import MOST_EXAMPLES, Example, Tally
from scripts.tables.tokens import TokenRange
from scripts.tables.wire import decode, raw_session
from scripts.tables.work import Work

# A twin is written within milliseconds, a hint within seconds: so long it pays to look again.
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
TELL_ROWS = 100
MOST_REPAIRS = 32  # ranges; where more differ, it is not a copy that went wrong here and there

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Again:
    """How often to look at differences again: the partitions of `most` in one range, after each of the pauses (s)."""

    most: int = 200
    pauses: tuple[float, ...] = PAUSES


# With so many differences found to stay, what is left of it is only counting.
ENOUGH = ((1_000, Again(0)), (MOST_EXAMPLES, Again(200, (0.5,))))
Ask = Callable[[Callable[[], Any]], Any]


def run(work: Work) -> dict[str, Any]:
    """Compare every table of the data document; return figures beyond those of any work (`Tally.figures`)."""
    if work.progress.finished(work.name):  # a comparison tells of one time: one that was broken off begins anew
        work.progress.forget(work.name)
        work.progress.begin(work.name, "compare", os.getpid())
    comparison = Comparison(work)
    for change in work.data.tables:
        work.plan(change.source)
    work.each_part(comparison.part)
    work.write_down()
    if work.progress.unfinished(work.name):
        raise TablesError("not the whole ring was compared; start it again")
    repaired = comparison.repair() if work.document.get("repair") else 0
    return {**comparison.total().figures(), "ranges_repaired": repaired}


class Comparison:
    """One comparison of all tables of a release; what came of each range is kept apart, for it may be done again."""

    def __init__(self, work: Work) -> None:
        self.work = work
        raw = raw_session(work.session)
        self._comparers = {
            change.source: Comparer.open(raw, work.data.keyspace, change, work.patience.insist, self._pause)
            for change in work.data.tables
        }
        self._clean = Tally()
        self._differing: dict[tuple[str, TokenRange], Tally] = {}
        self._lock = threading.Lock()

    def part(self, part: Part) -> int:
        """Compare one range; return how many rows it had."""
        tally = self._compare(part.source, part.tokens)
        with self._lock:
            if tally.differences:
                self._differing[part.source, part.tokens] = tally
            else:
                self._clean.add(tally)
        return tally.rows

    def _compare(self, source: str, tokens: TokenRange) -> Tally:
        with self._lock:
            left = sum(tally.differences for tally in self._differing.values())
        again = next((less for enough, less in ENOUGH if left >= enough), Again())
        return self._comparers[source].compare(tokens, self._page_rows, again, self._counted)

    def repair(self) -> int:
        """Copy the ranges that differ once more, in the order of the ring, and compare them again; how many."""
        again = sorted(self._differing, key=lambda where: (where[0], where[1].start))
        if len(again) > MOST_REPAIRS:
            return 0
        for source, tokens in again:
            self.work.go_on()
            copy_range(self.work, self._comparers[source].change, tokens)
            tally = self._compare(source, tokens)
            with self._lock:
                del self._differing[source, tokens]
                if tally.differences:
                    self._differing[source, tokens] = tally
                else:
                    self._clean.add(tally)
        return len(again)

    def total(self) -> Tally:
        """What all ranges came to."""
        total = Tally()
        for tally in (*self._differing.values(), self._clean):
            total.add(tally)
        return total

    def _page_rows(self) -> int:
        return self.work.governor.page_rows(1)

    def _counted(self, rows: int) -> None:
        self.work.go_on()
        self.work.count(rows)
        self.work.governor.admit(rows)

    def _pause(self, seconds: float) -> None:
        self.work.stop.wait(seconds)
        self.work.go_on()


class Rows(Protocol):
    """What reads one table; `Reader` is one."""

    def rows(self, tokens: TokenRange, page_rows: PageSize = ...) -> Iterator[Row]:
        """Give the rows of a range in order."""

    def partitions(self, tokens: TokenRange, page_rows: PageSize = ...) -> Iterator[Row]:
        """Give the static parts of a range in order."""


@dataclass(frozen=True)
class Comparer:
    """Compares one table of a release with its twin; may be used by several threads.

    `readers` read source and target at QUORUM, `readers_of_all` at ALL; `sleep` waits for some seconds. `strict`: a row
    that is said to have no twin has none at first sight already.
    """

    change: TableChange
    mapping: Mapping
    readers: tuple[Rows, Rows]
    readers_of_all: tuple[Rows, Rows]
    sleep: Sleep = time.sleep
    strict: bool = False

    @classmethod
    def open(
        cls, session: Session, keyspace: str, change: TableChange, ask: Ask, sleep: Sleep, *, strict: bool = False
    ) -> Comparer:
        """Look at both tables through a raw session. `ask` calls what it is given, again where that may help.

        All columns are read, mapped or not: which others a row has tells why it is there.
        """
        source, target = open_table(session, keyspace, change.source), open_table(session, keyspace, change.target)
        quorum, every = ConsistencyLevel.QUORUM, ConsistencyLevel.ALL
        return cls(
            change,
            mapping_of(change, source),
            (Reader(session, source, None, quorum, ask), Reader(session, target, None, quorum, ask)),
            (Reader(session, source, None, every), Reader(session, target, None, every)),
            sleep,
            strict,
        )

    def compare(
        self,
        tokens: TokenRange,
        page_rows: PageSize = lambda: PAGE_ROWS,
        again: Again = Again(),
        counted: Callable[[int], None] = lambda _rows: None,
    ) -> Tally:
        """Compare one range. What differs at first sight is looked at again.

        `counted` is told now and then how many rows more were read; it may wait or raise.
        """
        tally, doubts, told = Tally(), set[int](), 0
        for source, target, outcome in self.outcomes(self.readers, tokens, page_rows):
            tally.rows += 1
            if not outcome.differences:
                tally.count(outcome)
            elif len(doubts) < again.most:
                doubts.add((source or target).token)  # type: ignore[union-attr]  # one of them is there
            else:
                self._count(tally, source or target, outcome)
            if tally.rows - told >= TELL_ROWS:
                counted(tally.rows - told)
                told = tally.rows
        counted(tally.rows - told)
        tally.looked_again = len(doubts)
        for token in sorted(self._left(doubts, again.pauses, page_rows)):
            self._judge(tally, token, page_rows)
        if tally.differences:
            tally.ranges.append((self.change.source, tokens))
        return tally

    def outcomes(
        self, readers: tuple[Rows, Rows], tokens: TokenRange, page_rows: PageSize
    ) -> Iterator[tuple[Row | None, Row | None, Outcome]]:
        """Give every row of a range, of either table, beside its twin, with what comparing them came to."""
        left, right = readers
        most = MOST_WAITING_STRICT if self.strict else MOST_WAITING
        for source, target in merge(
            left.rows(tokens, page_rows), right.rows(tokens, page_rows), most, strict=self.strict
        ):
            yield source, target, compare_rows(source, target, self.mapping)
        if self.mapping.statics:
            for source, target in merge(left.partitions(tokens, page_rows), right.partitions(tokens, page_rows)):
                yield source, target, compare_rows(source, target, self.mapping)

    def _left(self, doubts: set[int], pauses: tuple[float, ...], page_rows: PageSize) -> set[int]:
        """Return the doubts that stay when they are read again and again."""
        for pause in pauses:
            if not doubts:
                break
            self.sleep(pause)
            doubts = {token for token in doubts if self._differs(self.readers, token, page_rows)}
        return doubts

    def _differs(self, readers: tuple[Rows, Rows], token: int, page_rows: PageSize) -> bool:
        found = self.outcomes(readers, TokenRange(token - 1, token), page_rows)
        return any(outcome.differences for _, _, outcome in found)

    def _judge(self, tally: Tally, token: int, page_rows: PageSize) -> None:
        """Read a partition for the last time, at ALL where all nodes answer, and count what is there."""
        tokens = TokenRange(token - 1, token)
        try:
            found = list(self.outcomes(self.readers_of_all, tokens, page_rows))
        except (DriverException, NoHostAvailable):
            found = list(self.outcomes(self.readers, tokens, page_rows))
        for source, target, outcome in found:
            self._count(tally, source or target, outcome)

    def _count(self, tally: Tally, row: Row | None, outcome: Outcome) -> None:
        tally.count(outcome)
        for difference in outcome.differences[: MOST_EXAMPLES - len(tally.examples)]:
            if row is not None:
                tally.examples.append(self._example(row, difference))

    def _example(self, row: Row, difference: Difference) -> Example:
        names = self.change.partition if row.clustering is None else self.change.key
        values = (*row.partition, *(row.clustering or ()))
        key = {
            name: str(decode(self.change.source_columns[name], content))
            for name, content in zip(names, values, strict=True)
        }
        return Example(self.change.source, key, difference.column, str(difference.what), difference.why)
