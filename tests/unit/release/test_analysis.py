"""The metric gate finds what is worse, soon, and cries wolf in less than 1 % of releases, however often it looks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from scripts.release.analysis import Limits, Sample, State, compare

LIMITS = Limits(min_requests=100, max_error_increase=0.01, max_latency_ratio=1.5)
Answer = Callable[[random.Random], tuple[bool, float]]


def version(error_rate: float = 0.0, median_ms: float = 10.0, spread: float = 0.5) -> Answer:
    """Return a version that fails at a rate and whose times are log-normal."""

    def answer(chance: random.Random) -> tuple[bool, float]:
        return chance.random() < error_rate, median_ms * chance.lognormvariate(0, spread)

    return answer


def grow(seed: int, old: Answer, new: Answer, requests: int, share: int = 19) -> Iterator[tuple[Sample, Sample]]:
    """Yield samples as they look after each 10 requests of the new version, with `share` times as many of the old."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    seen: tuple[list[tuple[bool, float]], ...] = ([], [])
    for _ in range(requests // 10):
        seen[0].extend(old(chance) for _ in range(10 * share))
        seen[1].extend(new(chance) for _ in range(10))
        first, second = (
            Sample(len(each), sum(failed for failed, _ in each), tuple(time for _, time in each[-2000:]))
            for each in seen
        )
        yield first, second


def failed_after(seed: int, old: Answer, new: Answer, requests: int, share: int = 19) -> int | None:
    """Return how many requests of the new version it took to fail, looking after each 10, or None."""
    for first, second in grow(seed, old, new, requests, share):
        if compare(first, second, LIMITS).state is State.FAIL:
            return second.requests
    return None


def share_failed(old: Answer, new: Answer, requests: int, runs: int, share: int = 19) -> float:
    """Return in which share of so many runs the new version failed."""
    return sum(failed_after(seed, old, new, requests, share) is not None for seed in range(runs)) / runs


def test_as_good_a_version_passes_once_there_are_requests_enough() -> None:
    *_, (old, new) = grow(1, version(), version(), 100)
    judgement = compare(old, new, LIMITS)
    assert judgement.state is State.PASS
    assert judgement.reason == "the new version is as good as the old one in 100 requests against 1900"
    assert judgement.figures["new_requests"] == 100


@pytest.mark.parametrize(
    ("old", "new", "which"), [(1000, 99, "new"), (99, 1000, "old"), (0, 0, "new"), (0, 500, "old")]
)
def test_too_few_requests_never_pass(old: int, new: int, which: str) -> None:
    judgement = compare(Sample(old, 0, (10.0,) * old), Sample(new, 0, (10.0,) * new), LIMITS)
    assert judgement.state is State.INCONCLUSIVE
    assert f"the {which} version has answered" in judgement.reason


def test_what_looks_worse_but_is_not_proven_is_inconclusive_and_not_a_pass() -> None:
    judgement = compare(Sample(1900), Sample(100, 3), LIMITS)
    assert judgement.state is State.INCONCLUSIVE
    assert "the new version fails in 3.0% of its requests (3 of 100), the old one in 0.0%" in judgement.reason


def test_a_version_that_only_fails_is_found_in_a_few_requests() -> None:
    judgement = compare(Sample(95), Sample(5, 5), LIMITS)
    assert judgement.state is State.FAIL
    assert "the new version fails in 100.0% of its requests (5 of 5)" in judgement.reason


@pytest.mark.parametrize("share", [19, 3])
def test_one_failure_in_twenty_against_none_is_found_within_about_150_requests(share: int) -> None:
    """The sample's version 9.4.0, which fails at each 20th request, not by chance."""
    found = next(count for count in range(20, 400, 20) if is_failed(Sample(count * share), Sample(count, count // 20)))
    assert found <= 160


def is_failed(old: Sample, new: Sample) -> bool:
    return compare(old, new, LIMITS).state is State.FAIL


def test_failures_by_chance_at_5_percent_are_found_in_most_runs_by_150_requests_and_in_nearly_all_by_400() -> None:
    found = [failed_after(seed, version(), version(0.05), 400) or 1000 for seed in range(100)]
    assert sum(count <= 150 for count in found) >= 50
    assert sum(count <= 400 for count in found) >= 93


def test_failures_at_5_percent_do_not_pass_at_the_first_look_that_may_pass() -> None:
    passed = 0
    for seed in range(100):
        *_, (old, new) = grow(seed, version(), version(0.05), 150)
        passed += compare(old, new, LIMITS).state is State.PASS
    assert passed <= 3


@pytest.mark.parametrize("error_rate", [0.0, 0.005, 0.05])
def test_an_equal_version_fails_in_less_than_1_percent_of_runs(error_rate: float) -> None:
    same = version(error_rate, spread=1.0)
    assert share_failed(same, same, 400, runs=200, share=3) <= 0.01


@pytest.mark.parametrize("old", [0.0, 0.02])
def test_a_version_just_within_the_error_limit_fails_in_less_than_1_percent_of_runs(old: float) -> None:
    assert share_failed(version(old), version(old + LIMITS.max_error_increase), 400, runs=200, share=3) <= 0.01


def test_a_version_just_within_the_latency_limit_fails_in_less_than_1_percent_of_runs() -> None:
    assert share_failed(version(median_ms=100), version(median_ms=150), 400, runs=200, share=3) <= 0.01


def test_the_old_versions_own_failures_excuse_as_many_of_the_new_one() -> None:
    assert compare(Sample(2000, 100), Sample(200, 10), LIMITS).state is State.PASS


def test_a_version_that_is_slow_throughout_is_found_by_its_median() -> None:
    found = failed_after(1, version(), version(median_ms=2000), 100)
    assert found is not None
    assert found <= 30


def test_a_version_that_is_slow_in_a_third_of_its_answers_is_found_by_its_90th_percentile() -> None:
    def sometimes_slow(chance: random.Random) -> tuple[bool, float]:
        return False, 500.0 if chance.random() < 1 / 3 else 10.0

    *_, (old, new) = grow(1, version(), sometimes_slow, 200)
    judgement = compare(old, new, LIMITS)
    assert judgement.state is State.FAIL
    assert "p90 is 500 ms" in judgement.reason
    assert "median" not in judgement.reason


def test_a_few_milliseconds_are_no_matter_however_large_their_ratio() -> None:
    *_, (old, new) = grow(1, version(median_ms=2, spread=0.1), version(median_ms=15, spread=0.1), 400)
    assert compare(old, new, LIMITS).state is State.PASS


def test_one_wild_answer_is_one_answer() -> None:
    old, new = Sample(1900, 0, (10.0,) * 1900), Sample(200, 0, (10.0,) * 199 + (9000.0,))
    assert compare(old, new, LIMITS).state is State.PASS


def test_times_may_be_missing_where_requests_are_not() -> None:
    assert compare(Sample(1900), Sample(200), LIMITS).state is State.PASS


def test_more_errors_than_requests_cannot_be() -> None:
    with pytest.raises(ValueError, match="3 errors in 2 requests cannot be"):
        Sample(2, 3)
