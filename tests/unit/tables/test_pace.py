"""A copy goes faster step by step while users are well, and slower at once when they are not."""

import dataclasses
import random
import statistics
import time

import pytest

from components.stages import slowest_pace
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

WELL = Signs(Users(10.0, 10.0, 0.0), silent=False, heard=True, own_p99=12.0, own_usual=10.0)


def but(**changes):
    return dataclasses.replace(WELL, **changes)


def test_it_goes_faster_while_all_is_well():
    rate, reason = decide(200.0, WELL, SLOWEST)
    assert 200 < rate <= 210
    assert reason.startswith("faster")


def test_without_users_to_disturb_it_is_soon_as_fast_as_it_may():
    nobody = but(users=Users(0.0, 10.0, 0.0))
    assert decide(200.0, nobody, SLOWEST) == (400.0, "faster: there are too few users to disturb")
    assert decide(FASTEST, but(users=Users(0.0, 0.0, 0.0)), SLOWEST)[0] == FASTEST


def test_it_never_goes_faster_than_the_most():
    assert decide(FASTEST, WELL, SLOWEST)[0] == FASTEST


BAD = [
    (but(users=Users(13.5, 10.0, 0.0)), "users' 99th percentile is 13.5 ms and was 10.0 ms"),
    (but(own_p99=80.0), "the copy's own writes take 80 ms"),
    (but(own_p99=1_100.0, own_usual=900.0), "the copy's own writes take 1100 ms"),
    (but(pending=40), "40 requests wait on a node"),
    (but(compactions=9), "9 compactions wait on a node"),
    (but(overloaded=True), "a node asked to be spared"),
    (but(users=None, silent=True, pending=40), "40 requests wait on a node"),
]


@pytest.mark.parametrize(("signs", "words"), BAD, ids=[words for _, words in BAD])
def test_it_goes_slower_by_a_factor_and_says_why(signs, words):
    rate, reason = decide(1_000.0, signs, SLOWEST)
    assert rate == pytest.approx(700)
    assert reason == f"slower: {words}"


@pytest.mark.parametrize("slowest", [1.0, SLOWEST, 50.0])
def test_it_never_goes_slower_than_whoever_waits_for_it_counts_on(slowest):
    for signs, _ in [*BAD, (but(silent=True), "")]:
        rate = 1_000.0
        for _ in range(100):
            rate, _ = decide(rate, signs, slowest)
        assert rate == (max(SLOW, slowest) if signs.silent and signs.pending == 0 else slowest)


def test_it_begins_no_slower_than_that_and_keeps_to_it():
    governor = Governor(paced=True, slowest=200.0)
    assert governor.rate == 200
    governor.adjust(Users(50.0, 10.0, at=1_000.0), 1_001.0, {"pending": 40, "compactions": 9, "hints": True})
    assert governor.rate == 200


def test_work_that_was_told_no_slowest_pace_has_the_one_that_deadlines_are_counted_by():
    assert slowest_pace({}) == SLOWEST


@pytest.mark.parametrize(("now", "rate"), [(11.5, 920), (12.7, 920), (12.9, 700), (20.2, 700), (20.4, 400)])
def test_it_goes_the_slower_the_more_users_feel(now, rate):
    found, reason = decide(1_000.0, but(users=Users(now, 10.0, 0.0)), SLOWEST)
    assert found == pytest.approx(rate)
    assert reason == f"slower: users' 99th percentile is {now} ms and was 10.0 ms"


def test_times_a_little_above_what_they_were_hold_it_where_it_is():
    assert decide(500.0, but(users=Users(10.6, 10.0, 0.0)), SLOWEST)[0] == 500


def test_a_quarter_of_a_millisecond_is_no_sign_of_anything():
    assert decide(500.0, but(users=Users(1.25, 1.0, 0.0)), SLOWEST)[0] > 500


def test_hints_hold_it_where_it_is():
    assert decide(500.0, but(hints=True), SLOWEST) == (500.0, "steady: writes are kept for a node that is away")


def test_without_word_of_the_users_it_is_slow():
    assert decide(5_000.0, but(silent=True), SLOWEST)[0] == SLOW
    assert decide(10.0, but(users=None, silent=True), SLOWEST)[0] == 10


def test_word_of_the_users_counts_once():
    governor, quiet = Governor(paced=True, slowest=SLOWEST), {"pending": 0, "compactions": 0, "hints": False}
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_001.0, quiet)
    rate, reason = governor.rate, governor.reason
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_002.0, quiet)
    assert (governor.rate, governor.reason) == (rate, reason)
    governor.adjust(Users(10.0, 10.0, at=1_006.0), 1_007.0, quiet)
    assert governor.rate > rate > SLOW


def test_what_waits_on_a_node_counts_once_and_holds_until_it_was_looked_at_again():
    governor = Governor(paced=True, slowest=SLOWEST)
    governor.rate = 1_000.0
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_001.0, {"pending": 40, "compactions": 0, "hints": False})
    assert governor.rate == pytest.approx(700)
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_002.0, None)
    governor.adjust(Users(10.0, 10.0, at=1_002.5), 1_003.0, None)
    assert (governor.rate, governor.reason) == (pytest.approx(700), "slower: 40 requests wait on a node")
    governor.adjust(Users(10.0, 10.0, at=1_003.5), 1_004.0, {"pending": 0, "compactions": 0, "hints": False})
    assert governor.rate > 700


def test_users_count_also_while_something_waits_on_a_node():
    waits = but(pending=40, asked=False)
    assert decide(100.0, waits, SLOWEST) == (100.0, "slower: 40 requests wait on a node")
    rate, reason = decide(100.0, but(pending=40, asked=False, users=Users(25.0, 10.0, 0.0)), SLOWEST)
    assert rate == pytest.approx(40.0)
    assert reason.startswith("slower: users'")
    assert decide(100.0, but(pending=40, asked=False, silent=True), SLOWEST)[0] == SLOW


@pytest.mark.parametrize("slower", [0.0, 0.02, 0.1, 0.4])
def test_users_feel_less_than_ten_percent_of_it_where_their_times_grow_with_the_pace(slower):
    """The 99th percentile of 2,400 requests jumps by a tenth by itself; what it is in the end must not.

    A word is of the last 24 s, four words long: what is heard of a step comes late and little by little.
    """
    dice, rate, felt, parts = random.Random(8), SLOW, [], [10.0] * 4  # noqa: S311 - figures for a test
    reached = rate
    for _ in range(2_000):
        true = 10.0 * (1 + slower * rate / 100)
        parts = [*parts[1:], true * dice.gauss(1.0, 0.2)]
        rate, _ = decide(rate, but(users=Users(statistics.fmean(parts), 10.0, 0.0)), SLOWEST)
        felt.append(true)
        reached = max(reached, rate)
    assert statistics.fmean(felt[100:]) < 11.0
    assert max(felt[100:]) < 13.0
    assert slower or reached == FASTEST


def test_word_of_the_users_counts_for_some_seconds():
    governor, quiet = Governor(paced=True, slowest=SLOWEST), {"pending": 0, "compactions": 0, "hints": False}
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_000.0 + STALE_SECONDS, quiet)
    assert governor.rate > SLOW
    governor.adjust(Users(10.0, 10.0, at=1_000.0), 1_001.0 + STALE_SECONDS, quiet)
    assert governor.rate == SLOW


def test_at_a_rate_of_200_twenty_rows_take_a_tenth_of_a_second():
    governor = Governor(paced=True, slowest=SLOWEST)
    governor.rate = 200.0
    begin = time.monotonic()
    for _ in range(20):
        governor.admit()
    assert 0.06 < time.monotonic() - begin < 1.0


def test_unpaced_nobody_waits_and_nothing_is_adjusted():
    governor = Governor(paced=False, slowest=SLOWEST)
    begin = time.monotonic()
    for _ in range(1_000):
        governor.admit(100)
    governor.adjust(None, 0.0, {"pending": 10_000, "compactions": 0, "hints": True})
    assert time.monotonic() - begin < 1
    assert governor.rate is None


def test_pages_are_small_at_a_slow_pace_and_never_heavy():
    slow, free = Governor(paced=True, slowest=SLOWEST), Governor(paced=False, slowest=SLOWEST)
    assert slow.page_rows(200) < free.page_rows(200) == 1_000
    assert free.page_rows(1_000_000) < 64
    assert free.page_rows(10**9) >= 1


def test_a_creeping_overload_does_not_become_usual():
    governor = Governor(paced=True, slowest=SLOWEST)
    for _ in range(50):
        governor.took(0.010)
    governor.own()
    for _ in range(20):
        governor.took(0.200)
        p99, usual = governor.own()
    assert p99 == pytest.approx(200)
    assert usual < 20
