"""Each statistic against an answer that is known from elsewhere, and each interval against chance itself."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from scripts.experiment.statistics.bounds import rate, rule_of_three, upper_bound
from scripts.experiment.statistics.comparison import compare, holm
from scripts.experiment.statistics.inferiority import Verdict, inferiority, margin_of
from scripts.experiment.statistics.shift import hodges_lehmann, paired_ratio, rank_sums

# Hollander and Wolfe, «Nonparametric Statistical Methods», 1973, p. 69: permeability of a membrane at two ages.
AT_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLIER = [1.15, 0.88, 0.90, 0.74, 1.21]
TRIES = 2000


@pytest.fixture
def dice():
    return np.random.default_rng(20261124)


# --- bounds --------------------------------------------------------------------------------------------------------


def test_no_failure_in_300_releases_is_under_one_percent():
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_bound(0, 300) < 0.01 == rule_of_three(300)


@pytest.mark.parametrize("tries", [30, 1000, 250_000])
def test_the_rule_of_three_is_a_little_above_the_exact_bound(tries):
    assert upper_bound(0, tries) < rule_of_three(tries) < 1.06 * upper_bound(0, tries)


def test_a_bound_is_the_rate_at_which_so_few_failures_have_a_chance_of_five_percent():
    bound = upper_bound(3, 500)
    assert stats.binom.cdf(3, 500, bound) == pytest.approx(0.05)


def test_bounds_at_the_ends():
    assert upper_bound(0, 0) == rule_of_three(0) == 1.0
    assert upper_bound(7, 7) == 1.0
    assert rule_of_three(2) == 1.0
    assert rate(0, 0).value == 0.0
    with pytest.raises(ValueError, match="3 failures in 2 tries"):
        upper_bound(3, 2)


@pytest.mark.parametrize("truth", [0.001, 0.02, 0.3])
def test_upper_bounds_cover_the_true_rate_in_95_of_100_experiments(dice, truth):
    seen = dice.binomial(400, truth, TRIES)
    bounds = {count: upper_bound(int(count), 400) for count in set(seen)}
    assert np.mean([bounds[count] >= truth for count in seen]) >= 0.94


# --- shift ---------------------------------------------------------------------------------------------------------


def test_the_shift_of_the_textbooks_example():
    shift = hodges_lehmann(EARLIER, AT_TERM)
    assert shift.value == pytest.approx(0.305)
    assert (shift.low, shift.high) == (pytest.approx(-0.15), pytest.approx(0.76))


def test_the_interval_is_the_set_of_shifts_that_the_exact_test_does_not_turn_down():
    shift = hodges_lehmann(EARLIER, AT_TERM)
    for moved, kept in ((shift.low, 1), (shift.high, -1)):
        inside, outside = moved + kept * 1e-4, moved - kept * 1e-4
        p_inside, p_outside = (
            stats.mannwhitneyu([x + by for x in EARLIER], AT_TERM, method="exact").pvalue for by in (inside, outside)
        )
        assert p_inside > 0.05 >= p_outside


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (5, 5), (4, 7)])
def test_rank_sums_are_those_of_all_orders(m, n):
    found = [0] * (m * n + 1)
    for places in combinations(range(m + n), m):
        found[sum(places) - m * (m - 1) // 2] += 1
    assert rank_sums(m, n) == found


def test_with_three_runs_a_side_no_interval_at_95_percent_exists():
    assert hodges_lehmann([1, 2, 3], [4, 5, 6]).low is None
    assert hodges_lehmann([1, 2, 3, 4], [5, 6, 7, 8]).low is not None
    assert hodges_lehmann([], [1]) is None


def test_shift_intervals_cover_the_true_shift(dice):
    before, after = dice.lognormal(3, 0.4, (400, 6)), dice.lognormal(3, 0.4, (400, 6)) + 2.5
    found = [hodges_lehmann(list(x), list(y)) for x, y in zip(before, after, strict=True)]
    # Chance alone takes 400 tries at 95 % (and a little more, for the interval is exact) to 0.92 at the least.
    assert np.mean([shift.low <= 2.5 <= shift.high for shift in found]) > 0.92


def test_the_ratio_of_blocks_forgets_what_differs_from_block_to_block():
    halves = [100.0, 400.0, 1600.0]
    ratio = paired_ratio(halves, [0.5 * x for x in halves])
    assert (ratio.value, ratio.low, ratio.high) == (pytest.approx(0.5),) * 3
    assert paired_ratio([100.0], [50.0]).low is None
    assert paired_ratio([0.0, 1.0], [1.0, 1.0]) is None
    with pytest.raises(ValueError, match="2 blocks cannot be paired with 1"):
        paired_ratio([1, 2], [1])


def test_ratio_intervals_cover_the_true_ratio(dice):
    blocks = dice.lognormal(4, 1.0, (TRIES, 5))
    halves, ours = blocks * dice.lognormal(0, 0.1, (TRIES, 5)), 0.7 * blocks * dice.lognormal(0, 0.1, (TRIES, 5))
    found = [paired_ratio(list(x), list(y)) for x, y in zip(halves[:400], ours[:400], strict=True)]
    assert 0.91 < np.mean([ratio.low <= 0.7 <= ratio.high for ratio in found]) < 0.99


# --- comparison ----------------------------------------------------------------------------------------------------


def test_holm_multiplies_as_the_textbook_does():
    # Holm 1979: sorted p times n, n-1, … made never to fall.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_three_tests_are_scipys():
    found = compare(EARLIER, AT_TERM)
    assert found.student == stats.ttest_ind(EARLIER, AT_TERM).pvalue
    assert found.welch == stats.ttest_ind(EARLIER, AT_TERM, equal_var=False).pvalue
    assert found.mann_whitney == pytest.approx(0.2544, abs=5e-5)  # twice Hollander and Wolfe's one-sided 0.1272


def test_nothing_is_compared_where_nothing_varies():
    assert compare([0.0, 0.0], [0.0, 0.0]) is None
    assert compare([0.0, 0.0], [1.0, 1.0]) is None
    assert compare([1.0], [1.0, 2.0]) is None


# --- inferiority ---------------------------------------------------------------------------------------------------


def test_the_margin_is_the_larger_of_ten_percent_and_ten_ms():
    assert margin_of(1000.0) == 1.10
    assert margin_of(20.0) == 1.5
    assert margin_of(100.0) == pytest.approx(1.10)


def test_a_release_as_fast_as_the_baseline_is_no_worse():
    found = inferiority([100, 102, 98, 101, 99], [101, 99, 100, 102, 98])
    assert found.verdict() is Verdict.NO_WORSE
    assert found.p_same < 0.05
    assert found.low < 1 < found.high < found.margin


def test_a_release_that_doubles_times_is_worse_and_noise_is_inconclusive():
    assert inferiority([100, 102, 98], [200, 205, 198]).verdict() is Verdict.WORSE
    assert inferiority([100, 300, 30], [120, 20, 400]).verdict() is Verdict.INCONCLUSIVE


def test_a_corrected_p_can_take_a_verdict_back():
    found = inferiority([100, 102, 98, 101, 99], [101, 99, 100, 102, 98])
    assert found.verdict(0.2) is Verdict.INCONCLUSIVE


def test_the_tests_are_welchs_on_logarithms_written_out():
    before, after = np.log([100, 104, 98, 103]), np.log([105, 107, 101, 109])
    found = inferiority([100, 104, 98, 103], [105, 107, 101, 109])
    variances = [x.var(ddof=1) / len(x) for x in (before, after)]
    error = math.sqrt(sum(variances))
    freedom = sum(variances) ** 2 / sum(v**2 / 3 for v in variances)
    distance = (after.mean() - before.mean() - math.log(found.margin)) / error
    assert found.p_no_worse == pytest.approx(stats.t.cdf(distance, freedom))
    high = after.mean() - before.mean() + stats.t.ppf(0.95, freedom) * error
    assert found.high == pytest.approx(math.exp(high))


def test_being_below_the_margin_and_a_small_p_are_the_same(dice):
    for _ in range(50):
        found = inferiority(dice.lognormal(5, 0.06, 5), dice.lognormal(5.05, 0.06, 5))
        assert (found.high < found.margin) == (found.p_no_worse < 0.05)


def test_a_release_just_at_the_margin_passes_in_five_of_100_experiments(dice):
    before = dice.lognormal(math.log(500), 0.05, (1000, 6))
    after = dice.lognormal(math.log(550), 0.05, (1000, 6))
    passed = [inferiority(x, y).verdict() is Verdict.NO_WORSE for x, y in zip(before, after, strict=True)]
    assert 0.02 < np.mean(passed) < 0.08


def test_too_few_runs_or_none_that_vary_say_nothing():
    assert inferiority([100], [100, 101]) is None
    assert inferiority([100, 100], [100, 100]) is None
    with pytest.raises(ValueError, match="0 ms or less"):
        inferiority([100, 0], [100, 100])
