"""Releases: at most one in progress, each with the verdicts of its stages and how it ended."""

import re

import pytest

from scripts.journal.store import MisuseError, Refused

from .conftest import document, verdict


def test_a_release_begins_with_its_document_and_is_the_current_one(running):
    current = running.read()["current"]
    assert current["id"] == "r7-2.0.0" and current["slot"] == "green" and current["plan"]["gate"] == "person"
    assert (current["state"], current["reason"], current["ended"]) == ("in-progress", "", None)
    assert running.texts()[-1] == "release r7-2.0.0 began: 2.0.0 from 1.0.0 into slot green, by root@one"
    assert running.events()["events"][-1]["data"]["previous"] == "1.0.0"


def test_beginning_again_changes_nothing_and_a_new_holder_resumes_it(running, clock):
    before = running.read()["current"]
    clock.move(1)
    assert running.start(1) == before
    assert running.kinds() == ["lock-taken", "started"]
    clock.move(30)
    assert running.start(running.take_lock("root@two", nonce="n2"))["began"] == before["began"]
    assert running.kinds()[-1] == "resumed"


def test_another_release_supersedes_the_one_in_progress(running):
    running.start(1, 8, "3.0.0")
    releases = running.read()["releases"]
    assert [(one["id"], one["state"]) for one in releases] == [("r8-3.0.0", "in-progress"), ("r7-2.0.0", "superseded")]
    assert releases[1]["reason"] == "release r8-3.0.0 began before it had ended"
    with pytest.raises(Refused, match=r"^release r7-2.0.0 was superseded: release r8-3.0.0 began before it had ended$"):
        running.verdict({"id": "r7-2.0.0", "verdict": verdict()})
    with pytest.raises(Refused, match=r"^release r7-2.0.0 has ended already: superseded$"):
        running.finish({"id": "r7-2.0.0", "state": "failed", "reason": "x"})


def test_a_release_that_has_ended_does_not_begin_again(running):
    running.finish({"id": "r7-2.0.0", "state": "failed", "reason": "x"})
    with pytest.raises(Refused, match=r"^release r7-2.0.0 has ended already: failed; begin another$"):
        running.start(1)


def test_what_ended_last_is_live_also_where_the_clock_was_set_back(running, clock):
    def end(number, version):
        live = {"version": version, "slot": "green", "sha256": "ab" * 32}
        running.finish({"id": f"r{number}-{version}", "state": "succeeded", "reason": "x", "live": live})

    end(7, "2.0.0")
    clock.move(-3600)
    running.start(1, 8, "3.0.0")
    end(8, "3.0.0")
    assert running.read()["live"]["version"] == "3.0.0"
    ended = [one["ended"] for one in running.read()["releases"]]
    assert ended == sorted(ended, reverse=True)


def test_an_old_token_begins_nothing(journal, clock):
    old = journal.take_lock()
    clock.move(21)
    journal.take_lock("root@two", nonce="n2")
    with pytest.raises(Refused, match=r"^token 1 is not the lock's any more: taken over by root@two"):
        journal.start(old)
    assert journal.read()["releases"] == []


def test_an_expired_lease_begins_nothing_until_it_is_renewed(journal, clock):
    token = journal.take_lock()
    clock.move(25)
    with pytest.raises(Refused, match=r"^the lease of token 1 expired 5.0 s ago; renew it first$"):
        journal.start(token)
    journal.beat({"token": token, "lease_seconds": 20})
    assert journal.start(token)["state"] == "in-progress"


def test_a_hold_stops_what_begins_but_neither_a_revert_nor_what_goes_on(journal, clock):
    journal.hold({"who": "root@ops", "reason": "sale day"})
    token = journal.take_lock()
    with pytest.raises(Refused) as refusal:
        journal.start(token)
    assert str(refusal.value) == "releases are on hold by root@ops since 12:00:00 UTC: sale day"
    assert refusal.value.details["hold"]["reason"] == "sale day"
    assert journal.start(token, 8, "1.0.0", revert=True)["state"] == "in-progress"
    assert journal.start(token, 8, "1.0.0")["state"] == "in-progress"
    journal.unhold({"who": "root@ops"})
    assert journal.start(token)["state"] == "in-progress"


def test_verdicts_stand_in_order_and_a_later_one_of_the_same_stage_takes_its_place(running, clock):
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("install-1"), "began": clock.now})
    clock.move(2)
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("smoke-1", "failed", "status 500"), "began": clock.now})
    clock.move(2)
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("smoke-1"), "began": clock.now - 1})
    stages = running.read()["current"]["stages"]
    assert [(stage["stage"], stage["state"], stage["ended"] - stage["began"]) for stage in stages] == [
        ("install-1", "passed", 0.0),
        ("smoke-1", "passed", 1.0),
    ]
    assert running.texts()[-2:] == [
        "r7-2.0.0 smoke-1: failed, status 500",
        "r7-2.0.0 smoke-1: passed, all checks passed",
    ]


def test_the_same_verdict_twice_is_one_event(running):
    for _ in range(3):
        running.verdict({"id": "r7-2.0.0", "verdict": verdict()})
    assert running.kinds().count("stage") == 1


@pytest.mark.parametrize("state", ["succeeded", "partial", "rolled-back", "failed", "held"])
def test_a_release_ends_with_a_state_a_reason_and_what_serves(running, clock, state):
    clock.move(65)
    live = {"version": "2.0.0", "slot": "green", "sha256": "ab" * 32}
    ended = running.finish({"id": "r7-2.0.0", "state": state, "reason": "so it was", "live": live})["release"]
    assert (ended["state"], ended["reason"], ended["ended"], ended["live"]) == (state, "so it was", clock.now, live)
    now = running.read()
    assert now["current"] is None and now["live"] == live
    event = running.events()["events"][-1]
    assert event["kind"] == state
    assert event["text"] == f"release r7-2.0.0 {state.replace('-', ' ')} after 1 min 5 s: so it was"
    assert event["data"]["version"] == "2.0.0" and event["data"]["seconds"] == 65.0


def test_ending_twice_the_same_way_is_once_and_another_way_is_refused(running):
    first = running.finish({"id": "r7-2.0.0", "state": "succeeded", "reason": "all sites"})
    assert running.finish({"id": "r7-2.0.0", "state": "succeeded", "reason": "again"}) == first
    with pytest.raises(Refused, match=r"^release r7-2.0.0 has ended already: succeeded$"):
        running.finish({"id": "r7-2.0.0", "state": "failed", "reason": "x"})


@pytest.mark.parametrize("state", ["held", "failed"])
def test_a_held_or_failed_release_may_end_once_a_person_has_seen_to_it(running, state):
    running.finish({"id": "r7-2.0.0", "state": state, "reason": "the old version does not run"})
    assert running.finish({"id": "r7-2.0.0", "state": "rolled-back", "reason": "started it"})["release"]["state"] == (
        "rolled-back"
    )


def test_verdicts_that_could_not_be_recorded_in_time_come_with_the_end(running, clock):
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("install-1"), "began": clock.now})
    earlier = [
        verdict("preflight") | {"at": "2027-01-15T11:59:58Z"},
        verdict("install-1", "failed", "not this one"),
        verdict("smoke-1") | {"at": "2027-01-15T12:00:03+00:00"},
        verdict("shift-1") | {"at": "soon"},
    ]
    clock.move(9)
    ended = running.finish({"id": "r7-2.0.0", "state": "succeeded", "reason": "", "earlier": earlier})["release"]
    assert [(one["stage"], one["state"]) for one in ended["stages"]] == [
        ("preflight", "passed"),
        ("install-1", "passed"),
        ("smoke-1", "passed"),
        ("shift-1", "passed"),
    ]


def test_a_reason_of_any_length_is_recorded_cut_where_it_is_too_long(running):
    running.verdict({"id": "r7-2.0.0", "verdict": verdict(reason="x" * 9000)})
    ended = running.finish({"id": "r7-2.0.0", "state": "failed", "reason": "y" * 9000})["release"]
    assert len(ended["reason"]) == 2000 and ended["reason"].endswith("y…")
    assert len(ended["stages"][0]["reason"]) == 9000
    assert max(map(len, running.texts())) < 2100


def test_history_is_newest_first_limited_and_finds_one_by_its_id(running):
    for number in range(8, 12):
        running.start(1, number, "3.0.0")
    assert [one["number"] for one in running.history({"limit": 2})["releases"]] == [11, 10]
    assert [one["number"] for one in running.history({"id": "r7-2.0.0"})["releases"]] == [7]
    with pytest.raises(Refused, match=r"^there is no release r99$"):
        running.history({"id": "r99"})


@pytest.mark.parametrize("verb", ["verdict", "finish", "waiting"])
def test_an_unknown_release_is_refused(journal, verb):
    asked = {
        "verdict": {"verdict": verdict()},
        "finish": {"state": "failed", "reason": "x"},
        "waiting": {"gate": "person"},
    }[verb]
    with pytest.raises(Refused, match=r"^there is no release r1$"):
        getattr(journal, verb)({"id": "r1", **asked})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"id": ""}, "id is missing"),
        ({"slot": None}, "slot is missing"),
        ({"number": "7"}, "number is '7'; it must be a whole number"),
        ({"state": "succeeded"}, "release has state, which are the journal's to say"),
    ],
)
def test_a_document_that_lacks_what_the_journal_uses_is_refused_by_name(journal, changed, says):
    token = journal.take_lock()
    with pytest.raises(MisuseError, match=re.escape(says)):
        journal.begin({"release": document(**changed), "token": token})


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"stage": "smoke-1", "state": "fine"}, "state is 'fine'; it must be one of passed, failed"),
        ({"state": "passed"}, "stage is missing"),
        (None, "verdict must be a JSON object"),
    ],
)
def test_a_verdict_without_stage_or_state_is_refused(running, said, says):
    with pytest.raises(MisuseError, match=re.escape(says)):
        running.verdict({"id": "r7-2.0.0", "verdict": said})
