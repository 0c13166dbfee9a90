"""Is the new version worse than the old one? The metric gate's verdict, from what the load balancers saw of both.

Pure. `compare` is asked again and again, each second, on samples that grow; so it must not use tests that are made to
be looked at once. Everything here rests on e-processes: numbers that, whenever the null hypothesis holds, exceed 1/a
at *any* time with a probability of at most a (Ville 1939).

- Errors. Null hypothesis: the new version's error rate exceeds the old one's by no more than max_error_increase. The
  e-process is a likelihood ratio (Wasserman, Ramdas and Balakrishnan 2020, «Universal inference»): above, the data's
  probability under a mixture of rates for each version (Robbins 1970), below, the highest that the null allows.
- Latency, at the median and at the 90th percentile. A confidence bound above the old version's quantile that holds at
  all times (Howard and Ramdas 2022, «Sequential estimation of quantiles») gives a line: the bound times
  max_latency_ratio, or plus SHORTEST_MS, whichever is more. Null hypothesis: no more of the new version's requests are
  above the line than a quantile allows; the same kind of e-process counts them. No shape is assumed, and one wild
  value is one value. The guarantee is for independent times and for samples that grow. Requests of one moment resemble
  each other, and load balancers keep the newest times only: there it is approximate, and the line is the margin.

The chance of a false alarm, however often one growing pair of samples is looked at, is at most 1 %: ERROR_RISK and
twice LATENCY_RISK. Beginning anew with an empty pair is another chance.

Evidence counts from the first request on: a version that only fails is found in a moment. But too few samples never
pass, and neither do samples that look too bad while it is not proven yet: these are inconclusive.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ERROR_RISK = 0.008
LATENCY_RISK = 0.001
SHORTEST_MS = 20.0
QUANTILES = {"median": 0.5, "p90": 0.9}
# Beta distributions over the rates: an old version fails rarely, a bad new one in some, or in all of its answers.
OLD_RATES = (0.1, 10.0)
NEW_RATES = ((3.0, 50.0), (1.0, 3.0))
ANY_RATE = ((0.5, 0.5),)


class State(StrEnum):
    """What a comparison can end in."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Sample:
    """What users got from one version: requests, those of them that failed, and answer times in ms."""

    requests: int = 0
    errors: int = 0
    times_ms: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.errors <= self.requests:
            raise ValueError(f"{self.errors} errors in {self.requests} requests cannot be")

    @property
    def error_rate(self) -> float:
        """The share of requests that failed; 0 where there were none."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class Limits:
    """How much worse the new version may be, and how many requests of each version it takes to pass."""

    min_requests: int = 100
    max_error_increase: float = 0.01
    max_latency_ratio: float = 1.5


@dataclass(frozen=True)
class Judgement:
    """A comparison's end: its state, the reason in one sentence, and the figures that it rests on."""

    state: State
    reason: str
    figures: Mapping[str, float | int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One measure: whether the new version is proven worse, whether it looks worse, in words."""

    proven: bool
    suspected: bool
    words: str
    figures: Mapping[str, float | int | None]


def compare(old: Sample, new: Sample, limits: Limits) -> Judgement:
    """Judge the new version by the requests that both have answered since the comparison began."""
    times = (sorted(old.times_ms), sorted(new.times_ms))
    latencies = [compare_latency(name, *times, limits.max_latency_ratio) for name in QUANTILES]
    findings = [compare_errors(old, new, limits.max_error_increase), *latencies]
    figures = {key: value for finding in findings for key, value in finding.figures.items()}
    proven = [finding.words for finding in findings if finding.proven]
    suspected = [finding.words for finding in findings if finding.suspected]
    if proven:
        return Judgement(State.FAIL, " and ".join(proven), figures)
    for name, sample in (("new", new), ("old", old)):
        if sample.requests < limits.min_requests:
            reason = f"the {name} version has answered {sample.requests} of the {limits.min_requests} requests it takes"
            return Judgement(State.INCONCLUSIVE, reason, figures)
    if suspected:
        return Judgement(State.INCONCLUSIVE, f"not proven yet, but it looks as if {' and '.join(suspected)}", figures)
    reason = f"the new version is as good as the old one in {new.requests} requests against {old.requests}"
    return Judgement(State.PASS, reason, figures)


def compare_errors(old: Sample, new: Sample, margin: float) -> Finding:
    """Compare the error rates."""
    evidence = error_evidence(old, new, margin)
    words = (
        f"the new version fails in {new.error_rate:.1%} of its requests ({new.errors} of {new.requests}), "
        f"the old one in {old.error_rate:.1%} ({old.errors} of {old.requests}); {margin:.1%} more is allowed"
    )
    figures = {
        "old_requests": old.requests,
        "old_errors": old.errors,
        "new_requests": new.requests,
        "new_errors": new.errors,
        "error_increase": new.error_rate - old.error_rate,
        "error_evidence": evidence,
        "error_evidence_limit": -math.log(ERROR_RISK),
    }
    return Finding(evidence >= -math.log(ERROR_RISK), new.error_rate > old.error_rate + margin, words, figures)


def compare_latency(name: str, old: list[float], new: list[float], ratio: float) -> Finding:
    """Compare one quantile of the answer times, which are sorted."""
    share = QUANTILES[name]
    before, after = quantile(old, share), quantile(new, share)
    figures = {f"old_{name}_ms": before, f"new_{name}_ms": after}
    if before is None or after is None:
        return Finding(proven=False, suspected=False, words="", figures=figures)
    words = f"the new version's {name} is {after:.0f} ms, the old one's {before:.0f} ms"
    bound = bound_above(old, share)
    slow = len(new) - bisect_right(new, worst_allowed(bound, ratio)) if bound is not None else 0
    proven = rate_evidence(slow, len(new), 1 - share) >= -math.log(LATENCY_RISK / 2)
    return Finding(proven, after > worst_allowed(before, ratio), words, figures)


def worst_allowed(time: float, ratio: float) -> float:
    """Return the longest time that the new version may take where the old one takes `time`."""
    return max(time * ratio, time + SHORTEST_MS)


def quantile(times: list[float], share: float) -> float | None:
    """Return a quantile of sorted times, or None where there are none."""
    return times[min(int(share * len(times)), len(times) - 1)] if times else None


def bound_above(times: list[float], share: float) -> float | None:
    """Return a value that the true quantile exceeds at no time, but for a chance of LATENCY_RISK / 2; None: too few."""
    needed = -math.log(LATENCY_RISK / 2)
    low, high = 0, len(times)
    if rate_evidence(high, high, share) < needed:
        return None
    # The evidence grows with the number of times below: find the smallest number that is enough.
    while low < high:
        middle = (low + high) // 2
        if rate_evidence(middle, len(times), share) >= needed:
            high = middle
        else:
            low = middle + 1
    return times[low - 1]


def rate_evidence(hits: int, count: int, most: float) -> float:
    """Return the logarithm of the e-process against «the rate of hits is at most `most`»; 0 where there is none."""
    if not count or hits <= most * count:
        return 0.0
    return max(0.0, mixture(hits, count, ANY_RATE) - likelihood(hits, count, most))


def error_evidence(old: Sample, new: Sample, margin: float) -> float:
    """Return the logarithm of the e-process against «new's error rate is at most old's plus `margin`»; 0 for none."""
    if not new.requests or new.error_rate <= old.error_rate + margin:
        return 0.0

    def allowed(rate: float) -> float:
        return likelihood(old.errors, old.requests, rate) + likelihood(new.errors, new.requests, rate + margin)

    # The old version's rate under which the null explains the data best lies between what each version shows.
    best = highest(allowed, old.error_rate, min(new.error_rate, 1 - margin))
    above = mixture(old.errors, old.requests, (OLD_RATES,)) + mixture(new.errors, new.requests, NEW_RATES)
    return max(0.0, above - best)


def mixture(hits: int, count: int, rates: tuple[tuple[float, float], ...]) -> float:
    """Return the log-probability of one sequence with so many hits, mixed over the Beta distributions equally."""
    parts = [log_beta(a + hits, b + count - hits) - log_beta(a, b) for a, b in rates]
    top = max(parts)
    return top + math.log(sum(math.exp(part - top) for part in parts) / len(parts))


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def likelihood(hits: int, count: int, rate: float) -> float:
    """Return the log-probability of one sequence with so many hits at a given rate."""
    missed = count - hits
    if (hits and rate <= 0) or (missed and rate >= 1):
        return -math.inf
    return (hits * math.log(rate) if hits else 0.0) + (missed * math.log1p(-rate) if missed else 0.0)


def highest(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the maximum of a concave function between two points."""
    for _ in range(40):
        third = (high - low) / 3
        if function(low + third) < function(high - third):
            low += third
        else:
            high -= third
    # Both ends too: a maximum at an end is approached from inside, and a maximum too low would be false evidence.
    return max(function(low), function(high), function((low + high) / 2))
