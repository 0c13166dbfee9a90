"""How users fare: the 99th percentile of what all load balancers answered lately, in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.release.load_balancers import LoadBalancers

FEWEST = 50  # requests; with fewer, one slow answer would be the percentile


def slowest_of(load_balancers: LoadBalancers, seconds: float) -> float | None:
    """Return how long the slowest of users' requests took lately; None where there were too few to tell."""
    return slowest(load_balancers.samples(seconds).values())


def slowest(logged: Iterable[Mapping[str, Mapping[str, Any]]]) -> float | None:
    """Return the same for some load balancers' accounts."""
    times = sorted(time for servers in logged for part in servers.values() for time in part["times_ms"])
    return float(times[int(0.99 * len(times))]) if len(times) >= FEWEST else None
