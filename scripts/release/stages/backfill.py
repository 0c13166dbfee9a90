"""Backfill: the rows that were there before the mirror, with their own write times.

Where a file of the old table is one of the new table as it is, each node takes over its own files. Everywhere else rows
are copied, slowed by users' times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.stages import waits
from scripts.journal.words import span
from scripts.release.control_tables import ControlTables
from scripts.release.databases import Databases
from scripts.release.errors import StageFailedError
from scripts.release.jobs import Users, follow, gives_way
from scripts.release.users import slowest_of
from scripts.release.work import Work
from scripts.tables.request import read_data
from scripts.tables.sstables import obstacle, requests

MIRRORED_SECONDS = 24.0


def act(work: Work) -> str:
    """Join the copy, or start it, and follow it to its end. A copy that was broken off goes on where it stopped."""
    data = work.told.data
    if data is None:
        return "the data does not change"
    if taken := take_over(work, data):
        return taken
    tables = ControlTables(work.told.stack, data)
    paced = gives_way(work)
    users = Users(work.load_balancers, with_the_mirror(work, tables) if paced else None)
    state = follow(work, tables, "backfill", users if paced else None, paced=paced)
    work.figures["users_p99_before_ms"] = users.before_ms
    work.figures["users_worst_p99_ms"] = users.worst_ms
    took = max((state.get("ended") or 0.0) - (state.get("began") or 0.0), 0.0)
    rate = f", {state['rows'] / took:.0f} rows/s" if took else ""
    return f"{state['rows']} rows copied in {span(took)}{rate}"


def with_the_mirror(work: Work, tables: ControlTables) -> float | None:
    """Return users' 99th percentile with the mirror and without the copy, which the copy and later stages are held to.

    The mirror makes writes slower by itself; held to the time before it, a copy would go at its slowest throughout.
    """
    p99_ms: float | None = work.told.figure("users_p99_ms")
    if waits(work.told.data) or tables.job("state", "backfill")["state"] != "absent":
        return p99_ms  # there is no mirror, or the copy was begun before and now is no time to look
    work.say(f"looking for {MIRRORED_SECONDS:.0f} s how users fare with the mirror, before the copy")
    work.pause(MIRRORED_SECONDS)
    if (found := slowest_of(work.load_balancers, MIRRORED_SECONDS)) is not None:
        p99_ms = found
    work.figures["users_p99_ms"] = p99_ms
    return p99_ms


def take_over(work: Work, data: Mapping[str, Any]) -> str:
    """Have each node take over its own files, where they fit; return words on it, "" where rows are to be copied."""
    parsed, databases = read_data({"data": data}), Databases(work.told.stack)
    why_not = "the last scan can take back rows, not files" if waits(data) else None
    why_not = why_not or obstacle(parsed, work.told.figure("dropped_before", {}))
    if why_not is not None:
        work.figures["files"] = why_not
        return ""
    work.say("each database node takes over its own files of the old table")
    try:
        for one in requests(parsed):
            work.check()
            work.figures.setdefault("imported", {})[one["source"]] = databases.take_over(one)
    except StageFailedError as error:
        # Rows that were taken over are the same rows: copied once more, they are there once.
        work.say(f"files could not be taken over, so rows are copied: {error}")
        work.figures["files"] = str(error)
        return ""
    counted = [answer for nodes in work.figures["imported"].values() for answer in nodes.values()]
    mib = sum(int(answer.get("bytes", 0)) for answer in counted) / (1 << 20)
    files = sum(int(answer.get("sstables", 0)) for answer in counted)
    return f"{files} files of {mib:.1f} MiB taken over by {len(databases.hosts)} nodes"
