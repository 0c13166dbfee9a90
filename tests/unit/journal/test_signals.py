"""Signals: abort is heard in every stage, an answer only while a gate waits."""

import re

import pytest

from scripts.journal.store import MisuseError, Refused

from .conftest import verdict


def send(journal, kind, **more):
    return journal.signal({"kind": kind, "who": "root@ops", "reason": "because", **more})


def heard(journal):
    answer = journal.beat({"token": 1, "lease_seconds": 20, "release": "r7-2.0.0"})
    return [signal["kind"] for signal in answer["signals"]]


@pytest.mark.parametrize("kind", ["abort", "confirm", "reject"])
def test_a_signal_needs_a_release_in_progress(journal, kind):
    with pytest.raises(Refused, match=r"^no release is in progress$"):
        send(journal, kind)


def test_a_signal_for_another_release_than_the_running_one_is_refused(running):
    running.start(1, 8, "3.0.0")
    with pytest.raises(Refused) as refusal:
        send(running, "abort", id="r7-2.0.0")
    assert str(refusal.value) == "release r7-2.0.0 is not in progress (superseded); r8-3.0.0 is"
    with pytest.raises(Refused, match=r"^there is no release r1; r8-3.0.0 is in progress$"):
        send(running, "abort", id="r1")
    assert send(running, "abort", id="r8-3.0.0") == {"release": "r8-3.0.0"}


@pytest.mark.parametrize("stage", ["preflight", "install-1", "gate", "shift-1", "settle"])
def test_abort_is_heard_in_every_stage(running, stage):
    running.beat({"token": 1, "lease_seconds": 20, "release": "r7-2.0.0", "stage": stage})
    assert send(running, "abort") == {"release": "r7-2.0.0"}
    assert heard(running) == ["abort"]
    assert running.texts()[-1] == "root@ops aborted r7-2.0.0: because"


@pytest.mark.parametrize("kind", ["confirm", "reject"])
def test_an_answer_before_the_gate_waits_is_refused_with_where_the_release_is(running, kind):
    with pytest.raises(Refused, match=r"^release r7-2.0.0 does not wait for an answer: it has just begun$"):
        send(running, kind)
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("install-1")})
    with pytest.raises(Refused, match=re.escape("an answer: its last stage was install-1 (passed)")):
        send(running, kind)
    running.beat({"token": 1, "lease_seconds": 20, "release": "r7-2.0.0", "stage": "smoke-1"})
    with pytest.raises(Refused, match=r"an answer: it is in the stage smoke-1$"):
        send(running, kind)
    assert heard(running) == []


@pytest.mark.parametrize("kind", ["confirm", "reject"])
def test_an_answer_is_heard_while_the_gate_waits_and_no_more_after_its_verdict(running, kind):
    running.waiting({"id": "r7-2.0.0", "gate": "person", "until": running.clock() + 3600})
    send(running, kind)
    assert heard(running) == [kind]
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("gate")})
    other = {"confirm": "reject", "reject": "confirm"}[kind]
    with pytest.raises(Refused):
        send(running, other)
    assert running.read()["current"]["waiting"] is None


def test_an_answer_after_the_gate_is_refused(running):
    running.waiting({"id": "r7-2.0.0", "gate": "time"})
    running.verdict({"id": "r7-2.0.0", "verdict": verdict("gate")})
    with pytest.raises(Refused, match=re.escape("does not wait for an answer: its last stage was gate (passed)")):
        send(running, "reject")


def test_the_first_answer_counts(running):
    running.waiting({"id": "r7-2.0.0", "gate": "person"})
    send(running, "confirm")
    send(running, "confirm")
    assert heard(running) == ["confirm"]
    with pytest.raises(Refused) as refusal:
        send(running, "reject")
    assert str(refusal.value) == (
        "release r7-2.0.0 was confirmed by root@ops at 12:00:00 UTC already; `evenkeel abort` still stops it"
    )
    send(running, "abort")
    assert heard(running) == ["confirm", "abort"]


def test_an_aborted_release_is_not_confirmed(running):
    running.waiting({"id": "r7-2.0.0", "gate": "person"})
    send(running, "abort")
    with pytest.raises(Refused, match=r"^release r7-2.0.0 was aborted by root@ops at 12:00:00 UTC already$"):
        send(running, "confirm")


def test_a_gate_that_waits_is_one_event_however_often_it_says_so(running):
    for _ in range(3):
        running.waiting({"id": "r7-2.0.0", "gate": "person", "until": running.clock() + 60})
    assert running.kinds().count("gate") == 1
    assert running.texts()[-1] == (
        "release r7-2.0.0 waits for a person (`evenkeel confirm` or `evenkeel reject`), "
        "until 12:01:00 UTC at the latest"
    )


def test_a_signal_or_gate_of_no_known_kind_is_refused(running):
    with pytest.raises(MisuseError, match="kind is 'stop'; it must be one of abort, confirm, reject"):
        send(running, "stop")
    with pytest.raises(MisuseError, match="gate is 'moon'; it must be one of person, time"):
        running.waiting({"id": "r7-2.0.0", "gate": "moon"})
