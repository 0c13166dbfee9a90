"""Load balancers are asked through one program a connection; whatever becomes of it, an order is carried out."""

from __future__ import annotations

import json
from threading import Event, Thread
from typing import Any

import pytest

from scripts.release.traffic import Traffic
from scripts.release.turns import Turns
from scripts.ssh import Command, CommandError, DeadlineError, Dialogue, Login, Result, Session, UnreachableError


class Host(Session):
    """A connection to a load balancer: counts the programs that are started there."""

    def __init__(self) -> None:
        self.login = Login("lb-a", "", "", "")
        self.started: list[str] = []
        self.answers: list[Any] = []  # what the listener does with each line; without one it answers well

    def run(self, command: Command, stdin: str | bytes = b"", *, timeout: float = 0, check: bool = True) -> Result:
        self.started.append(" ".join(command))
        return Result(json.dumps({"by": "itself"}), "", 0)

    def converse(self, command: Command) -> Dialogue:
        self.started.append(" ".join(command))
        return Listener(self)


class Listener(Dialogue):
    def __init__(self, host: Host) -> None:
        self.of = host

    def ask(self, line: str, timeout: float) -> str:
        answer = self.of.answers.pop(0) if self.of.answers else json.dumps({"status": 0, "answer": json.loads(line)})
        if isinstance(answer, Event):
            answer.wait(10)
            return json.dumps({"status": 0, "answer": "late"})
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def close(self) -> None:
        pass


def test_one_program_is_started_for_all_that_is_asked() -> None:
    host, traffic = Host(), Traffic(Turns(1.0))
    assert traffic.ask(host, "state", None) == {"verb": "state", "order": None}
    assert traffic.ask(host, "apply", {"token": 1}) == {"verb": "apply", "order": {"token": 1}}
    assert host.started == ["evenkeel-traffic listen"]


def test_a_refusal_carries_the_programs_status_and_sentence_and_the_next_order_is_heard() -> None:
    host, traffic = Host(), Traffic(Turns(1.0))
    host.answers = [json.dumps({"status": 4, "said": "evenkeel-traffic on lb-a: token 1 is older"})]
    with pytest.raises(CommandError, match="evenkeel-traffic on lb-a: token 1 is older") as refused:
        traffic.ask(host, "apply", {})
    assert refused.value.result.exit_status == 4
    traffic.ask(host, "state", None)
    assert host.started == ["evenkeel-traffic listen"]


@pytest.mark.parametrize("broken", [UnreachableError("lb-a", "the program has ended"), "no JSON"])
def test_where_the_one_that_listens_has_ended_another_carries_the_order_out(broken: Any) -> None:
    host, traffic = Host(), Traffic(Turns(1.0))
    host.answers = [broken]
    assert traffic.ask(host, "apply", {}) == {"by": "itself"}
    traffic.ask(host, "state", None)
    assert host.started == ["evenkeel-traffic listen", "evenkeel-traffic apply", "evenkeel-traffic listen"]


def test_an_order_that_is_not_answered_in_time_is_not_given_twice() -> None:
    host, traffic = Host(), Traffic(Turns(1.0))
    host.answers = [DeadlineError("lb-a", "no answer after 20 s")]
    with pytest.raises(DeadlineError):
        traffic.ask(host, "apply", {})
    assert host.started == ["evenkeel-traffic listen"]


def test_who_finds_it_busy_does_not_wait() -> None:
    host, traffic, hangs = Host(), Traffic(Turns(1.0)), Event()
    host.answers = [hangs]
    first = Thread(target=traffic.ask, args=(host, "apply", {}))
    first.start()
    while host.answers:
        pass
    assert traffic.ask(host, "renew", {}) == {"by": "itself"}
    hangs.set()
    first.join()


def test_over_a_new_connection_it_is_started_anew() -> None:
    first, second, traffic = Host(), Host(), Traffic(Turns(1.0))
    traffic.ask(first, "state", None)
    traffic.ask(second, "state", None)
    assert second.started == ["evenkeel-traffic listen"]
