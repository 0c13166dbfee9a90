"""Holds, requests and the audit."""

import sqlite3

import pytest

from scripts.journal.store import MisuseError, Refused


def test_a_hold_has_a_reason_and_nobody_overwrites_another_s(journal):
    with pytest.raises(Refused, match=r"^a hold needs a reason, for those who meet it$"):
        journal.hold({"who": "root@ops", "reason": ""})
    hold = journal.hold({"who": "root@ops", "reason": "sale day"})["hold"]
    assert journal.hold({"who": "root@ops", "reason": "sale day"})["hold"] == hold == journal.read()["hold"]
    with pytest.raises(Refused, match=r"^releases are already on hold by root@ops since 12:00:00 UTC: sale day$"):
        journal.hold({"who": "root@two", "reason": "audit"})
    assert journal.kinds() == ["hold"]


def test_a_hold_is_lifted_by_anyone_and_lifting_none_is_no_error(journal):
    journal.hold({"who": "root@ops", "reason": "sale day"})
    answer = journal.unhold({"who": "root@two"})
    assert answer["hold"] is None and answer["lifted"]["who"] == "root@ops"
    assert journal.texts()[-1] == "root@two lifted the hold of root@ops (sale day)"
    assert journal.unhold({"who": "root@two"}) == {"hold": None, "lifted": None}
    assert journal.kinds() == ["hold", "unhold"]


def test_requests_are_taken_oldest_first_by_one_taker_each(journal):
    for version in ("2.0.0", "3.0.0"):
        journal.request({"version": version, "who": "ci", "delivery": f"d-{version}"})
    first = journal.take({"who": "one"})["request"]
    second = journal.take({"who": "two"})["request"]
    assert (first["version"], second["version"]) == ("2.0.0", "3.0.0")
    assert journal.take({"who": "three"}) == {"request": None}
    assert [one["state"] for one in journal.read()["requests"]] == ["taken", "taken"]


def test_an_interrupted_taker_gets_its_request_again(journal):
    journal.request({"version": "2.0.0", "who": "ci"})
    assert journal.take({"who": "one"}) == journal.take({"who": "one"})


def test_an_answer_closes_a_request_once(journal):
    number = journal.request({"version": "2.0.0", "who": "ci"})["request"]
    journal.take({"who": "one"})
    answered = {"request": number, "state": "failed", "reason": "smoke-1 failed"}
    assert journal.answer(answered)["request"]["reason"] == "smoke-1 failed"
    journal.answer(answered)
    assert journal.kinds() == ["requested", "taken", "answered"]
    with pytest.raises(Refused, match=r"^request 1 has been answered already: failed$"):
        journal.answer({"request": number, "state": "succeeded"})
    with pytest.raises(Refused, match=r"^there is no request 9$"):
        journal.answer({"request": 9, "state": "succeeded"})
    assert journal.read()["requests"] == []


def test_a_request_delivered_twice_is_one(journal):
    asked = {"version": "2.0.0", "who": "ci", "delivery": "d1"}
    assert journal.request(asked) == journal.request(asked) == {"request": 1}
    assert journal.kinds() == ["requested"]


def test_a_sender_in_a_loop_does_not_fill_the_journal(journal):
    for number in range(100):
        journal.request({"version": "2.0.0", "who": "ci", "delivery": str(number)})
    with pytest.raises(Refused, match=r"^100 requests wait for an answer already; is `evenkeel follow` running\?$"):
        journal.request({"version": "2.0.0", "who": "ci", "delivery": "100"})


def test_events_are_numbered_and_read_on_from_any_number(journal):
    for number in range(5):
        journal.note({"kind": "notified", "text": f"delivery {number}", "data": {"url": number}})
    page = journal.events({"after": 2, "limit": 2})["events"]
    assert [(one["number"], one["text"], one["data"]) for one in page] == [
        (3, "delivery 2", {"url": 2}),
        (4, "delivery 3", {"url": 3}),
    ]
    assert journal.events({"after": 5}) == {"events": []}


def test_no_other_program_writes_an_event_of_the_journal_s_own_kinds(journal):
    with pytest.raises(MisuseError, match=r"^an event of the kind lock-broken is the journal's own$"):
        journal.note({"kind": "lock-broken", "text": "x"})


@pytest.mark.parametrize("statement", ["DELETE FROM events", "UPDATE events SET text = 'nothing happened'"])
def test_the_audit_cannot_be_changed_even_by_sql(journal, statement):
    journal.hold({"who": "root@ops", "reason": "sale day"})
    with sqlite3.connect(journal.path) as connection, pytest.raises(sqlite3.Error, match="events are append-only"):
        connection.execute(statement)


@pytest.mark.parametrize("verb", ["read", "history", "events", "unhold", "take", "release", "break_", "request"])
def test_a_misspelled_key_is_refused_not_ignored(journal, verb):
    with pytest.raises(MisuseError, match="there is no key limmit; there are "):
        getattr(journal, verb)({"limmit": 3})
