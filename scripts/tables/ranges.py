"""The ring cut into token ranges: each within one set of replicas, and small enough to be done again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from cassandra.cluster import Session

from scripts.database.estimates import estimate, node_count
from scripts.tables.tokens import LAST_TOKEN, LEAST_TOKEN, TokenRange

RANGE_BYTES = 10 * 2**20
LEAST_RANGES, MOST_RANGES = 64, 16_384


def plan_ranges(session: Session, keyspace: str, table: str) -> list[TokenRange]:
    """Return ranges that cover the whole ring once, of about RANGE_BYTES each by the nodes' own estimates."""
    tokens = [token.value for token in session.cluster.metadata.token_map.ring]
    about = estimate(session, keyspace, table, node_count(session))
    return cut(tokens, wanted(about.size if about else None))


def wanted(size: int | None) -> int:
    """Return how many ranges a table of this many bytes is cut into; unknown counts as small."""
    return min(max((size or 0) // RANGE_BYTES, LEAST_RANGES), MOST_RANGES)


def cut(tokens: Sequence[int], count: int) -> list[TokenRange]:
    """Return at least `count` ranges whose borders include the nodes' tokens; wide ones are cut into more pieces.

    Between two neighbouring tokens of the ring all rows have the same replicas, so that a coordinator asks these only.
    """
    borders = sorted({LEAST_TOKEN, LAST_TOKEN, *tokens})
    width = (LAST_TOKEN - LEAST_TOKEN) / count
    ranges = []
    for low, high in itertools.pairwise(borders):
        pieces = max(1, -(-(high - low) // int(width)))
        inner = [low + (high - low) * piece // pieces for piece in range(pieces + 1)]
        ranges += [TokenRange(start, end) for start, end in itertools.pairwise(inner)]
    return ranges


def share(tokens: TokenRange) -> float:
    """Return which part of the whole ring a range is, and so about which part of the rows."""
    return (tokens.end - tokens.start) / (LAST_TOKEN - LEAST_TOKEN)
