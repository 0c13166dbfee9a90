"""Rows of two tables side by side, however large the tables are. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.tables.cells import Row
from scripts.tables.errors import TablesError

MOST_WAITING = 10_000  # rows of one partition that wait for their twin, before they count as having none
MOST_WAITING_STRICT = 200_000  # where nobody looks again

Twins = tuple[Row | None, Row | None]
Waiting = tuple[dict[object, Row], dict[object, Row]]


def merge(
    left: Iterator[Row], right: Iterator[Row], most_waiting: int = MOST_WAITING, *, strict: bool = False
) -> Iterator[Twins]:
    """Give every row of either side beside its twin. Both sides are in the order of tokens.

    Within a token both come in one order, so only rows without a twin have to wait for the token's end. Of a partition
    with very many of those, the oldest are given as having none before that, for those who look again; `strict` raises
    TablesError instead.
    """
    waiting: Waiting = ({}, {})
    one, two = next(left, None), next(right, None)
    current: int | None = None
    while one is not None or two is not None:
        token = min(row.token for row in (one, two) if row is not None)
        if token != current:
            yield from _leave(waiting)
            current = token
        mine = one if one is not None and one.token == token else None
        theirs = two if two is not None and two.token == token else None
        if mine is not None and theirs is not None and mine[1:3] == theirs[1:3]:
            yield mine, theirs
        else:
            yield from _match(mine, theirs, waiting)
        one = next(left, None) if mine is not None else one
        two = next(right, None) if theirs is not None else two
        if len(waiting[0]) + len(waiting[1]) > most_waiting:
            if strict:
                raise TablesError(f"more than {most_waiting} rows of one partition are in one of the two tables only")
            yield from _leave(waiting)
    yield from _leave(waiting)


def _match(mine: Row | None, theirs: Row | None, waiting: Waiting) -> Iterator[Twins]:
    if mine is not None:
        twin = waiting[1].pop(mine[1:3], None)
        if twin is not None:
            yield mine, twin
        else:
            waiting[0][mine[1:3]] = mine
    if theirs is not None:
        twin = waiting[0].pop(theirs[1:3], None)
        if twin is not None:
            yield twin, theirs
        else:
            waiting[1][theirs[1:3]] = theirs


def _leave(waiting: Waiting) -> Iterator[Twins]:
    """Give what waits as rows without a twin."""
    for row in waiting[0].values():
        yield row, None
    for row in waiting[1].values():
        yield None, row
    for side in waiting:
        side.clear()
