"""Is there a difference between two groups of runs? Three tests side by side, and Holm's correction for many of them.

A large p is no proof of equality: what decides is `inferiority`. These are for comparison with the thesis, which has
Student's test only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats
from statsmodels.stats.multitest import multipletests

FEWEST = 2


@dataclass(frozen=True)
class Comparison:
    """Two-sided p-values of two groups of runs."""

    student: float
    welch: float
    mann_whitney: float


def student(baseline: Sequence[float], others: Sequence[float]) -> float:
    """Two-sided p of Student's t-test with pooled variance. Two groups of two runs or more; nan where none varies."""
    return float(stats.ttest_ind(baseline, others, equal_var=True).pvalue)


def welch(baseline: Sequence[float], others: Sequence[float]) -> float:
    """Two-sided p of Welch's t-test, which lets the groups vary differently."""
    return float(stats.ttest_ind(baseline, others, equal_var=False).pvalue)


def mann_whitney(baseline: Sequence[float], others: Sequence[float]) -> float:
    """Two-sided p of Mann and Whitney's test on ranks; exact for small groups without ties."""
    return float(stats.mannwhitneyu(baseline, others, alternative="two-sided").pvalue)


def compare(baseline: Sequence[float], others: Sequence[float]) -> Comparison | None:
    """All three; None where a group has fewer than two runs, or where no run differs from another."""
    if min(len(baseline), len(others)) < FEWEST or len({*baseline, *others}) == 1:
        return None
    if len(set(baseline)) == 1 and len(set(others)) == 1:
        return None  # a t-test has nothing to measure the difference by
    return Comparison(student(baseline, others), welch(baseline, others), mann_whitney(baseline, others))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values as they count when there are so many of them (Holm 1979), in the order given; [] for none."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]
