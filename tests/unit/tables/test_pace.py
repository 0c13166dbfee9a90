"""A copy goes faster step by step while users are well, and slower at once when they are not."""

import dataclasses
import time

import pytest

from scripts.tables.pace import (
    FASTEST,
    SLOW,
    SLOWEST,
    STALE_SECONDS,
    Governor,
    Signs,
    decide,
)
from scripts.tables.progress import Users

WELL = Signs(Users(10.0, 10.0, 0.0), silent=False, own_p99=12.0, own_usual=10.0)


def but(**changes):
    return dataclasses.replace(WELL, **changes)


def test_it_goes_faster_while_all_is_well():
    rate, reason = decide(200.0, WELL)
    assert 200 < rate <= 230
    assert reason.startswith("faster")


def test_it_never_goes_faster_than_the_most():
    assert decide(FASTEST, WELL)[0] == FASTEST


BAD = [
    (but(users=Users(11.5, 10.0, 0.0)), "users' 99th percentile is 11.5 ms and was 10.0 ms"),
    (but(own_p99=80.0), "the copy's own writes take 80 ms"),
    (but(own_p99=1_100.0, own_usual=900.0), "the copy's own writes take 1100 ms"),
    (but(pending=40), "40 requests wait on a node"),
    (but(compactions=9), "9 compactions wait on a node"),
    (but(overloaded=True), "a node asked to be spared"),
    (but(users=None, silent=True, pending=40), "40 requests wait on a node"),
]


@pytest.mark.parametrize(("signs", "words"), BAD, ids=[words for _, words in BAD])
def test_it_goes_slower_by_a_factor_and_says_why(signs, words):
    rate, reason = decide(1_000.0, signs)
    assert rate == pytest.approx(700)
    assert reason == f"slower: {words}"


def test_it_never_stops_altogether():
    assert decide(SLOWEST, BAD[0][0])[0] == SLOWEST


def test_times_a_little_above_what_they_were_hold_it_where_it_is():
    assert decide(500.0, but(users=Users(11.0, 10.0, 0.0)))[0] == 500


def test_half_a_millisecond_is_no_sign_of_anything():
    assert decide(500.0, but(users=Users(2.4, 2.0, 0.0)))[0] > 500


def test_hints_hold_it_where_it_is():
    assert decide(500.0, but(hints=True)) == (500.0, "steady: writes are kept for a node that is away")


def test_without_word_of_the_users_it_is_slow():
    assert decide(5_000.0, but(silent=True))[0] == SLOW
    assert decide(30.0, but(users=None, silent=True))[0] == 30


def test_word_of_the_users_counts_for_ten_seconds():
    governor, quiet = Governor(paced=True), {"pending": 0, "compactions": 0, "hints": False}
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_000.0 + STALE_SECONDS, quiet)
    assert governor.rate > SLOW
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_001.0 + STALE_SECONDS, quiet)
    assert governor.rate == SLOW


def test_at_a_rate_of_200_twenty_rows_take_a_tenth_of_a_second():
    governor = Governor(paced=True)
    governor.rate = 200.0
    begin = time.monotonic()
    for _ in range(20):
        governor.admit()
    assert 0.06 < time.monotonic() - begin < 1.0


def test_unpaced_nobody_waits_and_nothing_is_adjusted():
    governor = Governor(paced=False)
    begin = time.monotonic()
    for _ in range(1_000):
        governor.admit(100)
    governor.adjust(None, 0.0, {"pending": 10_000, "compactions": 0, "hints": True})
    assert time.monotonic() - begin < 1
    assert governor.rate is None


def test_pages_are_small_at_a_slow_pace_and_never_heavy():
    slow, free = Governor(paced=True), Governor(paced=False)
    assert slow.page_rows(200) < free.page_rows(200) == 1_000
    assert free.page_rows(1_000_000) < 64
    assert free.page_rows(10**9) >= 1


def test_a_creeping_overload_does_not_become_usual():
    governor = Governor(paced=True)
    for _ in range(50):
        governor.took(0.010)
    governor.own()
    for _ in range(20):
        governor.took(0.200)
        p99, usual = governor.own()
    assert p99 == pytest.approx(200)
    assert usual < 20
