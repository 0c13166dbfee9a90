"""Parts of the ring. Alone here, for who asks how far a job is need not wait for the driver to be imported."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_TOKEN, LAST_TOKEN = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class TokenRange:
    """Tokens above `start` up to and including `end`; the last one of the ring is LAST_TOKEN, the first LEAST_TOKEN.

    No partition has the token LEAST_TOKEN, so (LEAST_TOKEN, LAST_TOKEN] is the whole ring.
    """

    start: int
    end: int
