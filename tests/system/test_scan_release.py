"""A release that changes the data without a mirror loses no write: writes wait, for as long as was said, and no longer.

Each test begins with 1.0.0 alone on its table. After a success nothing leads back, so the stack is made anew.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from scripts.experiment.deployer import pack
from scripts.experiment.writes import Where, WriteTest
from scripts.inventory import Role
from tests.system.deployer import Deployment, again, configure, journal, release
from tests.system.running import RunningStack, wait_for
from tests.system.test_data_release import (
    BROKEN,
    FIRST,
    RENAMED,
    SECOND,
    back_to_first,
    evenkeel,
    first_place,
    hold,
    live_tables,
    make_first_again,
    mirrors,
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it: minutes long"),
]

RATE, ROWS, MOST_SECONDS = 50, 5_000, 120
FREEZING = "writes wait from now on"


@pytest.fixture(autouse=True)
def _scan(stack: RunningStack) -> Iterator[None]:
    """Begin with 1.0.0 alone and `mirror: scan`; whatever a test leaves, the next one can begin again."""
    back_to_first(stack)
    configure(mirror="scan", freezeSeconds=str(MOST_SECONDS), backfillPace="none")
    yield
    configure(mirror="", freezeSeconds="", backfillPace="")
    if (journal(stack.inventory).read()["live"] or {}).get("version") != FIRST:
        make_first_again(stack)


def write_test(stack: RunningStack) -> WriteTest:
    """Clients that write until the block is over."""
    return WriteTest(stack.inventory, rate=RATE, rows=ROWS, seconds=3600, first=first_place(stack))


def frozen(stack: RunningStack) -> list[str]:
    """The load balancers on which writes wait."""
    states = {host.name: stack.on(host.name, "evenkeel-traffic state").stdout for host in stack.of(Role.LOAD_BALANCER)}
    return [name for name, said in states.items() if '"frozen": true' in said]


def new_place(stack: RunningStack) -> Where:
    """Where 4.0.0, which is live, keeps its items."""
    return Where(live_tables(stack)["item"], RENAMED)


def test_it_succeeds_writes_wait_as_long_as_was_said_and_there_is_no_way_back(stack: RunningStack) -> None:
    with write_test(stack) as test:
        ended = release(SECOND)
        time.sleep(5)
    assert ended.status == 0, ended.said[-3000:]
    stages = {one["stage"]: one["figures"] for one in journal(stack.inventory).history(1)[0]["stages"]}
    waited, expected = stages["settle"]["frozen_seconds"], stages["preflight"]["freeze_expected"]
    print(f"expected {expected} s, waited {waited} s; clients: {test.summary}", file=sys.stderr)
    assert 0 < waited < MOST_SECONDS and test.summary["told_to_wait"] > 0
    assert frozen(stack) == [] and mirrors(stack) == set()
    hold(test, [new_place(stack)])
    test.close()
    undone = evenkeel("undo", FIRST, "--yes")
    assert undone.returncode == 1 and "going back would lose what was written" in undone.stderr
    refused = release(FIRST)
    assert refused.status != 0 and "going back would lose what was written" in refused.said
    configure(version=SECOND)
    done = evenkeel("retire", "--yes")
    assert done.returncode == 0, done.stderr


def test_a_version_that_fails_its_checks_has_no_write_wait(stack: RunningStack) -> None:
    where = first_place(stack)
    with write_test(stack) as test:
        ended = release(BROKEN)
    assert ended.status != 0 and "smoke-1" in ended.last_words
    assert test.summary["told_to_wait"] == 0 and journal(stack.inventory).read()["pairs"] == []
    hold(test, [where])
    test.close()


def test_an_abort_in_the_freeze_lets_writes_through_to_the_old_table(stack: RunningStack) -> None:
    def abort(deployment: Deployment) -> None:
        deployment.wait_for(FREEZING)
        assert evenkeel("abort", "--reason", "a test").returncode == 0

    where = first_place(stack)
    with write_test(stack) as test:
        ended = release(SECOND, during=abort)
        time.sleep(3)
    assert ended.status != 0 and frozen(stack) == [], ended.last_words
    hold(test, [where])
    test.close()


def test_a_deployer_killed_in_the_freeze_keeps_no_write_waiting_and_the_next_goes_through(stack: RunningStack) -> None:
    pack(SECOND)
    configure(version=SECOND)
    with write_test(stack) as test:
        with Deployment() as deployment:
            deployment.wait_for(FREEZING)
            deployment.kill()
        killed = time.monotonic()
        wait_for("the timers let writes through", lambda: not frozen(stack), 60)
        print(f"writes go on {time.monotonic() - killed:.0f} s after the kill", file=sys.stderr)
        ended = again()
        time.sleep(5)
    assert ended.status == 0, ended.said[-3000:]
    hold(test, [new_place(stack)])
    test.close()
