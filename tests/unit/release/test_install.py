"""Install and smoke: the new version beside the old one; a bad first group ends it, a bad later site is left out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts.release.turns import Turns
from tests.unit.release.machines import Machines, Run, Slot

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]
STAGES = ("install", "smoke")


def breaks(machines: Machines, stage: str, site: str) -> str:
    """Let a stage fail on a site; return why it will say it did."""
    if stage == "smoke":
        machines.smoke[site] = "it lists items: expected status 200, got 500"
        return machines.smoke[site]
    machines.broken[f"app-{site}", "start"] = "slot green is not ready after 30 s"
    return "slot green is not ready after 30 s"


def good(machines: Machines, live: dict[str, str], name: str) -> Run:
    """A release in which all went well before this stage."""
    run = machines.release(live).before(name)
    assert set(run.states().values()) - {"skipped"} == {"passed"}
    return run


def test_install_puts_the_new_version_beside_the_old_one_and_moves_nobody(
    machines: Machines, live: dict[str, str]
) -> None:
    run = good(machines, live, "install-1")
    verdict = run.stage("install-1")
    assert (verdict["state"], verdict["reason"]) == ("passed", "2.0.0 is ready on a and b")
    for site in "ab":
        assert machines.slots[site]["green"].sha256 == run.document["sha256"]
        assert machines.slots[site]["green"].active
    assert not machines.slots["c"]["green"].active
    assert all(machines.slots[site]["blue"].active for site in "abcd")
    assert machines.everywhere() == BLUE
    assert verdict["figures"]["lowest_capacity"] == 4
    assert verdict["figures"]["installed"]["a"] == {
        "changed": True, "started": True, "warm_p50_ms": 3.0, "warm_failed": 0,
    }  # fmt: skip


def test_instances_start_one_at_a_time_and_none_waits_for_long() -> None:
    turns, at_it, most = Turns(10.0), [], []

    def start(seconds: float) -> None:
        with turns.turn():
            at_it.append(1)
            most.append(len(at_it))
            time.sleep(seconds)
            at_it.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, [0.02] * 4))
    assert most == [1, 1, 1, 1]
    turns, began = Turns(seconds=0.05), time.monotonic()
    with turns.turn():  # one that never gets ready
        start(0.01)
    assert 0.05 <= time.monotonic() - began < 5
    with ThreadPoolExecutor(2) as pool:  # who came in beside it has not let others in
        most.clear()
        list(pool.map(start, [0.01] * 2))
    assert most == [1, 1]


def test_load_balancers_are_told_which_slot_has_which_version(machines: Machines, live: dict[str, str]) -> None:
    good(machines, live, "install-1").stage("install-1")
    (told,) = [order for host, verb, order in machines.orders if (host, verb) == ("lb-d", "apply")]
    assert told["versions"] == {"2.0.0": "green", "1.0.0": "blue"}
    assert told["servers"] == {}


def test_a_slot_that_runs_the_artifact_already_is_left_alone(machines: Machines, live: dict[str, str]) -> None:
    run = good(machines, live, "install-1")
    machines.slots["a"]["green"] = Slot("2.0.0", run.document["sha256"], active=True)
    machines.seen.clear()
    assert run.stage("install-1")["figures"]["installed"]["a"] == {"changed": False, "started": False}
    assert not {("app-a", "install"), ("app-a", "stop")} & set(machines.seen)
    assert "evenkeel-slot start green" in machines.lines  # and so not warmed


def test_an_older_version_in_the_slot_is_stopped_and_replaced(machines: Machines, live: dict[str, str]) -> None:
    run = good(machines, live, "install-1")
    machines.slots["a"]["green"] = Slot("0.9.0", "9" * 64, active=True)
    assert run.stage("install-1")["state"] == "passed"
    assert [verb for host, verb in machines.seen if host == "app-a" and verb in ("stop", "install", "start")] == [
        "stop", "install", "start",
    ]  # fmt: skip
    assert machines.slots["a"]["green"].sha256 == run.document["sha256"]


def test_an_artifact_that_changed_since_preflight_is_not_installed(machines: Machines, live: dict[str, str]) -> None:
    run = good(machines, live, "install-1")
    with (machines.folder / "artifacts" / "item-service-2.0.0.tar.gz").open("ab") as file:
        file.write(b"x")
    verdict = run.stage("install-1")
    assert verdict["state"] == "failed"
    assert f"not {run.document['sha256']}; pack it again" in verdict["reason"]
    assert machines.slots["a"]["green"].version is None


def test_an_instance_that_a_load_balancer_does_not_see_up_fails(machines: Machines, live: dict[str, str]) -> None:
    run = good(machines, live, "install-1")
    machines.down.add("b-green")
    reason = run.stage("install-1")["reason"]
    assert reason == "load balancers do not see the new instances up: b-green from lb-a, lb-b, lb-c and lb-d"


def test_an_old_instance_that_dies_meanwhile_fails_the_stage(machines: Machines, live: dict[str, str]) -> None:
    run = good(machines, live, "smoke-1")
    machines.down.add("d-blue")
    assert run.stage("smoke-1")["reason"] == "capacity fell from 4 application servers to 3"


@pytest.mark.parametrize("stage", STAGES)
def test_any_failure_in_the_first_group_fails_the_release(machines: Machines, live: dict[str, str], stage: str) -> None:
    why = breaks(machines, stage, "b")
    run = machines.release(live)
    verdict = run.to(f"{stage}-1")
    assert (verdict["state"], verdict["reason"]) == ("failed", f"site b: {why}")
    outcome = run.to("outcome")
    assert (outcome["state"], outcome["reason"]) == ("failed", f"{stage}-1: site b: {why}")
    assert run.states()["rollback"] == "passed"
    assert machines.everywhere() == BLUE
    assert not any(machines.slots[site]["green"].active for site in "abcd")


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_in_a_later_group_leaves_the_site_out_and_names_it(
    machines: Machines, live: dict[str, str], stage: str
) -> None:
    why = breaks(machines, stage, "d")
    run = machines.release(live)
    verdict = run.to(f"{stage}-2")
    assert (verdict["state"], verdict["figures"]["left_out"]) == ("passed", {"d": why})
    outcome = run.to("outcome")
    assert outcome["state"] == "failed"
    assert outcome["reason"] == f"2.0.0 serves, but site d is left out of the pool ({why})"
    assert machines.everywhere() == ["a-green", "b-green", "c-green"]
    record = machines.journal.read()
    assert record["releases"][0]["state"] == "partial"
    assert record["live"]["version"] == "2.0.0"


@pytest.mark.parametrize("stage", STAGES)
def test_failures_on_all_sites_of_a_later_group_fail_the_release(
    machines: Machines, live: dict[str, str], stage: str
) -> None:
    for site in "cd":
        breaks(machines, stage, site)
    run = machines.release(live)
    verdict = run.to(f"{stage}-2")
    assert verdict["state"] == "failed"
    assert verdict["reason"].startswith("site c: ")
    assert "; site d: " in verdict["reason"]
    run.to("outcome")
    assert machines.everywhere() == BLUE


def test_sites_that_are_lost_one_by_one_fail_the_release_when_none_is_left(
    machines: Machines, live: dict[str, str]
) -> None:
    breaks(machines, "install", "c")
    breaks(machines, "smoke", "d")
    run = machines.release(live)
    assert run.to("install-2")["state"] == "passed"
    assert run.to("smoke-2")["reason"] == "site d: it lists items: expected status 200, got 500"
    run.to("outcome")
    assert machines.everywhere() == BLUE


def test_an_application_server_that_is_away_is_left_out(machines: Machines, live: dict[str, str]) -> None:
    run = good(machines, live, "install-2")
    machines.away.add("app-c")
    verdict = run.stage("install-2")
    assert verdict["figures"]["left_out"] == {"c": "no SSH: no answer within 3 s"}
    assert run.to("outcome")["reason"].startswith("2.0.0 serves, but site c is left out of the pool")
    assert machines.everywhere() == ["a-green", "b-green", "d-green"]


def test_an_instance_that_was_started_again_by_itself_fails_its_smoke_test(
    machines: Machines, live: dict[str, str]
) -> None:
    run = good(machines, live, "smoke-1")
    machines.slots["a"]["green"].restarts = 2
    assert run.stage("smoke-1")["reason"] == "site a: the instance ended and was started again 2 time(s)"


def test_smoke_tells_how_many_checks_passed_and_the_slowest(machines: Machines, live: dict[str, str]) -> None:
    verdict = good(machines, live, "smoke-1").stage("smoke-1")
    assert verdict["reason"] == "all checks passed on a and b"
    assert verdict["figures"]["smoke"]["b"] == {"checks": 2, "slowest_ms": 7}
