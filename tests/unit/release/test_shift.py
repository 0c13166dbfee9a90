"""A shift moves users without a gap: new ready everywhere before old drains anywhere, timed, agreed, whole."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.unit.release.machines import Machines, Run

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]
GREEN = ["a-green", "b-green", "c-green", "d-green"]
MIXED = ["a-green", "b-green", "c-blue", "d-blue"]


def at_shift(machines: Machines, live: dict[str, str] | None, name: str = "shift-1", **plan: object) -> Run:
    run = machines.release(live, **plan).before(name)
    assert set(run.states().values()) - {"skipped"} <= {"passed"}, run.verdicts
    machines.orders.clear()
    return run


def opened_and_closed(machines: Machines) -> tuple[list[int], list[int]]:
    """Where in the sequence of all orders servers were opened, and where they were drained."""
    told = [order["servers"] for _, verb, order in machines.orders if verb == "apply"]
    opening = [number for number, servers in enumerate(told) if "ready" in {s["state"] for s in servers.values()}]
    closing = [number for number, servers in enumerate(told) if "drain" in {s["state"] for s in servers.values()}]
    return opening, closing


@pytest.mark.parametrize("name", ["shift-1", "shift-2"])
def test_new_is_ready_on_every_load_balancer_before_old_drains_on_any(
    machines: Machines, live: dict[str, str], name: str
) -> None:
    run = at_shift(machines, live, name)
    assert run.to(name)["state"] == "passed"
    opening, closing = opened_and_closed(machines)
    assert (len(opening), len(closing)) == (4, 4)
    assert max(opening) < min(closing)


def weights_told(machines: Machines, server: str) -> list[int]:
    """The weights that lb-a was told for a server, in turn."""
    told = [order["servers"].get(server) for host, verb, order in machines.orders if (host, verb) == ("lb-a", "apply")]
    return [one["weight"] for one in told if one and one["state"] == "ready"]


def crowd(machines: Machines, rate: int) -> None:
    """Have each of the four load balancers say that its users asked so often a second."""
    machines.logged = {name: {"requests": rate * 5 // 4, "errors": 0, "times_ms": []} for name in BLUE}


@pytest.mark.parametrize(("name", "new"), [("shift-1", "b-green"), ("shift-2", "d-green")])
def test_users_come_to_a_cold_instance_by_and_by_while_every_old_one_is_open(
    machines: Machines, live: dict[str, str], name: str, new: str
) -> None:
    run = at_shift(machines, live, name)
    crowd(machines, 20)
    before = machines.everywhere()
    seen = []
    machines.after = lambda host, verb: (
        seen.append(machines.ready("lb-a")) if (host, verb) == ("lb-a", "apply") else None
    )
    assert run.to(name)["state"] == "passed"
    assert weights_told(machines, new)[:3] == [10, 33, 100]
    assert set(before) <= set.intersection(*map(set, seen[:3]))


@pytest.mark.parametrize("strategy", ["bluegreen", "halves"])
def test_few_users_come_at_once_and_so_they_do_with_halves(
    machines: Machines, live: dict[str, str], strategy: str
) -> None:
    run = at_shift(machines, live, strategy=strategy)
    crowd(machines, 19 if strategy == "bluegreen" else 200)
    assert run.to("shift-1")["state"] == "passed"
    assert weights_told(machines, "b-green") == [100]


def test_an_instance_that_was_warm_already_gets_its_users_at_once(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    crowd(machines, 200)
    for verdict in run.verdicts:
        for answer in verdict["figures"].get("installed", {}).values():
            answer["started"] = False
    assert run.to("shift-1")["state"] == "passed"
    assert weights_told(machines, "b-green") == [100]


def test_an_instance_that_dies_while_users_come_to_it_fails_the_shift_which_is_taken_back(
    machines: Machines, live: dict[str, str]
) -> None:
    run = at_shift(machines, live)
    crowd(machines, 200)

    def die(host: str, verb: str) -> None:
        if (host, verb) == ("lb-d", "apply"):
            machines.down.add("b-green")

    machines.after = die
    assert run.to("shift-1")["state"] == "failed"
    assert machines.everywhere() == BLUE
    run.to("outcome")
    assert machines.everywhere() == BLUE


def test_halves_move_users_from_one_half_to_the_other(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live, strategy="halves")
    assert machines.everywhere() == ["c-blue", "d-blue"]
    assert run.to("shift-1")["state"] == "passed"
    opening, closing = opened_and_closed(machines)
    assert max(opening) < min(closing)
    assert machines.everywhere() == ["a-green", "b-green"]
    assert run.to("outcome")["state"] == "passed"
    assert machines.everywhere() == GREEN


def test_rolling_moves_site_after_site_and_keeps_the_capacity(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live, groups=[["a"], ["b"], ["c"], ["d"]], strategy="rolling")
    seen = []
    for group in range(1, 5):
        assert run.to(f"shift-{group}")["figures"]["lowest_capacity"] == 4
        seen.append(machines.everywhere())
    assert seen == [
        ["a-green", "b-blue", "c-blue", "d-blue"],
        MIXED,
        ["a-green", "b-green", "c-green", "d-blue"],
        GREEN,
    ]
    assert run.to("outcome")["state"] == "passed"


def test_every_order_that_moves_users_is_timed_and_fenced(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    run.to("shift-1")
    told = [order for _, verb, order in machines.orders if verb == "apply"]
    assert all(order["deadman"] == {"seconds": 30} for order in told)
    assert {(order["token"], order["turn"]) for order in told} == {(1, 16)}
    assert (machines.timer() or {})["release"] == "r2-2.0.0"
    assert run.verdicts[-1]["figures"]["armed"] is True


def test_a_deployer_that_dies_after_a_shift_leaves_everything_as_before(
    machines: Machines, live: dict[str, str]
) -> None:
    at_shift(machines, live, "shift-2").to("shift-2")
    assert machines.everywhere() == GREEN
    machines.expire()
    assert machines.everywhere() == BLUE


def test_the_verdict_says_who_gets_users_and_how_many_serve(machines: Machines, live: dict[str, str]) -> None:
    verdict = at_shift(machines, live).to("shift-1")
    assert verdict["reason"] == "users are on 2.0.0 on a and b"
    assert verdict["figures"]["routed"] == MIXED
    assert (verdict["figures"]["capacity"], verdict["figures"]["lowest_capacity"]) == (4, 4)


def test_new_instances_that_are_down_get_no_users(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    machines.down.add("b-green")
    verdict = run.to("shift-1")
    assert (verdict["state"], verdict["reason"]) == ("failed", "the new instances b-green are not up any more")
    assert machines.applied() == []
    assert machines.everywhere() == BLUE


def test_capacity_that_falls_fails_the_shift_which_is_taken_back(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)

    def die(host: str, verb: str) -> None:
        if (host, verb) == ("lb-d", "apply"):
            machines.down.add("a-green")

    machines.after = die
    verdict = run.to("shift-1")
    assert (verdict["state"], verdict["reason"]) == ("failed", "capacity fell from 4 application servers to 3")
    assert verdict["figures"]["taken_back"] == ["lb-a", "lb-b", "lb-c", "lb-d"]
    assert machines.everywhere() == BLUE


def test_load_balancers_that_differ_fail_the_shift(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    servers = {"d-green": {"state": "ready"}}
    machines.order("lb-c", "apply", {"token": 1, "turn": 9, "release": "by hand", "servers": servers})
    verdict = run.to("shift-1")
    assert (verdict["state"], verdict["reason"]) == ("failed", "load balancers route differently: lb-c")
    assert machines.ready("lb-a") == BLUE


def test_one_load_balancer_that_is_away_is_named_and_the_others_go_on(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    machines.away.add("lb-c")
    verdict = run.to("shift-1")
    assert verdict["state"] == "passed"
    assert verdict["figures"]["unreachable"] == {"lb-c": "no SSH: no answer within 3 s"}
    assert {name: machines.ready(name) for name in ("lb-a", "lb-b", "lb-c", "lb-d")} == {
        "lb-a": MIXED, "lb-b": MIXED, "lb-c": BLUE, "lb-d": MIXED,
    }  # fmt: skip


def test_a_haproxy_that_restarts_meanwhile_is_waited_for(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    machines.balancers["lb-c"].silent_until = time.monotonic() + 0.4
    verdict = run.to("shift-1")
    assert verdict["state"] == "passed"
    assert "unreachable" not in verdict["figures"]
    assert machines.everywhere() == MIXED


def test_a_haproxy_that_is_gone_is_named_and_the_others_go_on(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    machines.balancers["lb-c"].silent_until = time.monotonic() + 60
    verdict = run.to("shift-1")
    assert verdict["state"] == "passed"
    assert verdict["figures"]["unreachable"] == {"lb-c": "its HAProxy does not answer"}
    assert machines.ready("lb-a") == MIXED


def test_a_load_balancer_that_comes_back_gets_what_it_missed(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live)
    machines.away.add("lb-c")
    run.to("smoke-2")
    machines.away.clear()
    assert run.to("shift-2")["state"] == "passed"
    assert machines.everywhere() == GREEN


def test_a_first_installation_has_nothing_to_drain(machines: Machines) -> None:
    run = at_shift(machines, None)
    assert run.to("shift-1")["state"] == "passed"
    assert machines.everywhere() == ["a-blue", "b-blue"]


def test_putting_right_the_slot_that_serves_closes_nothing(machines: Machines) -> None:
    run = machines.release(None)
    sha256 = run.document["sha256"]
    live = {"version": "2.0.0", "sha256": sha256, "slot": "blue"}
    machines.serve("2.0.0", sites=["a", "b", "c"])
    for site in "abc":
        machines.slots[site]["blue"].sha256 = sha256
    run = machines.release(live, slot="blue", id="r3-2.0.0", number=3)
    assert run.to("shift-1")["state"] == "passed", run.verdicts[-1]
    assert machines.everywhere() == ["a-blue", "b-blue", "c-blue"]
    assert run.to("outcome")["state"] == "passed", run.verdicts
    assert machines.everywhere() == BLUE
    assert not any("drain" in states.values() for states in machines.applied())


# --- canary -----------------------------------------------------------------------------------------------------------


def traffic(errors: int = 0, requests: int = 400) -> dict[str, dict[str, object]]:
    """What load balancers logged: the new version with so many errors, the old one without."""
    good: dict[str, object] = {"requests": requests, "errors": 0, "times_ms": [5.0] * requests}
    return {"a-blue": good, "a-green": {**good, "errors": errors}}


def weights(machines: Machines) -> list[dict[str, int]]:
    """The weights that lb-a was told, order by order."""
    told = [order["servers"] for name, verb, order in machines.orders if (name, verb) == ("lb-a", "apply")]
    return [{server: facts["weight"] for server, facts in servers.items() if "weight" in facts} for servers in told]


def test_a_canary_raises_the_share_step_by_step_while_all_old_ones_serve(
    machines: Machines, live: dict[str, str]
) -> None:
    run = at_shift(machines, live, strategy="canary")
    machines.logged = traffic()
    verdict = run.to("shift-1")
    assert verdict["state"] == "passed", verdict
    first, second, *_ = machines.applied()
    assert first == second == dict.fromkeys([*BLUE, "a-green", "b-green"], "ready")
    shares = [sum(w for name, w in told.items() if "green" in name) / sum(told.values()) for told in weights(machines)]
    assert [round(share, 2) for share in shares[:2]] == [0.05, 0.50]
    assert list(verdict["figures"]["canary"]) == ["5", "50"]
    assert machines.everywhere() == MIXED


def test_after_a_canary_all_servers_that_stay_weigh_the_same(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live, strategy="canary")
    run.document["plan"]["canary"]["steps"] = [90]
    machines.logged = traffic()
    assert run.to("shift-1")["state"] == "passed"
    for balancer in machines.balancers.values():
        assert {balancer.weights[name] for name in MIXED} == {100}


def test_a_canary_that_fails_is_taken_back_at_its_first_bad_step(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live, strategy="canary")
    machines.logged = traffic(errors=40)
    verdict = run.to("shift-1")
    assert verdict["state"] == "failed"
    assert verdict["reason"].startswith("canary at 5 %: the new version fails in 10.0% of its requests")
    assert list(verdict["figures"]["canary"]) == ["5"]
    assert machines.everywhere() == BLUE
    for balancer in machines.balancers.values():
        assert {balancer.weights[name] for name in BLUE} == {100}


def test_too_few_requests_never_pass_a_canary(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live, strategy="canary")
    machines.logged = traffic(requests=1)
    verdict = run.to("shift-1")
    assert verdict["state"] == "failed"
    assert "of the 10 requests it takes" in verdict["reason"]
    assert machines.everywhere() == BLUE


def test_a_canary_s_step_is_watched_for_its_whole_bake(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live, strategy="canary")
    run.document["plan"]["canary"] |= {"steps": [5], "bake_seconds": 0.6}
    machines.logged = traffic()
    assert run.to("shift-1")["seconds"] >= 0.6


def test_an_abort_between_a_canary_s_steps_takes_it_back_for_good(machines: Machines, live: dict[str, str]) -> None:
    run = at_shift(machines, live, strategy="canary")
    machines.logged = traffic()
    run.document["plan"]["canary"]["bake_seconds"] = 10

    def abort(host: str, verb: str) -> None:
        if verb == "samples" and machines.seen.count((host, verb)) == 1 and host == "lb-a":
            machines.signal("abort", "enough")

    machines.after = abort
    verdict = run.to("shift-1")
    assert (verdict["state"], verdict["reason"]) == ("failed", "aborted by eve@desk: enough")
    assert verdict["seconds"] < 5
    assert machines.everywhere() == BLUE


@pytest.mark.parametrize(("more", "name"), [({"revert": True}, "shift-1"), ({}, "shift-2")])
def test_neither_a_way_back_nor_a_later_group_is_a_canary(
    machines: Machines, live: dict[str, str], more: dict[str, object], name: str
) -> None:
    machines.logged = traffic()
    run = at_shift(machines, live, name, strategy="canary", **more)
    machines.seen.clear()
    verdict = run.to(name)
    assert verdict["state"] == "passed"
    assert "canary" not in verdict["figures"]
    # Each is asked once whether users are many; a canary asks again and again.
    asked = sorted(host for host, verb in machines.seen if verb == "samples")
    assert asked == ["lb-a", "lb-b", "lb-c", "lb-d"]


def test_turns_rise_from_stage_to_stage(machines: Machines, live: dict[str, str]) -> None:
    machines.release(live).to("outcome")
    turns = [order["turn"] for host, verb, order in machines.orders if host == "lb-a" and verb == "apply"]
    assert all(before <= after for before, after in pairwise(turns))
    assert len(set(turns)) == 4
