"""The quick way: whole files of the old table taken over by the new one, on each node, instead of a copy row by row.

Files keep everything exactly: cells, row markers, lives, tombstones, the order of lists. They are hard links, so that
nothing is read or written but what Cassandra checks. It works only where a file of the old table is a file of the new
one as it is. Needs no driver: the deployer decides with it, and `evenkeel-import` (scripts/host) does it on each node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components.data import Data, TableChange, comparable_type


def obstacle(data: Data, dropped_before: Mapping[str, Sequence[str]]) -> str | None:
    """Return why the files cannot be taken over, in a sentence for a person; None when they can.

    `dropped_before` has, by physical table, the columns that were once dropped from a source: its files may still have
    them. Another table does not know them, or, where it has one of that name, would take their old values for alive.
    """
    for change in data.tables:
        if reason := obstacle_of(change, dropped_before.get(change.source, ())):
            return f"files of {change.source} cannot be taken over as they are: {reason}"
    return None


def obstacle_of(change: TableChange, dropped_before: Sequence[str]) -> str | None:
    """Return what in the change of one table stands in the way."""
    renamed = [f"{pair.source} is renamed to {pair.target}" for pair in change.pairs if pair.source != pair.target]
    widened = [
        f"{pair.source} is widened from {pair.source_type} to {pair.target_type}"
        for pair in change.pairs
        if comparable_type(pair.source_type) != comparable_type(pair.target_type)
    ]
    dropped = [f"{name} is dropped" for name in change.dropped]
    defaults = [
        f"{added.target} has a default, which no file has" for added in change.added if added.default is not None
    ]
    before = [f"{name} was dropped from it once" for name in dropped_before]
    return next(iter([*renamed, *widened, *dropped, *defaults, *before]), None)


def requests(data: Data) -> list[dict[str, str]]:
    """Return what `evenkeel-import` is told on each node, one after the other, as JSON on its standard input."""
    return [
        {
            "keyspace": data.keyspace,
            "source": change.source,
            "target": change.target,
            "tag": f"evenkeel-import-{data.number}",
        }
        for change in data.tables
    ]
