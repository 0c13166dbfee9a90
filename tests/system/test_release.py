"""A release moves users to another version without one of them noticing, and takes them back when it is bad."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.experiment.capacity import CapacityWatch
from scripts.experiment.deployer import pack
from scripts.experiment.load.attack import Load, LoadTest
from scripts.experiment.load.retries import find_retries
from scripts.inventory import Role
from scripts.ssh.finding import folder_for
from tests.system.deployer import Deployment, again, configure, journal, release
from tests.system.running import RunningStack, make, pulumi, wait_for

pytestmark = pytest.mark.system

FIRST = "1.0.0"
# EVENKEEL_THOROUGH=1 tries every stage and every broken version, at the load that the figures in docs are for.
THOROUGH = os.environ.get("EVENKEEL_THOROUGH") == "1"
RATE = 100 if THOROUGH else 30
STAGES = (
    *("preflight", "install-1", "smoke-1", "gate", "shift-1"),
    *("install-2", "smoke-2", "shift-2", "settle", "rollback", "outcome"),
)
ABORTED = STAGES[1:-2] if THOROUGH else ("shift-2",)
KILLED = STAGES if THOROUGH else ("shift-1", "rollback")
BROKEN = {
    "9.1.0": ("install-1", "this version is broken on purpose: it will not start"),
    "9.2.0": ("smoke-1", "expected status 200, got 500"),
    "9.3.0": ("smoke-1", "ms"),
    "9.5.0": ("smoke-1", ""),
}


@pytest.fixture(scope="module", autouse=True)
def _first_version(stack: RunningStack) -> Iterator[None]:
    """Begin with the first version serving, and leave it so."""
    back_to_first()
    yield
    configure(strategy="", gate="", canaryBakeSeconds="", canaryMinRequests="")
    back_to_first()


def back_to_first() -> None:
    """Have the first version serve."""
    ended = release(FIRST)
    assert ended.status == 0, ended.said[-3000:]


def routing(stack: RunningStack) -> dict[str, list[str]]:
    """Return the servers that users are sent to, by load balancer."""
    found = {}
    for host in stack.of(Role.LOAD_BALANCER):
        servers = json.loads(stack.on(host.name, "evenkeel-traffic state").stdout)["servers"]
        found[host.name] = sorted(name for name, facts in servers.items() if facts["state"] == "ready")
    return found


def serving(stack: RunningStack) -> set[str]:
    """Return the versions that users get through every load balancer."""
    return {
        str(stack.ask("GET", "/version", host.address).headers["x-version"])
        for host in stack.of(Role.LOAD_BALANCER)
        for _ in range(4)
    }


def assert_one_version(stack: RunningStack, version: str) -> None:
    """Every load balancer sends users to the same four instances, and all of them are this version."""
    answers = list(routing(stack).values())
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 4
    assert serving(stack) == {version}


def test_a_good_version_takes_over_and_no_request_fails(stack: RunningStack) -> None:
    began = time.time()
    with CapacityWatch(stack.inventory, 600) as watch, LoadTest(stack.inventory, Load(rate=RATE)) as test:
        ended = release("2.0.0")
    assert ended.status == 0, ended.said[-3000:]
    assert test.report.failed == 0, test.report.reasons()
    assert {count for _, count in watch.samples} == {4}, watch.problems
    retries, why = find_retries(stack.inventory, test.name, began, len(test.report.all))
    assert retries is not None, why
    assert retries.duplicates == 0
    assert set(test.report.by_version) == {FIRST, "2.0.0"}
    assert_one_version(stack, "2.0.0")
    newest = journal(stack.inventory).history(1)[0]
    capacities = [verdict["figures"].get("lowest_capacity", 4) for verdict in newest["stages"]]
    assert set(capacities) == {4}
    assert {verdict["state"] for verdict in newest["stages"]} == {"passed", "skipped"}


def test_the_same_version_again_changes_nothing(stack: RunningStack) -> None:
    ended = again()
    assert ended.status == 0
    assert "unchanged" in ended.said
    assert "replaced" not in ended.said


def test_a_preview_of_a_release_lists_its_stages_in_order_and_touches_nothing(stack: RunningStack) -> None:
    before = routing(stack), journal(stack.inventory).read()["releases"]
    configure(version="3.0.0")
    make("preview")  # packs the artifact
    done = pulumi("preview", "--json")
    configure(version="2.0.0")
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout[done.stdout.index("{") :])["steps"]
    stages = [
        step["urn"].rpartition("::release-")[2] for step in steps if step["op"] != "same" and "release-" in step["urn"]
    ]
    assert list(dict.fromkeys(stages)) == [
        *("preflight", "tables", "backfill", "verify"),
        *("install-1", "smoke-1", "gate", "freeze", "shift-1", "install-2", "smoke-2", "shift-2"),
        *("settle", "rollback", "outcome"),
    ]
    assert (routing(stack), journal(stack.inventory).read()["releases"]) == before


@pytest.mark.parametrize("version", BROKEN if THOROUGH else ["9.2.0"])
def test_a_broken_version_reaches_no_user(stack: RunningStack, version: str) -> None:
    stage, reason = BROKEN[version]
    with LoadTest(stack.inventory, Load(rate=RATE)) as test:
        ended = release(version)
    assert ended.status != 0
    assert f"{stage}: " in ended.last_words
    assert reason in ended.last_words
    assert "serving: 2.0.0" in ended.last_words
    assert test.report.failed == 0, test.report.reasons()
    assert set(test.report.by_version) == {"2.0.0"}
    assert_one_version(stack, "2.0.0")


def test_after_a_failed_release_the_old_version_set_again_is_no_change(stack: RunningStack) -> None:
    configure(version="2.0.0")
    ended = again()
    assert ended.status == 0
    assert "replaced" not in ended.said


def test_a_canary_finds_errors_that_smoke_checks_miss(stack: RunningStack) -> None:
    configure(strategy="canary", canaryBakeSeconds="20", canaryMinRequests="50")
    with LoadTest(stack.inventory, Load(rate=60)) as test:
        ended = release("9.4.0")
    configure(strategy="", canaryBakeSeconds="", canaryMinRequests="")
    assert ended.status != 0
    assert "shift-1: canary at" in ended.last_words
    # What failed is what the canary let through: errors of the new version and nothing else.
    assert {failure.status for failure in test.report.failures} <= {500}
    assert all(failure.versions == ["9.4.0"] for failure in test.report.failures)
    assert test.report.failed < 30
    assert_one_version(stack, "2.0.0")


def test_a_person_may_say_no_at_the_gate(stack: RunningStack) -> None:
    """To a version that has not served yet: a way back waits for nobody."""
    configure(gate="person")

    def say_no(deployment: Deployment) -> None:
        deployment.wait_for("evenkeel confirm")
        journal(stack.inventory).signal("reject", "tester@here", "not on a Friday")

    try:
        ended = release("3.0.0", during=say_no)
    finally:
        configure(gate="")
    assert ended.status != 0
    assert "rejected by tester@here: not on a Friday" in ended.last_words
    assert_one_version(stack, "2.0.0")


def test_two_updates_at_once_are_one_release(stack: RunningStack) -> None:
    """The second is Pulumi's to refuse, by its own lock; a second clone meets the release's (test_release_lock)."""
    configure(version="3.0.0")
    with Deployment() as first:
        first.wait_for_stage("install-1")
        second = pulumi("up", "--yes", "--skip-preview")
        ended = first.end()
    assert second.returncode != 0
    assert "lock" in second.stdout + second.stderr
    assert ended.status == 0, ended.said[-3000:]
    assert_one_version(stack, "3.0.0")


@pytest.mark.parametrize("stage", ABORTED)
def test_an_abort_is_obeyed_at_once(stack: RunningStack, stage: str) -> None:
    def abort(deployment: Deployment) -> None:
        deployment.wait_for_stage(stage)
        journal(stack.inventory).signal("abort", "tester@here", "changed my mind")

    with LoadTest(stack.inventory, Load(rate=RATE)) as test:
        ended = release("2.0.0", during=abort)
    assert ended.status != 0
    assert "aborted by tester@here: changed my mind" in ended.last_words
    assert test.report.failed == 0, test.report.reasons()
    assert_one_version(stack, "3.0.0")


@pytest.mark.parametrize("stage", KILLED)
def test_a_deployer_killed_at_a_stage_leaves_a_service_that_the_next_update_makes_whole(
    stack: RunningStack, stage: str
) -> None:
    (before,) = serving(stack)
    wanted = "2.0.0" if before == "3.0.0" else "3.0.0"
    pack(wanted)
    configure(version="9.2.0" if stage == "rollback" else wanted)
    with LoadTest(stack.inventory, Load(rate=RATE)) as test:
        with Deployment() as deployment:
            deployment.wait_for_stage(stage)
            deployment.kill()
        ended = again()
    assert test.report.failed == 0, test.report.reasons()
    assert (ended.status == 0) == (stage != "rollback"), ended.said[-3000:]
    assert set(test.report.by_version) <= {before, wanted}
    assert_one_version(stack, before if stage == "rollback" else wanted)


def test_the_process_that_keeps_the_stages_connections_may_be_killed(stack: RunningStack) -> None:
    (before,) = serving(stack)
    wanted = "2.0.0" if before == "3.0.0" else "3.0.0"
    folder = folder_for(stack.inventory.login(stack.inventory.host("control")).private_key)
    killed = []

    def kill(deployment: Deployment) -> None:
        for stage in ("install-1", "install-2", "settle"):
            deployment.wait_for_stage(stage)
            time.sleep(0.5)
            (master,) = masters(folder)
            os.kill(master, signal.SIGKILL)
            killed.append(master)

    with LoadTest(stack.inventory, Load(rate=RATE)) as test:
        ended = release(wanted, during=kill)
    assert ended.status == 0, ended.said[-3000:]
    assert len(set(killed)) == 3
    assert test.report.failed == 0, test.report.reasons()
    assert_one_version(stack, wanted)
    wait_for("nobody keeps a connection after a release", lambda: not masters(folder), 10)


def masters(folder: Path) -> list[int]:
    """Return the processes that keep connections in this folder."""
    command = ["pgrep", "-f", f"scripts.ssh.master {folder}$"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


@pytest.mark.skipif(not THOROUGH, reason="EVENKEEL_THOROUGH=1 runs it")
def test_a_deployer_that_never_comes_back_leaves_users_where_they_were(stack: RunningStack) -> None:
    (before,) = serving(stack)
    wanted = "2.0.0" if before == "3.0.0" else "3.0.0"
    configure(version=wanted)
    with LoadTest(stack.inventory, Load(rate=RATE)) as test:
        with Deployment() as deployment:
            deployment.wait_for_stage("install-2")  # half of the users have been moved
            deployment.kill()
        time.sleep(40)
        assert_one_version(stack, before)
    assert test.report.failed == 0, test.report.reasons()
    ended = again()
    assert ended.status == 0, ended.said[-3000:]
    assert_one_version(stack, wanted)


@pytest.mark.skipif(not THOROUGH, reason="EVENKEEL_THOROUGH=1 runs it")
def test_a_version_that_crashes_after_a_minute_is_found_while_it_is_watched(stack: RunningStack) -> None:
    (before,) = serving(stack)
    configure(bakeSeconds="90")
    with LoadTest(stack.inventory, Load(rate=RATE)) as test:
        ended = release("9.6.0")
    configure(bakeSeconds="")
    assert ended.status != 0
    assert "gate: the new instance of site" in ended.last_words
    assert test.report.failed == 0, test.report.reasons()
    assert_one_version(stack, before)


def test_an_artifact_with_a_wrong_checksum_is_refused_before_anything_is_touched(stack: RunningStack) -> None:
    before, known = routing(stack), journal(stack.inventory).read()["releases"]
    ended = release("9.7.0")
    assert ended.status != 0
    assert "sha256" in ended.said
    assert (routing(stack), journal(stack.inventory).read()["releases"]) == (before, known)
