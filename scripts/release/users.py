"""How users fare: the 99th percentile of what all load balancers answered lately, in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.release.load_balancers import LoadBalancers

FEWEST = 50  # requests; with fewer, one slow answer would be the percentile


ONE_SIDED = 1.645  # standard deviations: 95 %


@dataclass(frozen=True)
class Slowest:
    """The 99th percentile of some requests, and what it is at least with 95 % confidence, in milliseconds."""

    p99_ms: float
    at_least_ms: float


def slowest_of(load_balancers: LoadBalancers, seconds: float) -> Slowest | None:
    """Return how long the slowest of users' requests took lately; None where there were too few to tell."""
    return slowest(load_balancers.samples(seconds).values())


def slowest(logged: Iterable[Mapping[str, Mapping[str, Any]]]) -> Slowest | None:
    """Return the same for some load balancers' accounts.

    The percentile of a few hundred requests is the third slowest of them, and jumps. Its lower bound is an order
    statistic: how many of n requests are above the true percentile is binomial, here by its normal approximation.
    """
    times = sorted(time for servers in logged for part in servers.values() for time in part["times_ms"])
    count = len(times)
    if count < FEWEST:
        return None
    spread = ONE_SIDED * math.sqrt(count * 0.99 * 0.01)
    return Slowest(float(times[min(count - 1, int(0.99 * count))]), float(times[max(0, int(0.99 * count - spread))]))
