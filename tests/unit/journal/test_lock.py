"""The lock: one holder, a lease, a token that only rises."""

import re

import pytest

from scripts.journal.store import MisuseError, Refused


def test_the_second_is_refused_with_the_holder_s_name_purpose_and_age(journal, clock):
    journal.take_lock("root@one", purpose="release r7-2.0.0")
    clock.move(1.2)
    with pytest.raises(Refused) as refusal:
        journal.take_lock("root@two", nonce="n2")
    assert str(refusal.value) == (
        "the lock is held by root@one since 12:00:00 UTC for release r7-2.0.0 (2.0.0), renewed 1.2 s ago"
    )
    assert refusal.value.details["lock"]["who"] == "root@one"
    assert refusal.value.details["lock"]["age_seconds"] == 1.2


def test_a_lock_of_another_day_is_shown_with_its_date(journal, clock):
    token = journal.take_lock()
    clock.move(86_400)
    journal.beat({"token": token, "lease_seconds": 20})
    with pytest.raises(Refused, match=r"since 2027-01-15 12:00:00 UTC for"):
        journal.take_lock("root@two", nonce="n2")


def test_the_same_nonce_gets_its_token_again_and_a_fresh_lease(journal, clock):
    token = journal.take_lock()
    clock.move(15)
    assert journal.take_lock() == token
    assert journal.read()["lock"]["expires"] == clock.now + 20
    assert journal.kinds() == ["lock-taken"]


def test_the_nonce_is_never_shown(journal):
    journal.take_lock(nonce="secret-nonce")
    assert "secret-nonce" not in repr(journal.read()) + repr(journal.events())


def test_an_expired_lease_is_taken_over_with_a_higher_token_and_said_so(journal, clock):
    first = journal.take_lock("root@one")
    clock.move(20)
    second = journal.take_lock("root@two", nonce="n2")
    assert second > first
    assert journal.texts()[-1] == (
        "root@two took the lock for release r7, over from root@one since 12:00:00 UTC for release r7 (2.0.0), "
        "who let it expire (renewed 20.0 s ago)"
    )


def test_a_lease_holds_until_its_last_moment(journal, clock):
    journal.take_lock("root@one")
    clock.move(19.99)
    with pytest.raises(Refused):
        journal.take_lock("root@two", nonce="n2")


def test_a_beat_renews_a_lease_even_an_expired_one_that_nobody_took(journal, clock):
    token = journal.take_lock()
    clock.move(500)
    answer = journal.beat({"token": token, "lease_seconds": 20})
    assert answer["lock"]["expires"] == clock.now + 20
    with pytest.raises(Refused):
        journal.take_lock("root@two", nonce="n2")


def test_a_holder_that_was_taken_over_is_told_at_its_next_beat(journal, clock):
    old = journal.take_lock("root@one")
    clock.move(21)
    journal.take_lock("root@two", nonce="n2")
    with pytest.raises(Refused) as refusal:
        journal.beat({"token": old, "lease_seconds": 20})
    assert str(refusal.value) == (
        "token 1 is not the lock's any more: taken over by root@two, because the lease had expired at 12:00:21 UTC"
    )
    assert refusal.value.details["lock"]["who"] == "root@two"


def test_a_release_given_back_lets_the_next_one_in_at_once(journal):
    first = journal.take_lock()
    assert journal.release({"token": first}) == {"released": True}
    assert journal.read()["lock"] is None
    assert journal.take_lock("root@two", nonce="n2") > first
    assert journal.release({"token": first}) == {"released": False}
    assert journal.read()["lock"]["who"] == "root@two"
    with pytest.raises(Refused, match=r"token 1 is not the lock's any more: released at 12:00:00 UTC"):
        journal.beat({"token": first, "lease_seconds": 20})


def test_a_token_that_never_was_is_refused(journal):
    with pytest.raises(Refused, match=r"^token 9 was never the lock's$"):
        journal.beat({"token": 9, "lease_seconds": 20})


def test_breaking_needs_a_reason_and_leaves_who_and_why_in_the_audit(journal):
    token = journal.take_lock("root@one")
    with pytest.raises(Refused, match=r"^breaking the lock needs a reason; it stays in the audit$"):
        journal.break_({"who": "root@ops", "reason": "  "})
    broken = journal.break_({"who": "root@ops", "reason": "its machine is gone"})["broken"]
    assert (broken["token"], broken["who"]) == (token, "root@one")
    event = journal.events()["events"][-1]
    assert event["kind"] == "lock-broken"
    assert event["text"] == (
        "root@ops broke the lock of root@one since 12:00:00 UTC for release r7 (2.0.0): its machine is gone"
    )
    assert event["data"]["lock"]["token"] == token
    with pytest.raises(Refused, match=r"any more: broken by root@ops: its machine is gone at 12:00:00 UTC"):
        journal.beat({"token": token, "lease_seconds": 20})
    assert journal.take_lock("root@two", nonce="n2") > token


def test_breaking_a_lock_that_nobody_holds_says_so(journal):
    assert journal.break_({"who": "root@ops", "reason": "x"}) == {"broken": None}


def test_tokens_rise_over_every_way_a_lock_can_end(journal, clock):
    tokens = [journal.take_lock("a", nonce="1")]
    journal.release({"token": tokens[-1]})
    tokens.append(journal.take_lock("a", nonce="1"))
    journal.break_({"who": "b", "reason": "test"})
    tokens.append(journal.take_lock("a", nonce="1"))
    clock.move(21)
    tokens.append(journal.take_lock("b", nonce="2"))
    assert tokens == sorted(set(tokens))


def test_a_beat_brings_the_signals_and_the_hold(running):
    running.signal({"kind": "abort", "who": "root@ops", "reason": "too slow"})
    running.hold({"who": "root@ops", "reason": "sale day"})
    answer = running.beat({"token": 1, "lease_seconds": 20, "release": "r7-2.0.0"})
    assert [(one["kind"], one["who"], one["reason"]) for one in answer["signals"]] == [
        ("abort", "root@ops", "too slow")
    ]
    assert answer["hold"]["reason"] == "sale day"


@pytest.mark.parametrize(
    ("holder", "says"),
    [
        ({"who": "a", "purpose": "b"}, "nonce is missing"),
        ({"who": "", "purpose": "b", "nonce": "c"}, "who is missing"),
        ({"who": "a", "purpose": "b", "nonce": "c", "age": 1}, "there is no key age"),
        ({"who": "a" * 3000, "purpose": "b", "nonce": "c"}, "who must be a text"),
        ("root", "holder must be a JSON object"),
    ],
)
def test_a_holder_that_makes_no_sense_is_refused_by_name(journal, holder, says):
    with pytest.raises(MisuseError, match=re.escape(says)):
        journal.acquire({"holder": holder, "lease_seconds": 20})


@pytest.mark.parametrize("lease", [None, -1, "20", True, float("inf"), float("nan")])
def test_a_lease_must_be_a_number_of_seconds(journal, lease):
    with pytest.raises(MisuseError, match="lease_seconds"):
        journal.acquire({"holder": {"who": "a", "purpose": "b", "nonce": "c"}, "lease_seconds": lease})
