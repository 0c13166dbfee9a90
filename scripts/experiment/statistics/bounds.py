"""What failures that were seen, or not seen, prove about failures that can be expected.

Clopper and Pearson's bounds are exact: whatever the true rate, they are wrong in at most 5 % of experiments. They count
independent tries. Releases come close to that; requests of one run do not (what breaks one breaks its neighbours), so
the bound per request says how much was measured rather than how sure it is, and the one per release decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """Failures among tries, with the upper bound of their rate at 95 %: ratios, not percent."""

    failures: int
    tries: int
    upper: float

    @property
    def value(self) -> float:
        """The rate that was seen; 0 without tries."""
        return self.failures / self.tries if self.tries else 0.0


def upper_bound(failures: int, tries: int, confidence: float = CONFIDENCE) -> float:
    """One-sided exact upper bound (Clopper and Pearson 1934) of a rate, as a ratio; 1.0 without tries.

    Raises ValueError for counts that cannot be.
    """
    if not 0 <= failures <= tries:
        raise ValueError(f"{failures} failures in {tries} tries cannot be")
    if tries == 0:
        return 1.0
    # statsmodels gives two-sided intervals: each end of the one at 90 % is one-sided at 95 %.
    return float(proportion_confint(failures, tries, alpha=2 * (1 - confidence), method="beta")[1])


def rule_of_three(tries: int) -> float:
    """The same for no failure at all, by heart: 3 in the number of tries (ratio, 1.0 at most)."""
    return min(1.0, 3 / tries) if tries else 1.0


def rate(failures: int, tries: int) -> Rate:
    """Failures with their upper bound."""
    return Rate(failures, tries, upper_bound(failures, tries))
