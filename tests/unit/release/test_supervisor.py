"""Whatever a stage is stuck in, it ends in a verdict: at its deadline, at an abort, at the loss of its lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from components.stages import Kind
from scripts.release import supervisor
from scripts.release.documents import StageInput, Verdict
from scripts.release.errors import HeldError, RefusedError, StageFailedError
from scripts.release.skip import stage_of
from scripts.release.work import Work
from scripts.ssh import UnreachableError
from tests.unit.release.machines import Machines, Run

BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]
MIXED = ["a-green", "b-green", "c-blue", "d-blue"]
STOPPABLE = ("preflight", "install-1", "smoke-1", "gate", "shift-1", "install-2", "smoke-2", "shift-2", "settle")


@pytest.fixture
def run(machines: Machines, live: dict[str, str]) -> Run:
    """A release that has passed its preflight, so that it has the lock."""
    run = machines.release(live)
    assert run.to("preflight")["state"] == "passed"
    return run


@pytest.fixture
def forever() -> Iterator[Callable[[Work], str]]:
    """Work that does not end, and does not listen."""
    end = Event()

    def hang(_: Work) -> str:
        end.wait(20)
        return "done after all"

    yield hang
    end.set()


def work_of(run: Run, name: str) -> Work:
    told = StageInput.parse(run.input())
    return Work(stage_of(name, run.input()), told, int(told.figure("token", 0)))


def supervise(run: Run, name: str, action: Callable[[Work], str]) -> Verdict:
    return supervisor.supervise(work_of(run, name), action)


def within(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(supervisor, "deadline", lambda stage, plan, rows: seconds)


def failing(error: Exception) -> Callable[[Work], str]:
    def action(work: Work) -> str:
        work.figures["seen"] = 7
        raise error

    return action


def test_a_sentence_is_a_pass(run: Run) -> None:
    verdict = supervise(run, "smoke-1", lambda work: "all is well")
    assert (verdict.stage, verdict.state, verdict.reason) == ("smoke-1", "passed", "all is well")
    assert verdict.as_dict()["ok"] is True


@pytest.mark.parametrize("name", [*STOPPABLE, "rollback", "outcome"])
def test_the_deadline_is_met_though_the_work_hangs(
    run: Run, forever: Callable[[Work], str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    within(monkeypatch, 0.2)
    began = time.monotonic()
    verdict = supervise(run, name, forever)
    assert (verdict.state, verdict.reason) == ("failed", "not done after 0 s, its deadline")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("name", STOPPABLE)
def test_an_abort_is_accepted_at_once_though_the_work_hangs(
    run: Run, forever: Callable[[Work], str], machines: Machines, name: str
) -> None:
    machines.signal("abort", "wrong version")
    verdict = supervise(run, name, forever)
    assert (verdict.state, verdict.reason) == ("failed", "aborted by eve@desk: wrong version")
    assert verdict.seconds < 3


@pytest.mark.parametrize("name", ["rollback", "outcome"])
def test_an_abort_does_not_stop_what_repairs(run: Run, machines: Machines, name: str) -> None:
    machines.signal("abort")
    verdict = supervise(run, name, lambda work: work.pause(0.4) or "repaired")
    assert (verdict.state, verdict.reason) == ("passed", "repaired")


def test_work_that_listens_ends_when_it_is_stopped(run: Run, machines: Machines) -> None:
    ended = Event()

    def listening(work: Work) -> str:
        try:
            work.pause(20)
        finally:
            ended.set()
        return "never"

    machines.signal("abort")
    assert supervise(run, "gate", listening).state == "failed"
    assert ended.wait(3)


def test_a_broken_lock_stops_the_stage_and_says_who_broke_it(
    run: Run, forever: Callable[[Work], str], machines: Machines
) -> None:
    machines.journal.break_({"who": "eve@desk", "reason": "it hangs"})
    verdict = supervise(run, "install-1", forever)
    assert verdict.state == "failed"
    assert "the lock is lost: " in verdict.reason
    assert "broken by eve@desk: it hangs" in verdict.reason


def test_a_lock_that_another_has_taken_over_stops_the_stage(
    run: Run, forever: Callable[[Work], str], machines: Machines
) -> None:
    machines.now += 60
    holder = {"who": "root@other", "purpose": "release r3", "nonce": "n"}
    machines.journal.acquire({"holder": holder, "lease_seconds": 20})
    verdict = supervise(run, "install-1", forever)
    assert "taken over by root@other" in verdict.reason


def test_without_its_journal_a_release_does_not_go_on(
    run: Run, forever: Callable[[Work], str], machines: Machines
) -> None:
    machines.away.add("control")
    verdict = supervise(run, "install-1", forever)
    assert verdict.state == "failed"
    assert verdict.reason.endswith("without its journal and lock a release must not go on")


def test_a_short_absence_of_the_control_host_stops_nothing(run: Run, machines: Machines) -> None:
    def absence(work: Work) -> str:
        machines.away.add("control")
        work.pause(0.2)
        machines.away.clear()
        work.pause(0.8)
        return "all is well"

    assert supervise(run, "install-1", absence).state == "passed"


@pytest.mark.parametrize("name", ["rollback", "outcome"])
def test_what_repairs_goes_on_without_journal_and_lock(run: Run, machines: Machines, name: str) -> None:
    machines.away.add("control")
    assert supervise(run, name, lambda work: work.pause(0.8) or "repaired").state == "passed"


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (StageFailedError("it lists items: got 500", {"found": 1}), "failed", "it lists items: got 500"),
        (RefusedError("no room"), "refused", "no room"),
        (HeldError("the old version is down"), "held", "the old version is down"),
        (UnreachableError("app-a", "no SSH"), "failed", "app-a: no SSH"),
        (KeyError("servers"), "failed", "KeyError: 'servers'"),
        (StopIteration(), "failed", "StopIteration: "),
    ],
)
def test_every_error_ends_in_a_verdict_with_what_was_measured(
    run: Run, error: Exception, state: str, reason: str
) -> None:
    verdict = supervise(run, "install-1", failing(error))
    assert (verdict.state, verdict.reason, verdict.figures["seen"]) == (state, reason, 7)
    assert not verdict.as_dict()["ok"]


@pytest.mark.parametrize("name", ["smoke-1", "gate"])
def test_a_mistake_in_the_heartbeat_stops_the_stage(
    run: Run, forever: Callable[[Work], str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(supervisor, "renew", lambda *_: 1 / 0)
    within(monkeypatch, 2)
    assert "ZeroDivisionError" in supervise(run, name, forever).reason


def shift_first_half(run: Run) -> Run:
    run.to("gate")
    assert set(run.states().values()) - {"skipped"} == {"passed"}
    return run


def open_green(work: Work) -> None:
    """Move users as a shift does."""
    work.load_balancers.apply("r2-2.0.0", {"a-green": {"state": "ready"}, "b-green": {"state": "ready"}},
                              deadman_seconds=30)  # fmt: skip
    work.load_balancers.apply("r2-2.0.0", {"a-blue": {"state": "drain"}, "b-blue": {"state": "drain"}},
                              deadman_seconds=30)  # fmt: skip


def test_a_failed_shift_is_taken_back_before_its_verdict_is_out(run: Run, machines: Machines) -> None:
    def shift(work: Work) -> str:
        open_green(work)
        assert machines.everywhere() == MIXED
        raise StageFailedError("b is slow")

    verdict = supervise(shift_first_half(run), "shift-1", shift)
    assert verdict.reason == "b is slow"
    assert machines.everywhere() == BLUE
    assert verdict.figures["taken_back"] == ["lb-a", "lb-b", "lb-c", "lb-d"]


def test_a_shift_is_taken_back_in_a_later_turn_than_its_own_and_an_earlier_one_than_the_next_stage_s(
    run: Run, machines: Machines
) -> None:
    own = []

    def shift(work: Work) -> str:
        own.append(work.load_balancers.turn)
        open_green(work)
        raise StageFailedError("b is slow")

    supervise(shift_first_half(run), "shift-1", shift)
    (reverted,) = [order for host, verb, order in machines.orders if (host, verb) == ("lb-a", "revert")]
    assert own[0] < reverted["turn"] < work_of(run, "install-2").load_balancers.turn


def test_what_a_stopped_shift_sends_late_changes_nothing(run: Run, machines: Machines) -> None:
    stopped, sent = Event(), Event()
    late: list[str] = []

    def shift(work: Work) -> str:
        open_green(work)
        machines.signal("abort")
        stopped.wait(10)
        try:
            open_green(work)
        except StageFailedError as error:
            late.append(str(error))
        finally:
            sent.set()
        return "too late"

    verdict = supervise(shift_first_half(run), "shift-1", shift)
    assert machines.everywhere() == BLUE
    stopped.set()
    assert sent.wait(10)
    assert verdict.state == "failed"
    assert machines.everywhere() == BLUE
    assert "is older than" in late[0]


def test_a_shift_that_cannot_be_taken_back_says_so(run: Run, machines: Machines) -> None:
    def shift(work: Work) -> str:
        open_green(work)
        machines.down |= set(BLUE)
        raise StageFailedError("b is slow")

    verdict = supervise(shift_first_half(run), "shift-1", shift)
    assert verdict.reason == "b is slow"
    assert "of the old version is down" in verdict.figures["not_taken_back"]
    assert machines.everywhere() == MIXED


def test_a_mistake_while_taking_back_still_leaves_the_verdict(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.release.load_balancers.LoadBalancers.revert", lambda self: 1 / 0)
    verdict = supervise(shift_first_half(run), "shift-1", failing(StageFailedError("b is slow")))
    assert verdict.reason == "b is slow"
    assert "ZeroDivisionError" in verdict.figures["not_taken_back"]


@pytest.mark.parametrize("name", [name for name in STOPPABLE if not name.startswith("shift")])
def test_other_stages_take_nothing_back(run: Run, machines: Machines, name: str) -> None:
    machines.orders.clear()
    supervise(run, name, failing(StageFailedError("no")))
    assert [verb for _, verb, _ in machines.orders] == []


def test_the_timers_are_renewed_once_a_shift_has_armed_them(run: Run, machines: Machines) -> None:
    def shift(work: Work) -> str:
        open_green(work)
        work.figures["armed"] = True
        machines.orders.clear()
        while len(machines.orders) < 4:  # the stage's deadline bounds it
            work.pause(0.1)
        return "done"

    supervise(shift_first_half(run), "shift-1", shift)
    assert {(host, verb) for host, verb, _ in machines.orders} == {(f"lb-{site}", "renew") for site in "abcd"}


def test_the_timers_are_renewed_in_good_time_and_not_at_every_heartbeat(run: Run, machines: Machines) -> None:
    def smoke(work: Work) -> str:
        machines.orders.clear()
        work.pause(1.0)
        return "done"

    run.to("install-2")
    supervise(run, "smoke-2", smoke)
    assert sorted(host for host, verb, _ in machines.orders if verb == "renew") == ["lb-a", "lb-b", "lb-c", "lb-d"]


def test_before_a_shift_there_is_nothing_to_renew(run: Run, machines: Machines) -> None:
    machines.orders.clear()
    supervise(run, "smoke-1", lambda work: work.pause(0.3) or "done")
    assert machines.orders == []


def test_a_timer_that_has_fired_stops_the_stages_after_the_shift(
    run: Run, forever: Callable[[Work], str], machines: Machines
) -> None:
    assert shift_first_half(run).stage("shift-1")["state"] == "passed"
    machines.expire("lb-c")
    verdict = supervise(run, "install-2", forever)
    assert verdict.reason.startswith("a load balancer has taken the shift back: lb-c: ")


def test_kinds_that_repair_are_rollback_and_outcome() -> None:
    from scripts.release.work import is_protected

    assert {kind for kind in Kind if is_protected(kind)} == {Kind.ROLLBACK, Kind.OUTCOME}
