"""Where hosts are slow, whatever waits for them waits longer; where they are not, no host hears of it."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from scripts.release import load_balancers, undo_alone
from scripts.release.control_tables import ControlTables
from scripts.release.documents import Stack, StageInput
from scripts.release.errors import StageFailedError
from scripts.release.fleet import Fleet, login
from scripts.release.load_balancers import LoadBalancers
from scripts.release.restore import only_control
from scripts.release.skip import stage_of
from scripts.release.supervisor import supervise
from scripts.release.work import Work
from tests.unit.release.machines import Machines


@pytest.fixture
def slow(machines: Machines) -> Machines:
    """Machines that take twenty times as long."""
    machines.slowness = 20
    return machines


def said(machines: Machines, program: str) -> set[str]:
    """Return what the hosts were told that begins like this."""
    return {line for line in machines.lines if line.startswith(program)}


def test_a_release_tells_slow_hosts_so_and_keeps_its_lock_longer(slow: Machines, live: dict[str, str]) -> None:
    run = slow.release(live, slowness=20)
    run.to("preflight")
    lock = slow.journal.read()["lock"]
    assert lock["expires"] - lock["renewed"] == pytest.approx(400)
    assert run.to("outcome")["state"] == "passed"
    assert said(slow, "evenkeel-slot start") == {"evenkeel-slot start green 100 --slowness=20"}
    assert said(slow, "evenkeel-slot smoke") == {"evenkeel-slot smoke green --slowness=20"}
    assert {line.split()[1] for line in said(slow, "evenkeel-serving")} == {"300"}


def test_hosts_that_are_not_slow_hear_what_they_always_heard(machines: Machines, live: dict[str, str]) -> None:
    assert machines.release(live).to("outcome")["state"] == "passed"
    assert said(machines, "evenkeel-slot start") == {"evenkeel-slot start green 100"}
    assert said(machines, "evenkeel-slot smoke") == {"evenkeel-slot smoke green"}
    assert {line.split()[1] for line in said(machines, "evenkeel-serving")} == {"15"}
    assert "slowness" not in "".join(machines.lines)


def test_every_connection_knows_how_slow_its_host_is(slow: Machines) -> None:
    stack = Stack.parse(slow.stack())
    assert {login(stack, host).slowness for host in stack.hosts} == {20}
    assert Fleet(stack, stack.of("lb")).session("lb-a").login.slowness == 20
    control = next(host for host in slow.stack()["hosts"] if host["name"] == "control")
    assert only_control({"control": control, "deploy_key": "none", "slowness": 20}).slowness == 20
    assert only_control({"control": control, "deploy_key": "none"}).slowness == 1


def test_slow_instances_have_longer_until_load_balancers_see_them_up(
    slow: Machines, live: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(load_balancers, "patiently", lambda look, seconds: waited.append(seconds) or look())
    balancers = LoadBalancers(Stack.parse(slow.stack()), 1, 1)
    balancers.wait_until_up(["a-blue"], 15.0)
    balancers.wait_until_idle(["a-blue"], 5.0)
    assert waited == [300, 100]


def test_a_silent_holder_s_lock_is_waited_for_as_long_as_its_lease(
    slow: Machines, live: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.release.stages.preflight.LEASE_SECONDS", 0.1)
    holder = {"who": "root@other", "purpose": "release r1-1.5.0", "version": "1.5.0", "nonce": "other"}
    slow.journal.acquire({"holder": holder, "lease_seconds": 0.8})
    assert slow.release(live, slowness=20).to("preflight")["state"] == "passed"


def test_a_journal_that_is_away_ends_a_release_on_slow_hosts_later(slow: Machines, live: dict[str, str]) -> None:
    run = slow.release(live, slowness=20)
    run.to("preflight")
    told = StageInput.parse(run.input())
    work = Work(stage_of("smoke-1", run.input()), told, int(told.figure("token")))
    slow.away.add("control")

    def act(_: Work) -> str:
        time.sleep(1.2)  # more than twice the lease that hosts have which are not slow
        return "done"

    assert supervise(work, act).reason == "done"


@pytest.mark.parametrize(("slowness", "killed", "waits"), [(1, 180, 185), (20, 3600, 3700)])
def test_work_on_tables_is_ended_on_the_host_after_as_long_as_it_is_waited_for(
    machines: Machines, slowness: int, killed: int, waits: int
) -> None:
    machines.slowness = slowness
    machines.lines.clear()
    data = {"release": "r2", "tables": [], "created": [], "mirror": "trigger", "keyspace": "evenkeel"}
    with suppress(StageFailedError, KeyError):  # what the database of the tests makes of it is not asked here
        ControlTables(Stack.parse(machines.stack()), data).create()
    (line,) = [line for line in machines.lines if "scripts.tables create" in line]
    assert f"flock --wait {waits} " in line
    assert f"timeout -s KILL {killed} python3" in line


def test_without_the_journal_the_timers_wait_as_long_as_slow_hosts_need(slow: Machines, live: dict[str, str]) -> None:
    stack = Stack.parse(slow.stack())
    slow.serve("2.0.0", "green")
    undo_alone.go(stack, undo_alone.plan(stack, None))
    armed = [order["deadman"]["seconds"] for _, verb, order in slow.orders if verb == "apply"]
    assert set(armed) == {600}
