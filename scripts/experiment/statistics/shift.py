"""How large is a difference? Without assuming a shape (Hodges and Lehmann 1963), and as the ratio of paired blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.special import comb
from statsmodels.stats.weightstats import DescrStatsW

CONFIDENCE = 0.95
FEWEST = 2


@dataclass(frozen=True)
class Interval:
    """An estimate with what holds 95 %; both ends None where there are too few runs for any such interval."""

    value: float
    low: float | None
    high: float | None
    count: int


def hodges_lehmann(baseline: Sequence[float], others: Sequence[float]) -> Interval | None:
    """The shift from `baseline` to `others`: the median of all differences, in their unit. None without runs.

    The interval is the set of shifts that Mann and Whitney's exact test does not turn down; it assumes no shape, and
    that both groups have the same one. It needs 4 runs a side.
    """
    differences = sorted(after - before for before, after in product(baseline, others))
    if not differences:
        return None
    value = float(np.median(differences))
    cut = most_turned_down(len(baseline), len(others))
    if cut == 0:
        return Interval(value, None, None, len(others))
    return Interval(value, differences[cut - 1], differences[len(differences) - cut], len(others))


@lru_cache
def most_turned_down(m: int, n: int, confidence: float = CONFIDENCE) -> int:
    """How many of the m*n differences lie outside the interval on each side: the largest k with P(U < k) <= 2.5 %."""
    ways = rank_sums(m, n)
    tail = (1 - confidence) / 2 * float(comb(m + n, n, exact=True))
    total, k = 0, 0
    while k < len(ways) and total + ways[k] <= tail:
        total += ways[k]
        k += 1
    return k


def rank_sums(m: int, n: int) -> list[int]:
    """In how many orders of m and n values Mann and Whitney's U is 0, 1, … m*n (Gauss's binomial coefficients)."""
    ways = [1] + [0] * (m * n)
    for i in range(1, n + 1):
        # Multiply by (1 - q^(m+i)), divide by (1 - q^i); all beyond the degree m*n cancels.
        for u in range(m * n, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, m * n + 1):
            ways[u] += ways[u - i]
    return ways


def paired_ratio(baseline: Sequence[float], others: Sequence[float]) -> Interval | None:
    """The ratio of `others` to `baseline`, block by block: geometric mean with its 95 % interval (t on logarithms).

    Both have one figure a block, in the same order. None without blocks or where a figure is 0 (it has no ratio);
    without ends for a single block. Raises ValueError for lengths that differ.
    """
    if len(baseline) != len(others):
        raise ValueError(f"{len(baseline)} blocks cannot be paired with {len(others)}")
    if not baseline or min(*baseline, *others) <= 0:
        return None
    logs = np.log(np.asarray(others)) - np.log(np.asarray(baseline))
    value = math.exp(logs.mean())
    if len(logs) < FEWEST:
        return Interval(value, None, None, len(logs))
    low, high = DescrStatsW(logs).tconfint_mean(alpha=1 - CONFIDENCE)
    return Interval(value, math.exp(low), math.exp(high), len(logs))
