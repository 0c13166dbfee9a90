"""Machines fail in the middle of a release: users keep a whole service, and the outcome says what is not.

Slow, so it runs only with EVENKEEL_THOROUGH=1; what users saw is printed for the notes (pytest -s).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from scripts.experiment.load.attack import Load, LoadTest
from scripts.experiment.load.figures import Report
from scripts.inventory import Role
from tests.system.deployer import Deployment, Ended, again, configure, journal, release
from tests.system.running import RunningStack, container_of, wait_for
from tests.system.test_release import assert_one_version, routing, serving

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it"),
]

RATE = 50
OLD, NEW = "1.0.0", "2.0.0"


@pytest.fixture(autouse=True)
def _old_version(stack: RunningStack) -> Iterator[None]:
    """Begin with the old version serving from a whole stack, and leave no host stopped."""
    ended = release(OLD)
    assert ended.status == 0, ended.said[-3000:]
    yield
    for host in stack.inventory.hosts:
        if not is_up(container_of(host)):
            stack.start(host.name)
    wait_for("every host answers", lambda: all(stack.on(host.name, "true").ok for host in stack.inventory.hosts), 120)


def is_up(container: str) -> bool:
    """Tell whether a host's machine runs."""
    done = subprocess.run(
        ["podman", "inspect", "--format", "{{.State.Running}}", container],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() == "true"


def during(stack: RunningStack, stage: str, act: Callable[[], None], rate: int = RATE) -> tuple[Ended, Report]:
    """Release the new version under load and do something when a stage begins; return what happened."""

    def meanwhile(deployment: Deployment) -> None:
        deployment.wait_for_stage(stage)
        act()

    with LoadTest(stack.inventory, Load(rate=rate)) as test:
        ended = release(NEW, during=meanwhile)
    report = test.report
    print(f"\n{stage}: {report.requests} requests, {report.failed} failed {report.reasons()}, {ended.last_words}")
    return ended, report


def put_right(stack: RunningStack, host: str, version: str = NEW) -> None:
    """Start a host again and finish the release."""
    stack.start(host)
    wait_for(f"{host} answers", lambda: stack.on(host, "true").ok, 90)
    wait_for("all load balancers see four up", lambda: whole(stack), 90)
    configure(version=version)
    ended = again()
    assert ended.status == 0, ended.said[-3000:]
    assert_one_version(stack, version)


def whole(stack: RunningStack) -> bool:
    """Tell whether every load balancer answers users."""
    return bool(serving(stack))


def test_haproxy_restarted_in_the_middle_routes_as_before(stack: RunningStack) -> None:
    def restart() -> None:
        stack.on("lb-b", "systemctl restart haproxy")

    ended, _ = during(stack, "install-2", restart)
    assert ended.status == 0, ended.said[-3000:]
    assert_one_version(stack, NEW)


def test_a_load_balancer_that_is_lost_is_named_and_put_right_later(stack: RunningStack) -> None:
    ended, report = during(stack, "install-1", lambda: stack.stop("lb-b"))
    assert ended.status != 0
    assert "lb-b could not be reached" in ended.last_words
    assert set(report.by_version) <= {OLD, NEW}
    assert len({tuple(ready) for ready in routing_without(stack, "lb-b").values()}) == 1
    put_right(stack, "lb-b")


def routing_without(stack: RunningStack, lost: str) -> dict[str, list[str]]:
    """Return what the other load balancers route."""
    found = {}
    for host in stack.of(Role.LOAD_BALANCER):
        if host.name != lost:
            servers = json.loads(stack.on(host.name, "evenkeel-traffic state").stdout)["servers"]
            found[host.name] = sorted(name for name, facts in servers.items() if facts["state"] == "ready")
    return found


def test_a_lost_application_server_of_the_second_half_is_left_out(stack: RunningStack) -> None:
    ended, _ = during(stack, "install-2", lambda: stack.stop("app-c"))
    assert ended.status != 0
    assert "site c is left out of the pool" in ended.last_words
    assert set(serving(stack)) == {NEW}
    assert all("c-" not in " ".join(ready) for ready in routing(stack).values())
    put_right(stack, "app-c")


def test_a_lost_application_server_of_the_first_half_ends_the_release(stack: RunningStack) -> None:
    ended, _ = during(stack, "install-1", lambda: stack.stop("app-a"))
    assert ended.status != 0
    assert "site a" in ended.last_words
    assert set(serving(stack)) == {OLD}
    put_right(stack, "app-a")


def test_without_its_control_host_a_release_ends_in_one_version_and_says_what_is_missing(stack: RunningStack) -> None:
    ended, report = during(stack, "install-1", lambda: stack.stop("control"))
    assert report.failed == 0, report.reasons()
    assert ended.status != 0
    assert "control: no SSH" in ended.said
    assert_one_version(stack, OLD if "rolled back" in ended.last_words else NEW)  # by how soon it would have been done
    put_right(stack, "control")


def test_a_stage_that_hangs_ends_by_its_deadline(stack: RunningStack) -> None:
    def hang() -> None:
        line = "for i in $(seq 600); do pkill -STOP -f 'evenkeel-slot (start|install)' && exit 0; sleep 0.05; done"
        stack.on("app-a", line, check=False)

    ended, report = during(stack, "install-1", hang, rate=20)
    assert ended.status != 0
    assert "install-1: " in ended.last_words
    assert ended.seconds < 240
    assert report.failed == 0, report.reasons()
    stack.on("app-a", "pkill -CONT -f evenkeel-slot; true", check=False)
    assert set(serving(stack)) == {OLD}


def test_with_the_old_version_dead_the_guard_holds_and_changes_nothing(stack: RunningStack) -> None:
    before = journal(stack.inventory).read()["live"]["slot"]
    stack_old = f"a-{before}"

    def act() -> None:
        stack.on("app-a", f"systemctl stop app@{before}")
        time.sleep(3)
        journal(stack.inventory).signal("abort", "tester@here", "to see the guard")

    ended, report = during(stack, "install-2", act)
    assert ended.status != 0
    assert "held" in ended.last_words
    assert f"{stack_old} is down" in ended.last_words
    held = routing(stack)
    assert all(stack_old not in ready and len(ready) == 4 for ready in held.values())  # users are not sent to the dead
    time.sleep(5)
    assert routing(stack) == held  # nothing is changed later either, not even by the timers
    assert report.failed == 0, report.reasons()
    stack.on("app-a", f"systemctl start app@{before}")
    wait_for("the old instance is up", lambda: up_everywhere(stack, stack_old), 30)
    finished = again()
    assert finished.status == 0, finished.said[-3000:]
    assert_one_version(stack, NEW)


def up_everywhere(stack: RunningStack, server: str) -> bool:
    """Tell whether every load balancer sees a server up."""
    states = (json.loads(stack.on(host.name, "evenkeel-traffic state").stdout) for host in stack.of(Role.LOAD_BALANCER))
    return all(state["servers"][server]["up"] for state in states)
