"""What configured URLs are told, in which order, and what happens when they do not listen."""

import time

import pytest

from scripts.journal.store import Store
from scripts.webhook.config import Target
from scripts.webhook.memory import Memory
from scripts.webhook.notifier import KINDS, Notifier, Pace
from scripts.webhook.signature import SIGNATURE_HEADER, Signed, check_signature

from .service import KEY, Receiver, send, webhook

QUICK = Pace(poll=0.02, first_wait=0.02, longest_wait=0.05)


class Log(Store):
    """A journal whose test writes events of any kind."""

    def tell(self, kind, text=""):
        from scripts.journal.transaction import Transaction

        return self._do(lambda act, asked: {"n": Transaction.event(act, kind, text, "r1")}, {})["n"]


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "journal.sqlite")
    log.tell("started", "long ago")
    return log


@pytest.fixture
def follow(log):
    """Start a notifier; all are stopped in the end."""
    begun = []

    def start(receiver, pace=QUICK):
        memory = Memory(log.path)
        notifier = Notifier(Target(receiver.url), KEY, memory, log, pace)
        notifier.start()
        begun.append(notifier)
        wait(lambda: memory.delivered(notifier.target.fingerprint) is not None)
        return notifier

    yield start
    for notifier in begun:
        notifier.stop()


@pytest.fixture
def receiver():
    receivers = []

    def make(*statuses, open_gate=True):
        receivers.append(Receiver(*statuses, open_gate=open_gate))
        return receivers[-1]

    yield make
    for one in receivers:
        one.close()


def wait(condition, seconds=8.0):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.01)


def kinds(receiver):
    return [document["kind"] for document, _, _ in receiver.told]


def test_a_url_is_told_of_what_happens_from_now_on_in_order_and_signed(log, follow, receiver):
    one = receiver()
    follow(one)
    for kind in ("started", "stage", "gate", "signal", "succeeded", "partial", "rolled-back", "failed", "held"):
        log.tell(kind, f"it is {kind}")
    wait(lambda: len(one.told) == len(KINDS))
    assert kinds(one) == list(KINDS)
    document, headers, body = one.told[0]
    assert (document["text"], document["release"]) == ("it is started", "r1")
    named = {name.lower(): value for name, value in headers.items()}
    signed = Signed(*(named[f"x-evenkeel-{part}"] for part in ("id", "timestamp", "signature")))
    check_signature(KEY, signed, body)
    assert SIGNATURE_HEADER.lower() in named


def test_an_event_is_tried_again_before_the_next_has_its_turn(log, follow, receiver):
    one = receiver(500, 404, 302)
    follow(one)
    log.tell("started")
    log.tell("succeeded")
    wait(lambda: len(one.told) == 2)
    assert kinds(one) == ["started", "succeeded"]
    assert one.attempts == 5


def test_after_a_restart_a_url_is_told_of_what_it_missed_and_of_nothing_twice(log, follow, receiver):
    one = receiver()
    notifier = follow(one)
    log.tell("started")
    wait(lambda: len(one.told) == 1)
    wait(lambda: Memory(log.path).delivered(notifier.target.fingerprint) == 2)
    notifier.stop()
    notifier.join(5)
    log.tell("failed")
    follow(one)
    wait(lambda: len(one.told) == 2)
    assert kinds(one) == ["started", "failed"]


def test_a_url_that_hangs_holds_back_neither_another_nor_the_webhook(log, follow, receiver):
    hangs, listens = receiver(open_gate=False), receiver()
    follow(hangs)
    follow(listens)
    log.tell("started")
    log.tell("succeeded")
    wait(lambda: kinds(listens) == ["started", "succeeded"], 3)
    with webhook(log.path) as port:
        assert send(port, "/release", {"version": "2.0.0"})[0] == 202
    assert hangs.told == []


def test_a_url_that_never_listens_is_given_up_and_the_journal_says_so_without_its_path(log, follow, receiver):
    one = receiver(500)
    follow(one, Pace(poll=0.02, first_wait=0.02, longest_wait=0.05, give_up=0.0))
    log.tell("started")
    log.tell("held")
    wait(lambda: kinds(one) == ["held"])
    notes = [event for event in log.events({})["events"] if event["kind"] == "notify-failed"]
    assert ["the answer is 500" in event["text"] for event in notes] == [True]
    assert "secret" not in str(notes)
