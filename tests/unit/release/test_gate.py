"""A gate passes, fails, or has no answer in time; silence is a no, and so is an instance that dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from tests.unit.release.machines import Machines, Run

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]


def at_gate(machines: Machines, live: dict[str, str], **plan: Any) -> Run:
    run = machines.release(live, **plan).before("gate")
    assert set(run.states().values()) - {"skipped"} == {"passed"}
    return run


def when_it_waits(machines: Machines, action: Callable[[], None]) -> None:
    """Do something once the gate has told the journal that it waits."""
    machines.after = lambda host, verb: action() if verb == "waiting" else None


def test_no_gate_is_passed_at_once(machines: Machines, live: dict[str, str]) -> None:
    verdict = at_gate(machines, live).stage("gate")
    assert (verdict["state"], verdict["reason"]) == ("passed", "none is asked for")


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [("confirm", "passed", "confirmed by eve@desk"), ("reject", "failed", "rejected by eve@desk: it looks odd")],
)
def test_a_person_s_answer_counts(machines: Machines, live: dict[str, str], kind: str, state: str, reason: str) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=20)
    when_it_waits(machines, lambda: machines.signal(kind, "it looks odd"))
    verdict = run.stage("gate")
    assert (verdict["state"], verdict["reason"]) == (state, reason)
    assert verdict["seconds"] < 5
    assert machines.journal.read()["current"]["waiting"] is None


def test_silence_is_a_no(machines: Machines, live: dict[str, str]) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=1)
    verdict = run.stage("gate")
    assert (verdict["state"], verdict["reason"]) == ("failed", "nobody answered within 1 s, which counts as a no")
    assert run.to("outcome")["reason"].startswith("gate: nobody answered")
    assert machines.everywhere() == BLUE


def test_people_see_how_long_the_gate_waits(machines: Machines, live: dict[str, str]) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=20)
    seen: list[Any] = []

    def look() -> None:
        seen.append(machines.journal.read()["current"]["waiting"])
        machines.signal("confirm")

    when_it_waits(machines, look)
    run.stage("gate")
    assert seen[0]["gate"] == "person"
    assert 0 < seen[0]["until"] - machines.journal.read()["now"] <= 20


def test_an_abort_ends_the_gate_at_once(machines: Machines, live: dict[str, str]) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=20)
    when_it_waits(machines, lambda: machines.signal("abort", "not today"))
    verdict = run.stage("gate")
    assert (verdict["state"], verdict["reason"]) == ("failed", "aborted by eve@desk: not today")
    assert verdict["seconds"] < 5


def test_a_time_gate_passes_when_its_time_is_over(machines: Machines, live: dict[str, str]) -> None:
    verdict = at_gate(machines, live, gate="time", gate_seconds=1).stage("gate")
    assert (verdict["state"], verdict["reason"]) == ("passed", "1 s have passed, the new instances stayed well")
    assert verdict["seconds"] >= 1


def test_a_bake_is_waited_for_before_a_person_is_asked(machines: Machines, live: dict[str, str]) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=20, bake_seconds=1)
    when_it_waits(machines, lambda: machines.signal("confirm"))
    verdict = run.stage("gate")
    assert (verdict["state"], verdict["reason"]) == ("passed", "confirmed by eve@desk")
    assert verdict["seconds"] >= 1


def test_a_bake_alone_is_a_gate(machines: Machines, live: dict[str, str]) -> None:
    assert at_gate(machines, live, bake_seconds=1).stage("gate")["reason"] == "the new instances stayed well for 1 s"


def test_the_way_back_waits_for_nothing(machines: Machines, live: dict[str, str]) -> None:
    verdict = at_gate(machines, live, gate="person", gate_seconds=20, bake_seconds=20, revert=True).stage("gate")
    assert (verdict["state"], verdict["reason"]) == ("passed", "a way back waits for nothing")


def dies(machines: Machines) -> None:
    machines.slots["b"]["green"].active = False


def restarts(machines: Machines) -> None:
    machines.slots["b"]["green"].restarts = 1


def sinks(machines: Machines) -> None:
    machines.down.add("b-green")


def vanishes(machines: Machines) -> None:
    machines.away.add("app-b")


@pytest.mark.parametrize("plan", [{"bake_seconds": 20}, {"gate": "time", "gate_seconds": 20},
                                  {"gate": "person", "gate_seconds": 20}])  # fmt: skip
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (dies, "the new instance of site b ended by itself"),
        (restarts, "the new instance of site b ended by itself"),
        (sinks, "load balancers see b-green down"),
        (vanishes, "site b: no SSH: no answer within 3 s"),
    ],
)
def test_a_new_instance_that_is_not_well_ends_the_waiting(
    machines: Machines, live: dict[str, str], plan: dict[str, Any], trouble: Callable[[Machines], None], reason: str
) -> None:
    run = at_gate(machines, live, **plan)

    def later(host: str, verb: str) -> None:
        if machines.seen.count(("lb-a", "state")) > looked + 2:
            trouble(machines)

    looked = machines.seen.count(("lb-a", "state"))
    machines.after = later
    verdict = run.stage("gate")
    assert verdict["state"] == "failed"
    # Whoever looks first says so: the application server itself or a load balancer.
    assert reason in verdict["reason"] or verdict["reason"] == "load balancers see b-green down"
    assert verdict["seconds"] < 10


def test_a_gate_without_a_journal_to_wait_in_fails(machines: Machines, live: dict[str, str]) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=20)
    machines.broken["control", "waiting"] = "the journal cannot be used"
    assert run.stage("gate")["state"] == "failed"


def test_an_answer_that_came_before_an_interruption_still_counts(machines: Machines, live: dict[str, str]) -> None:
    run = at_gate(machines, live, gate="person", gate_seconds=20)
    machines.journal.waiting({"id": "r2-2.0.0", "gate": "person"})
    Thread(target=machines.signal, args=("confirm",)).run()
    assert run.stage("gate")["reason"] == "confirmed by eve@desk"
