"""Is a release no worse than the baseline, within a margin that was fixed beforehand?

Runs are compared on the logarithm of a figure in ms, so that a difference is a ratio: a release that costs 10 % does so
at 20 ms and at 2 s. The margin is what users are not expected to notice, the larger of 10 % and 10 ms of the baseline's
geometric mean. Two one-sided tests (Schuirmann 1987) with unequal variances: the upper one alone decides on «no worse»,
both together on «the same».

The margin in ms is a ratio of the measured baseline; its error is not carried on into the test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

MARGIN_RATIO = 1.10
MARGIN_MS = 10.0
SIGNIFICANT = 0.05
FEWEST = 2


class Verdict(StrEnum):
    """What runs say about a margin."""

    NO_WORSE = "no worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Inferiority:
    """A release's figure against the baseline's. Ratios of geometric means; 1.0 is the same, above is slower.

    `low` to `high` hold 90 % (each end 95 % one-sided): `high` below `margin` is the same as `p_no_worse` below 0.05.
    `p_same` is for being within the margin on both sides.
    """

    baseline_ms: float
    release_ms: float
    ratio: float
    low: float
    high: float
    margin: float
    p_no_worse: float
    p_same: float

    def verdict(self, p: float | None = None) -> Verdict:
        """No worse, worse, or too few or too varied runs to tell; `p` where p_no_worse was corrected for many tests."""
        if (self.p_no_worse if p is None else p) < SIGNIFICANT:
            return Verdict.NO_WORSE
        return Verdict.WORSE if self.low > self.margin else Verdict.INCONCLUSIVE


def margin_of(baseline_ms: float) -> float:
    """The margin as a ratio: the larger of 10 % and 10 ms."""
    return max(MARGIN_RATIO, (baseline_ms + MARGIN_MS) / baseline_ms)


def inferiority(baseline_ms: Sequence[float], release_ms: Sequence[float]) -> Inferiority | None:
    """Compare runs of a release with runs without one, both in ms and above 0.

    None where a group has fewer than two runs, or no run differs from another of its group: there is no variance then
    to test with. Raises ValueError for a figure that is not above 0.
    """
    if min([*baseline_ms, *release_ms], default=1.0) <= 0:
        raise ValueError("a time of 0 ms or less cannot be compared")
    if min(len(baseline_ms), len(release_ms)) < FEWEST:
        return None
    before, after = np.log(np.asarray(baseline_ms)), np.log(np.asarray(release_ms))
    if before.var() + after.var() == 0:
        return None
    mean = math.exp(before.mean())
    margin = margin_of(mean)
    bound = math.log(margin)
    # Named as the library has it: the first test is «above the lower bound», the second «below the upper one».
    p_same, _, below = ttost_ind(after, before, -bound, bound, usevar="unequal")
    low, high = CompareMeans(DescrStatsW(after), DescrStatsW(before)).tconfint_diff(alpha=0.1, usevar="unequal")
    return Inferiority(
        baseline_ms=mean,
        release_ms=math.exp(after.mean()),
        ratio=math.exp(after.mean() - before.mean()),
        low=math.exp(low),
        high=math.exp(high),
        margin=margin,
        p_no_worse=float(below[1]),
        p_same=float(p_same),
    )
