"""The verb `measure`: how long one scan of both tables takes, tried on a part of them as fast as the scan would go.

    {"ring", "data"} -> {"seconds", "rows", "measured_seconds", "share"}

Reads for some seconds and changes nothing. Before there is a new table the old one stands for both.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from components.data import Pair, TableChange
from scripts.database.connection import ADMIN, Login, connected
from scripts.tables.cells import PAGE_ROWS
from scripts.tables.compare import Comparer
from scripts.tables.mirroring import exists
from scripts.tables.ranges import plan_ranges, share
from scripts.tables.request import read_data, read_ring
from scripts.tables.tokens import TokenRange
from scripts.tables.wire import raw_session
from scripts.tables.work import STREAMS

MEASURE_SECONDS = 5.0
STRIDE = 7919  # a prime: ranges from all over the ring, in an order that is always the same


def measure(document: Mapping[str, Any]) -> dict[str, Any]:
    """Try it; the seconds of all tables together."""
    data, ring = read_data(document), read_ring(document)
    found: dict[str, Any] = {"seconds": 0.0, "rows": 0, "measured_seconds": 0.0, "share": 1.0}
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        raw = raw_session(session)
        for change in data.tables:
            tried = change if exists(session, data.keyspace, change.target) else with_itself(change)
            comparer = Comparer.open(raw, data.keyspace, tried, lambda ask: ask(), time.sleep)
            ranges = spread(plan_ranges(session, data.keyspace, change.source))
            taken, rows, part = try_some(comparer, ranges, MEASURE_SECONDS / len(data.tables))
            found["seconds"] += taken / part
            found["measured_seconds"] += taken
            found["rows"] += rows
            found["share"] = min(found["share"], part)
    return {**found, "seconds": round(found["seconds"], 2), "measured_seconds": round(found["measured_seconds"], 2)}


def with_itself(change: TableChange) -> TableChange:
    """Return the change that leaves its table as it is: each row is then its own twin."""
    columns = change.source_columns
    pairs = tuple(Pair(one.source, one.source, columns[one.source], columns[one.source]) for one in change.pairs)
    return TableChange(change.name, change.source, change.source, change.key, change.partition, columns, columns, pairs)


def spread(ranges: Sequence[TokenRange]) -> list[TokenRange]:
    """Return the ranges in an order in which neighbours are far from each other."""
    return [ranges[place * STRIDE % len(ranges)] for place in range(len(ranges))] if len(ranges) % STRIDE else [*ranges]


def count(comparer: Comparer, tokens: TokenRange) -> int:
    """Compare a range; return how many rows it had."""
    return sum(1 for _ in comparer.outcomes(comparer.readers, tokens, lambda: PAGE_ROWS))


def try_some(comparer: Comparer, ranges: Sequence[TokenRange], seconds: float) -> tuple[float, int, float]:
    """Compare ranges, as many at once as a scan does, until the time is over; what is begun is finished.

    Returns the seconds it took, how many rows were read, and which part of the ring that was, above 0.
    """
    waiting: queue.SimpleQueue[TokenRange] = queue.SimpleQueue()
    for tokens in ranges:
        waiting.put(tokens)
    done: list[tuple[float, int]] = []
    errors: list[BaseException] = []
    began = time.monotonic()

    def stream() -> None:
        while not errors and (not done or time.monotonic() - began < seconds):
            try:
                tokens = waiting.get_nowait()
                done.append((share(tokens), count(comparer, tokens)))
            except queue.Empty:
                return
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=stream, daemon=True) for _ in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - began, sum(rows for _, rows in done), min(sum(part for part, _ in done), 1.0)
