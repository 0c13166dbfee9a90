"""Settle confirms what load balancers and users see, and nothing else."""

from __future__ import annotations

import pytest

from tests.unit.release.machines import Machines, Run, evenkeel_routing

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]
GREEN = ["a-green", "b-green", "c-green", "d-green"]


def at_settle(machines: Machines, live: dict[str, str]) -> Run:
    run = machines.release(live).before("settle")
    assert set(run.states().values()) - {"skipped"} == {"passed"}
    machines.orders.clear()
    return run


def test_it_ends_the_timers_and_says_what_is_live(machines: Machines, live: dict[str, str]) -> None:
    run = at_settle(machines, live)
    assert machines.timer() is not None
    verdict = run.stage("settle")
    assert verdict["state"] == "passed"
    assert verdict["reason"] == ("2.0.0 serves from a, b, c and d, confirmed on lb-a, lb-b, lb-c and lb-d")
    told = [order["live"]["version"] for _, verb, order in machines.orders if verb == "confirm"]
    assert told == ["2.0.0"] * 4
    assert machines.timer() is None
    machines.expire()
    assert machines.everywhere() == GREEN


def test_the_old_version_stays_warm(machines: Machines, live: dict[str, str]) -> None:
    at_settle(machines, live).stage("settle")
    assert all(slots["blue"].active for slots in machines.slots.values())


def test_users_anywhere_else_are_not_confirmed(machines: Machines, live: dict[str, str]) -> None:
    run = at_settle(machines, live)
    servers = {"d-blue": {"state": "ready"}}
    machines.order("lb-b", "apply", {"token": 1, "turn": 22, "release": "by hand", "servers": servers})
    machines.orders.clear()
    verdict = run.stage("settle")
    assert verdict["state"] == "failed"
    assert verdict["reason"].startswith("lb-b routes to a-green, b-green, c-green, d-blue and d-green instead of ")
    assert not any(verb == "confirm" for _, verb, _ in machines.orders)
    assert run.to("rollback")["state"] == "passed"
    assert machines.everywhere() == BLUE


def test_a_new_instance_that_is_down_is_not_confirmed(machines: Machines, live: dict[str, str]) -> None:
    run = at_settle(machines, live)
    machines.down.add("c-green")
    assert run.stage("settle")["reason"] == "lb-a sees c-green down"
    run.to("rollback")
    assert machines.everywhere() == BLUE


def test_a_timer_that_has_fired_fails_it(machines: Machines, live: dict[str, str]) -> None:
    run = at_settle(machines, live)
    machines.expire("lb-d")
    assert run.stage("settle")["state"] == "failed"
    assert run.to("rollback")["state"] == "passed"
    assert machines.everywhere() == BLUE


def test_a_load_balancer_that_is_away_is_named_to_the_end(machines: Machines, live: dict[str, str]) -> None:
    run = at_settle(machines, live)
    machines.away.add("lb-c")
    verdict = run.stage("settle")
    assert verdict["state"] == "passed"
    assert verdict["reason"].endswith("confirmed on lb-a, lb-b and lb-d")
    outcome = run.to("outcome")
    assert outcome["state"] == "failed"
    assert outcome["reason"] == "2.0.0 serves, but lb-c could not be reached (no SSH: no answer within 3 s)"


@pytest.mark.parametrize("stage", ["preflight", "install-1", "shift-1", "install-2", "shift-2"])
def test_a_load_balancer_that_was_away_for_one_stage_is_brought_along(
    machines: Machines, live: dict[str, str], stage: str
) -> None:
    run = machines.release(live).before(stage)
    machines.away.add("lb-c")
    assert run.stage(stage)["state"] == "passed"
    machines.away.clear()
    verdict = run.to("settle")
    assert (verdict["state"], verdict["figures"].get("back")) == ("passed", ["lb-c"])
    assert "unreachable" not in verdict["figures"]
    assert run.to("outcome")["state"] == "passed"
    assert machines.everywhere() == GREEN
    with machines.at("lb-c"):
        assert evenkeel_routing.routing()["versions"] == {"2.0.0": "green", "1.0.0": "blue"}


def test_a_runner_that_is_away_is_told_and_no_reason_to_stop(machines: Machines, live: dict[str, str]) -> None:
    run = at_settle(machines, live)
    machines.away.add("runner")
    verdict = run.stage("settle")
    assert (verdict["state"], verdict["figures"]["seen_by_users"]) == ("passed", False)


def test_users_requests_still_on_the_old_version_are_counted(machines: Machines, live: dict[str, str]) -> None:
    assert at_settle(machines, live).stage("settle")["figures"]["still_on_old"] == 0
