"""How users fare: the 99th percentile of what all load balancers answered lately, in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.release.load_balancers import LoadBalancers

FEWEST = 50  # requests; with fewer, one slow answer would be the percentile


def p99_of(load_balancers: LoadBalancers, seconds: float) -> float | None:
    """Return the users' 99th percentile over the last seconds; None where there were too few requests to tell."""
    return percentile(load_balancers.samples(seconds).values())


def percentile(logged: Iterable[Mapping[str, Mapping[str, Any]]], share: float = 0.99) -> float | None:
    """Return a percentile of all times in some load balancers' accounts."""
    times = sorted(time for servers in logged for part in servers.values() for time in part["times_ms"])
    if len(times) < FEWEST:
        return None
    return float(times[min(len(times) - 1, int(share * len(times)))])
