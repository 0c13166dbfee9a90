"""Preflight refuses a release that must not begin, in one sentence, and has then changed nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest

from components.window import DAYS
from tests.unit.release.machines import Machines, Run, Slot

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]


def refused(run: Run) -> str:
    """Run preflight, which must refuse and change nothing; return its reason."""
    machines = run.machines
    before = {name: machines.ready(name) for name in machines.balancers}
    verdict = run.to("preflight")
    assert verdict["state"] == "refused", verdict
    assert {name: machines.ready(name) for name in machines.balancers} == before
    assert machines.orders == []
    assert not any(verb in ("install", "start", "stop") for _, verb in machines.seen)
    assert "\n" not in verdict["reason"]
    return str(verdict["reason"])


def hold_lock(machines: Machines, lease: float = 20) -> int:
    """Let somebody else have the lock; return its token."""
    holder = {"who": "root@other", "purpose": "release r1-1.5.0", "version": "1.5.0", "nonce": "other"}
    return int(machines.journal.acquire({"holder": holder, "lease_seconds": lease})["token"])


def lock(machines: Machines) -> dict[str, Any] | None:
    found: dict[str, Any] | None = machines.journal.read()["lock"]
    return found


def closed_window() -> str:
    """A window that is not open today, in any zone."""
    return f"{DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]} 09:00-10:00"


def test_it_takes_the_lock_begins_and_says_what_it_found(machines: Machines, live: dict[str, str]) -> None:
    verdict = machines.release(live).to("preflight")
    assert (verdict["state"], verdict["reason"]) == ("passed", "1.0.0 -> 2.0.0 into slot green, lock 1")
    figures = verdict["figures"]
    assert (figures["capacity_before"], figures["routing_before"], figures["token"]) == (4, BLUE, 1)
    assert machines.orders == []
    known = machines.journal.read()
    assert known["current"]["id"] == "r2-2.0.0"
    assert known["lock"]["purpose"].startswith("release r2-2.0.0, pid ")


def test_a_live_holder_is_named_at_once_and_the_lock_stays_his(
    machines: Machines, live: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.release.stages.preflight.LEASE_SECONDS", 20.0)
    token = hold_lock(machines)
    alive = True

    def beats() -> None:
        while alive:
            machines.journal.beat({"token": token, "lease_seconds": 20})
            time.sleep(0.01)

    thread = Thread(target=beats)
    thread.start()
    began = time.monotonic()
    try:
        reason = refused(machines.release(live))
    finally:
        alive = False
        thread.join()
    assert time.monotonic() - began < 10
    assert reason.startswith("the lock is held by root@other since ")
    assert "for release r1-1.5.0 (1.5.0), renewed " in reason
    assert reason.endswith("wait for it, or `evenkeel lock break --reason WHY`")
    assert (lock(machines) or {})["token"] == token


def test_a_live_holder_is_waited_for_as_long_as_asked(machines: Machines, live: dict[str, str]) -> None:
    token = hold_lock(machines)
    machines.after = lambda host, verb: (
        machines.journal.release({"token": token}) if machines.seen.count(("control", "acquire")) == 4 else None
    )
    verdict = machines.release(live, lock_wait_seconds=10).to("preflight")
    assert (verdict["state"], verdict["figures"]["token"]) == ("passed", token + 1)


@pytest.mark.parametrize(
    ("became", "said"),
    [
        ({"version": "0.9.0", "sha256": "9" * 64, "slot": "green"}, "meanwhile 0.9.0 has become live"),
        (None, "meanwhile release r7-3.0.0 has begun"),
    ],
)
def test_who_was_overtaken_while_waiting_for_the_lock_moves_nobody(
    machines: Machines, live: dict[str, str], became: dict[str, str] | None, said: str
) -> None:
    token = hold_lock(machines)

    def another(host: str, verb: str) -> None:
        if machines.seen.count(("control", "acquire")) == 2 and verb == "acquire":
            other = machines.release(live, number=7, id="r7-3.0.0").document
            machines.journal.begin({"release": other, "token": token})
            state = "succeeded" if became else "rolled-back"
            machines.journal.finish({"id": "r7-3.0.0", "state": state, "reason": "x", "live": became or live})
            machines.journal.release({"token": token})

    machines.after = another
    reason = refused(machines.release(live, lock_wait_seconds=10))
    assert reason == f"{said}; run `pulumi up` again"
    assert lock(machines) is None


def test_a_silent_holder_s_lock_is_taken_over_when_its_lease_ends(machines: Machines, live: dict[str, str]) -> None:
    token = hold_lock(machines, lease=0.2)
    verdict = machines.release(live).to("preflight")
    assert (verdict["state"], verdict["figures"]["token"]) == ("passed", token + 1)
    assert machines.seen.count(("control", "acquire")) > 1


def test_a_silent_holder_whose_lease_does_not_end_is_not_waited_for_forever(
    machines: Machines, live: dict[str, str]
) -> None:
    hold_lock(machines, lease=60)
    assert "the lock is held by root@other" in refused(machines.release(live))


def test_outside_the_window_no_release_begins(machines: Machines, live: dict[str, str]) -> None:
    window = closed_window()
    reason = refused(machines.release(live, window=window))
    assert reason == f"releases may start only in the window {window}; wait, or change `window`"
    assert lock(machines) is None


def test_the_way_back_is_open_outside_the_window(machines: Machines, live: dict[str, str]) -> None:
    assert machines.release(live, window=closed_window(), revert=True).to("preflight")["state"] == "passed"


def test_a_release_that_has_begun_in_its_window_goes_on_outside(machines: Machines, live: dict[str, str]) -> None:
    machines.release(live).to("preflight")
    machines.now += 60
    assert machines.release(live, window=closed_window()).to("preflight")["state"] == "passed"


def test_on_hold_no_release_begins_and_the_lock_is_given_back(machines: Machines, live: dict[str, str]) -> None:
    machines.journal.hold({"who": "eve@desk", "reason": "the fair is on"})
    reason = refused(machines.release(live))
    assert "on hold by eve@desk" in reason
    assert "the fair is on" in reason
    assert lock(machines) is None
    assert machines.journal.read()["releases"] == []


def test_an_artifact_that_has_changed_is_refused(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live)
    run.document["sha256"] = "0" * 64
    assert "item-service-2.0.0.tar.gz has changed since this release began; run it again" in refused(run)


def test_an_artifact_that_is_not_what_its_sidecar_says_is_refused(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live)
    with (machines.folder / "artifacts" / "item-service-2.0.0.tar.gz").open("ab") as file:
        file.write(b"x")
    assert "sha256" in refused(run)


def test_two_versions_that_do_not_fit_are_refused_with_the_sum(machines: Machines, live: dict[str, str]) -> None:
    machines.slots["b"]["blue"].memory_mb = 150
    reason = refused(machines.release(live, app_memory_mb=280))
    assert reason == "both versions need 150 + 100 MiB, app-b has 280 MiB; raise sizes.app.memoryMb"
    known = machines.journal.read()
    assert (known["lock"], known["current"]) == (None, None)


def test_two_versions_that_just_fit_are_let_in(machines: Machines, live: dict[str, str]) -> None:
    assert machines.release(live, app_memory_mb=232).to("preflight")["state"] == "passed"


def test_an_application_server_of_the_first_group_must_answer(machines: Machines, live: dict[str, str]) -> None:
    machines.away.add("app-b")
    assert refused(machines.release(live)).startswith("the application server of site b: no SSH")


def test_a_load_balancer_that_is_away_is_named_and_no_reason_to_refuse(
    machines: Machines, live: dict[str, str]
) -> None:
    machines.away.add("lb-c")
    verdict = machines.release(live).to("preflight")
    assert verdict["state"] == "passed"
    assert list(verdict["figures"]["unreachable"]) == ["lb-c"]


def test_without_any_load_balancer_nothing_begins(machines: Machines, live: dict[str, str]) -> None:
    machines.away |= set(machines.balancers)
    assert refused(machines.release(live)).startswith("no load balancer can be reached: lb-a, lb-b, lb-c and lb-d")


def test_without_the_control_host_nothing_begins(machines: Machines, live: dict[str, str]) -> None:
    machines.away.add("control")
    assert refused(machines.release(live)) == "control: no SSH: no answer within 3 s"


@pytest.mark.parametrize("verb", ["acquire", "begin"])
def test_a_journal_that_cannot_be_used_is_refused_and_not_rolled_back(
    machines: Machines, live: dict[str, str], verb: str
) -> None:
    machines.broken["control", verb] = "the journal cannot be used: disk I/O error"
    run = machines.release(live)
    assert "disk I/O error" in refused(run)
    assert lock(machines) is None
    run.to("outcome")
    assert machines.orders == []
    assert run.states()["rollback"] == "skipped"


def test_a_journal_that_has_forgotten_what_load_balancers_have_heard_is_refused(
    machines: Machines, live: dict[str, str]
) -> None:
    machines.order("lb-b", "apply", {"token": 7, "turn": 1, "release": "r1", "servers": {}})
    machines.orders.clear()
    assert "have heard lock 7, but the journal gives out 1" in refused(machines.release(live))
    assert lock(machines) is None


def test_an_old_version_that_does_not_serve_is_nothing_to_fall_back_to(
    machines: Machines, live: dict[str, str]
) -> None:
    machines.down |= set(BLUE)
    assert refused(machines.release(live)).startswith("the old version does not serve, so there is nothing to fall")


def astray(machines: Machines) -> Run:
    """A release that was killed when users were on the new instances of its first half."""
    for site in "ab":
        machines.slots[site]["green"] = Slot("2.0.0", "2", active=True)
    servers = {f"{site}-green": {"state": "ready"} for site in "ab"}
    servers |= {f"{site}-blue": {"state": "drain"} for site in "ab"}
    for name in machines.balancers:
        machines.order(name, "apply", {"token": 0, "turn": 3, "release": "r1-1.5.0", "servers": servers})
    machines.orders.clear()
    previous = {"version": "1.0.0", "sha256": str(machines.slots["a"]["blue"].sha256), "slot": "blue"}
    return machines.release(previous)


def test_users_that_a_killed_release_left_on_the_slot_are_taken_back_first(
    machines: Machines, live: dict[str, str]
) -> None:
    verdict = astray(machines).to("preflight")
    assert verdict["state"] == "passed"
    assert verdict["figures"]["recovered"] == ["a-green", "b-green"]
    assert verdict["figures"]["routing_before"] == BLUE
    assert machines.everywhere() == BLUE
    first, second = machines.applied()
    assert first == dict.fromkeys(BLUE, "ready")
    assert second == {"a-green": "drain", "b-green": "drain"}


def test_a_site_that_was_left_out_is_not_opened_when_users_are_taken_back(
    machines: Machines, live: dict[str, str]
) -> None:
    for balancer in machines.balancers.values():
        balancer.states["d-blue"] = "maint"
    for name in machines.balancers:
        machines.order(
            name, "apply", {"token": 0, "turn": 1, "release": "r0", "servers": {"d-blue": {"state": "maint"}}}
        )
    assert astray(machines).to("preflight")["state"] == "passed"
    assert machines.everywhere() == ["a-blue", "b-blue", "c-blue"]


def test_users_are_not_taken_back_to_an_old_version_that_is_down(machines: Machines, live: dict[str, str]) -> None:
    run = astray(machines)
    machines.down |= {"a-blue", "b-blue"}
    reason = refused(run)
    assert "a-blue and b-blue" in reason
    assert "a-green and b-green" in reason


def test_what_is_refused_is_not_rolled_back_and_the_outcome_fails(machines: Machines, live: dict[str, str]) -> None:
    machines.journal.hold({"who": "eve@desk", "reason": "the fair is on"})
    run = machines.release(live)
    verdict = run.to("outcome")
    assert set(run.states().values()) == {"refused", "skipped", "failed"}
    assert run.states()["rollback"] == "skipped"
    assert verdict["reason"].startswith("preflight: releases are on hold by eve@desk")


def test_a_preflight_that_is_stopped_before_it_begins_is_refused(
    machines: Machines, live: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.release.supervisor.deadline", lambda stage, plan, rows: 0.3)
    hold_lock(machines, lease=60)
    run = machines.release(live, lock_wait_seconds=20)
    assert refused(run) == "not done after 0 s, its deadline"
    run.to("outcome")
    assert run.states()["rollback"] == "skipped"
    assert (lock(machines) or {})["who"] == "root@other"
