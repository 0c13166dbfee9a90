"""The rollback brings users back first and cleans up then; and changes nothing where that would take them down."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.release.machines import Machines, Run, Slot

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]
GREEN = ["a-green", "b-green", "c-green", "d-green"]


def failed(run: Run, stage: str, state: str = "failed") -> None:
    """Record that a stage went wrong, without anything that would have taken its changes back."""
    run.verdicts.append(
        {
            "stage": stage,
            "state": state,
            "ok": False,
            "reason": "it went wrong",
            "figures": {},
            "seconds": 0.1,
            "at": "",
        }
    )


def after(machines: Machines, live: dict[str, str] | None, stage: str, failing: str) -> Run:
    """A release whose stages went well up to one, and badly in the next."""
    run = machines.release(live)
    run.to(stage)
    assert set(run.states().values()) - {"skipped"} == {"passed"}, run.verdicts[-1]
    failed(run, failing)
    run.before("rollback")
    machines.orders.clear()
    machines.seen.clear()
    return run


def stopped(machines: Machines) -> bool:
    """Whether no new instance runs any more, and all the old ones do."""
    return all(not slots["green"].active and slots["blue"].active for slots in machines.slots.values())


def test_a_release_that_went_well_is_not_rolled_back(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live)
    run.to("settle")
    machines.seen.clear()
    verdict = run.to("rollback")
    assert (verdict["state"], verdict["reason"]) == ("skipped", "nothing failed")
    assert machines.seen == []


@pytest.mark.parametrize(
    ("stage", "failing"),
    [("preflight", "install-1"), ("install-1", "smoke-1"), ("smoke-1", "gate"), ("shift-1", "install-2"),
     ("install-2", "smoke-2"), ("shift-2", "settle")],
)  # fmt: skip
def test_wherever_a_release_fails_users_end_on_the_old_version(
    machines: Machines, live: dict[str, str], stage: str, failing: str
) -> None:
    verdict = after(machines, live, stage, failing).to("rollback")
    assert verdict["state"] == "passed", verdict
    assert verdict["reason"] == "users are on 1.0.0 again: a-blue, b-blue, c-blue and d-blue"
    assert machines.everywhere() == BLUE
    assert machines.timer() is None
    assert stopped(machines)


def test_old_is_ready_everywhere_before_new_drains_anywhere(machines: Machines, live: dict[str, str]) -> None:
    after(machines, live, "shift-2", "settle").to("rollback")
    told = [{s["state"] for s in order["servers"].values()} for _, verb, order in machines.orders if verb == "apply"]
    assert told == [{"ready"}] * 4 + [{"drain"}] * 4 + [{"maint"}] * 4


def test_users_are_back_before_an_instance_is_stopped(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "shift-1", "install-2")
    seen: list[list[str]] = []
    machines.after = lambda host, verb: seen.append(machines.everywhere()) if verb == "stop" else None
    run.to("rollback")
    assert seen == [BLUE, BLUE]


def test_where_nobody_was_moved_nothing_is_waited_for(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "install-1", "smoke-1")
    machines.down.add("c-blue")
    verdict = run.to("rollback")
    assert verdict["state"] == "passed"
    assert machines.everywhere() == BLUE
    assert stopped(machines)


def test_an_old_version_that_is_still_warm_in_the_slot_is_left_running(
    machines: Machines, live: dict[str, str]
) -> None:
    for site in "abcd":
        machines.slots[site]["green"] = Slot("0.9.0", "9" * 64, active=True)
    run = after(machines, live, "install-1", "smoke-1")
    run.to("rollback")
    assert {site: slots["green"].active for site, slots in machines.slots.items()} == {
        "a": False, "b": False, "c": True, "d": True,
    }  # fmt: skip


def one_down(machines: Machines) -> None:
    machines.down.add("b-blue")


def all_down(machines: Machines) -> None:
    for site in "abcd":
        machines.slots[site]["blue"].active = False


@pytest.mark.parametrize("trouble", [one_down, all_down])
def test_an_old_server_that_is_down_holds_everything_and_only_the_timers_end(
    machines: Machines, live: dict[str, str], trouble: Callable[[Machines], None]
) -> None:
    run = after(machines, live, "shift-2", "settle")
    trouble(machines)
    verdict = run.to("rollback")
    assert verdict["state"] == "held"
    assert "the old version is not whole (" in verdict["reason"]
    assert "b-blue is down for lb-a, lb-b, lb-c and lb-d" in verdict["reason"]
    assert "`evenkeel logs app-" in verdict["reason"]
    assert machines.everywhere() == GREEN
    assert machines.timer() is None
    assert {verb for _, verb, _ in machines.orders} == {"confirm"}
    assert not any(verb in ("stop", "start", "install") for _, verb in machines.seen)
    outcome = run.to("outcome")
    assert outcome["reason"].startswith("settle: it went wrong; the old version is not whole")
    assert machines.journal.read()["releases"][0]["state"] == "held"


def test_an_old_server_that_was_down_before_the_release_is_no_reason_to_hold(
    machines: Machines, live: dict[str, str]
) -> None:
    machines.down.add("d-blue")
    verdict = after(machines, live, "shift-2", "settle").to("rollback")
    assert verdict["state"] == "passed", verdict["reason"]
    assert machines.everywhere() == BLUE


def test_what_was_held_can_be_rolled_back_once_a_person_has_put_it_right(
    machines: Machines, live: dict[str, str]
) -> None:
    run = after(machines, live, "shift-2", "settle")
    machines.down.add("b-blue")
    assert run.to("outcome")["state"] == "failed"
    machines.down.clear()
    del run.verdicts[-2:]
    assert run.to("rollback")["state"] == "passed"
    assert machines.everywhere() == BLUE


def test_a_rollback_is_heard_after_a_timer_has_fired(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "shift-1", "install-2")
    machines.expire("lb-a", "lb-b")
    assert run.to("rollback")["state"] == "passed"
    assert machines.everywhere() == BLUE


def test_a_rollback_does_not_speak_over_a_newer_release(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "shift-1", "install-2")
    for name in machines.balancers:
        machines.order(name, "apply", {"token": 9, "turn": 0, "release": "r3", "servers": {}})
    before = machines.everywhere()
    verdict = run.to("rollback")
    assert verdict["state"] == "failed"
    assert "is older than token 9" in verdict["reason"]
    assert machines.everywhere() == before
    assert machines.slots["a"]["green"].active


def test_without_the_control_host_users_are_brought_back_all_the_same(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "shift-2", "settle")
    machines.away.add("control")
    assert run.to("rollback")["state"] == "passed"
    assert machines.everywhere() == BLUE


def test_an_instance_that_cannot_be_stopped_is_told_and_no_more(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "shift-1", "install-2")
    machines.broken["app-b", "stop"] = "it does not end"
    verdict = run.to("rollback")
    assert (verdict["state"], verdict["figures"]["not_stopped"]) == ("passed", {"b": "it does not end"})


def test_a_load_balancer_that_is_away_is_brought_back_by_its_timer(machines: Machines, live: dict[str, str]) -> None:
    run = after(machines, live, "shift-2", "settle")
    machines.away.add("lb-c")
    assert run.to("rollback")["state"] == "passed"
    assert machines.ready("lb-c") == GREEN
    machines.expire("lb-c")
    assert machines.everywhere() == BLUE


def test_halves_that_fail_while_half_is_out_are_whole_again(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live, strategy="halves")
    machines.smoke["a"] = "it lists items: expected status 200, got 500"
    assert run.to("smoke-1")["state"] == "failed"
    assert machines.everywhere() == ["c-blue", "d-blue"]
    assert run.to("rollback")["state"] == "passed"
    assert machines.everywhere() == BLUE


def test_a_first_installation_that_fails_leaves_nothing_open_and_nothing_running(machines: Machines) -> None:
    verdict = after(machines, None, "shift-1", "install-2").to("rollback")
    assert verdict["reason"] == "nothing served before this first installation, and nothing does now"
    assert machines.everywhere() == []
    assert not any(slots["blue"].active for slots in machines.slots.values())
    assert machines.timer() is None


def test_putting_right_the_slot_that_serves_has_nothing_to_go_back_to(machines: Machines) -> None:
    run = machines.release(None)
    sha256 = run.document["sha256"]
    machines.serve("2.0.0")
    for site in "abcd":
        machines.slots[site]["blue"].sha256 = sha256
    run = machines.release({"version": "2.0.0", "sha256": sha256, "slot": "blue"}, slot="blue")
    run.to("preflight")
    failed(run, "install-1")
    verdict = run.to("rollback")
    assert verdict["state"] == "held"
    assert machines.everywhere() == BLUE
    assert all(slots["blue"].active for slots in machines.slots.values())
