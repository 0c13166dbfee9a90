"""The canary's arithmetic: weights that HAProxy takes give the new version the share that was asked for."""

from __future__ import annotations

import pytest

from components.stages import divide
from scripts.release.analysis import Sample
from scripts.release.canary import MOST_WEIGHT, gather, weights

SIZES = range(2, 51)


@pytest.mark.parametrize("percent", range(1, 91))
def test_the_share_is_within_two_points_of_the_wanted(percent: int) -> None:
    for sites in SIZES:
        new = len(divide("canary", [str(number) for number in range(sites)])[0])
        high, low = weights(percent, new, sites)
        share = 100 * new * high / (new * high + sites * low)
        assert abs(share - percent) <= 2, (sites, high, low, share)


@pytest.mark.parametrize("percent", range(1, 91))
def test_weights_are_such_as_haproxy_takes_and_nobody_is_left_without_users(percent: int) -> None:
    for sites in SIZES:
        for new in range(1, sites + 1):
            assert all(1 <= weight <= MOST_WEIGHT for weight in weights(percent, new, sites))


@pytest.mark.parametrize("sites", [2, 4, 7, 50])
def test_a_higher_step_never_means_a_smaller_share(sites: int) -> None:
    new = (sites + 1) // 2
    shares = []
    for percent in range(1, 91):
        high, low = weights(percent, new, sites)
        shares.append(new * high / (new * high + sites * low))
    assert shares == sorted(shares)


def test_a_version_s_sample_is_the_sum_over_servers_and_load_balancers() -> None:
    lb_a = {"a-green": {"requests": 3, "errors": 1, "times_ms": [1.0, 2.0]},
            "a-blue": {"requests": 9, "errors": 0, "times_ms": [9.0]}}  # fmt: skip
    lb_b = {"b-green": {"requests": 2, "errors": 0, "times_ms": [3.0]}}
    assert gather([lb_a, lb_b], "-green") == Sample(5, 1, (1.0, 2.0, 3.0))
    assert gather([lb_a, lb_b], "-blue") == Sample(9, 0, (9.0,))
    assert gather([], "-blue") == Sample(0, 0, ())
