"""Figures in words, the same wherever the report shows them."""

from __future__ import annotations

import math

from scripts.experiment.statistics.bounds import Rate
from scripts.experiment.statistics.shift import Interval

UNKNOWN = "-"
TIMES = "\N{MULTIPLICATION SIGN}"


def milliseconds(value: float | None) -> str:
    """A time with three digits that count: «8.31», «45.2», «1,240»."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def factor(value: float) -> str:
    """A ratio with the sign for times behind it."""
    return f"{value:.2f} {TIMES}"


def between(low: float | None, high: float | None, sign: str = "") -> str:
    """An interval of ratios or times; what is missing where there are too few runs for one."""
    if low is None or high is None:
        return "too few runs"
    return f"{low:{sign}.2f} … {high:{sign}.2f}"


def shift(interval: Interval) -> str:
    """A shift in ms with its interval."""
    ends = between(interval.low, interval.high, "+,")
    return f"{interval.value:+,.2f} ({ends})"


def percent(ratio: float) -> str:
    """A ratio as percent, with two digits that count below 10 %."""
    value = 100 * ratio
    if value in (0, 100):
        return f"{value:.0f} %"
    if value >= 99.9:
        return f"{math.floor(value * 1000) / 1000:.3f} %"  # never rounded up to all
    if value >= 10:
        return f"{value:.1f} %"
    places = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:.{places}f} %"


def failures(rate: Rate) -> str:
    """«0 of 60,000 (at most 0.0050 %)»."""
    return f"{rate.failures:,} of {rate.tries:,} (at most {percent(rate.upper)})"


def sentence(rate: Rate, of: str) -> str:
    """«0 of 60,000 requests failed: at most 0.0050 %, at 95 % confidence»; `of`: what failed, with its verb."""
    found = f"{rate.failures:,} of {rate.tries:,} {of}"
    return found if rate.failures == rate.tries else f"{found}: at most {percent(rate.upper)}, at 95 % confidence"


def probability(p: float | None) -> str:
    """A p-value."""
    if p is None or math.isnan(p):
        return UNKNOWN
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def runs_in_words(count: int) -> str:
    """«1 run», «2 runs»."""
    return "1 run" if count == 1 else f"{count} runs"
