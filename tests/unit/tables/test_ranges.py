"""The ranges of a job cover the whole ring, once, within one set of replicas each."""

import itertools
import random

import pytest

from scripts.tables.ranges import LEAST_RANGES, MOST_RANGES, RANGE_BYTES, cut, share, wanted
from scripts.tables.tokens import LAST_TOKEN, LEAST_TOKEN

CHANCE = random.Random(7)  # noqa: S311  # any tokens do
TOKENS = [CHANCE.randrange(LEAST_TOKEN + 1, LAST_TOKEN) for _ in range(48)]


@pytest.mark.parametrize("count", [1, 64, 1_000, 16_384])
@pytest.mark.parametrize("tokens", [[], [0], TOKENS, [LEAST_TOKEN, LAST_TOKEN]], ids=["none", "one", "48", "ends"])
def test_every_token_is_in_one_range(tokens, count):
    ranges = cut(tokens, count)
    assert ranges[0].start == LEAST_TOKEN
    assert ranges[-1].end == LAST_TOKEN
    assert all(left.end == right.start for left, right in itertools.pairwise(ranges))
    assert all(one.start < one.end for one in ranges)
    assert len(ranges) >= count
    assert sum(share(one) for one in ranges) == pytest.approx(1)


def test_no_range_crosses_a_border_between_replicas():
    borders = {one.start for one in cut(TOKENS, 64)}
    assert set(TOKENS) <= borders


def test_no_range_is_much_larger_than_the_others_would_be_on_an_even_ring():
    assert max(share(one) for one in cut(TOKENS, 256)) <= 1.01 / 256


def test_a_large_table_is_cut_finer_within_limits():
    assert wanted(None) == wanted(0) == LEAST_RANGES
    assert wanted(100 * RANGE_BYTES) == 100
    assert wanted(10**15) == MOST_RANGES
