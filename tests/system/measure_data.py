"""Releases that change the data, at size: `python -m tests.system.measure_data [FIRST [LAST [ROWS [PACE [faults]]]]]`.

On a running stack whose clients write 100 times a second, each block has a release fail at smoke-1, one aborted in
shift 1 as users are moved, one succeed, and that one undone two minutes after; each is followed by the checker's
verdict on every table that is left. One line of JSON for each. In the second block a database node is killed while the
succeeding release copies, in the third one is cut off from the others for 30 s, in the fourth the deployer is killed
and another goes on. With `faults` a block has only the succeeding release.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scripts.experiment.deployer import pack
from scripts.experiment.writes import Where, WriteTest
from scripts.inventory import load
from tests.system.deployer import Deployment, Ended, again, configure, journal, release
from tests.system.running import STACK, RunningStack
from tests.system.test_data_release import BROKEN, FIRST, SECOND, back_to_first, evenkeel, first_place, places

RATE = 100
FOLLOWED = 5_000  # rows of each test's own, beside those that are there
UNDO_AFTER = 120
INTO_SHIFT = 0.7  # seconds: some load balancers have moved users, or all just have
FAULT_AFTER = 30  # seconds into the copy


def measure(first: int, last: int, rows: int, pace: str, cases: str) -> None:
    """Run the blocks; leaves the stack at the first version with one table."""
    stack = RunningStack(load(STACK, refresh=True))
    configure(backfillPace=pace)
    back_to_first(stack)
    try:
        for block in range(first, last + 1):
            if cases != "faults":
                one_block(stack, block, rows)
                continue
            succeeding(stack, block, rows)
            evenkeel("undo", FIRST, "--yes")
            back_to_first(stack)
    finally:
        configure(backfillPace="")


def one_block(stack: RunningStack, block: int, rows: int) -> None:
    """The four cases, in turn."""
    with case(stack, block, "fails at smoke-1", [first_place(stack)], rows) as told:
        told.update(of_release(release(BROKEN)))
    with case(stack, block, "ends in shift-1", [first_place(stack)]) as told:
        told.update(of_release(release(SECOND, during=lambda deployment: abort_in_shift(stack, deployment))))
    succeeding(stack, block)
    with case(stack, block, "undone after two minutes", None) as told:
        time.sleep(UNDO_AFTER)
        begin = time.monotonic()
        done = evenkeel("undo", FIRST, "--yes")
        told.update(status=done.returncode, seconds=round(time.monotonic() - begin, 1))
        time.sleep(10)
    back_to_first(stack)


def succeeding(stack: RunningStack, block: int, rows: int = FOLLOWED) -> None:
    """A release that succeeds, with the block's fault."""
    fault, release_with_fault = FAULTS.get(block, ("", lambda _: release(SECOND)))
    with case(stack, block, f"succeeds{fault}", None, rows) as told:
        told.update(of_release(release_with_fault(stack)))
        told["copied"] = copied(stack)
        time.sleep(5)


def abort_in_shift(stack: RunningStack, deployment: Deployment) -> None:
    """Change one's mind while users are on the new version of the first half."""
    deployment.wait_for_stage("shift-1")
    time.sleep(INTO_SHIFT)
    journal(stack.inventory).signal("abort", "measure@here", "to see a shift undone")


def with_a_node_killed(stack: RunningStack) -> Ended:
    """Cut a database node's power while rows are copied, for 20 s."""

    def lose_one(deployment: Deployment) -> None:
        deployment.wait_for_stage("backfill")
        time.sleep(FAULT_AFTER)
        stack.stop("db-d")
        time.sleep(20)
        stack.start("db-d")

    return release(SECOND, during=lose_one)


def with_a_node_cut_off(stack: RunningStack) -> Ended:
    """Cut a database node off from the other three, not from clients, while rows are copied, for 30 s."""

    def part(deployment: Deployment) -> None:
        deployment.wait_for_stage("backfill")
        time.sleep(FAULT_AFTER)
        with stack.cut_off("db-c"):
            time.sleep(30)

    return release(SECOND, during=part)


def with_the_deployer_killed(stack: RunningStack) -> Ended:
    """Kill the deployer while rows are copied, and run another 10 s later."""
    pack(SECOND)
    configure(version=SECOND)
    with Deployment() as deployment:
        deployment.wait_for_stage("backfill")
        time.sleep(FAULT_AFTER)
        deployment.kill()
    time.sleep(10)
    return again()


FAULTS: dict[int, tuple[str, Callable[[RunningStack], Ended]]] = {
    2: (", a database node killed in the copy", with_a_node_killed),
    3: (", a database node cut off for 30 s in the copy", with_a_node_cut_off),
    4: (", the deployer killed in the copy", with_the_deployer_killed),
}


def copied(stack: RunningStack) -> dict[str, Any]:
    """Return what the last release's copy says of itself."""
    stages = journal(stack.inventory).history(1)[0]["stages"]
    return next((dict(stage["figures"]["job"]) for stage in stages if stage["stage"] == "backfill"), {})


def of_release(ended: Ended) -> dict[str, Any]:
    """Return how a release ended."""
    stage = {"outcome": ended.last_words.splitlines()[:1]}
    return {"status": ended.status, "seconds": round(ended.seconds, 1), **stage}


@contextmanager
def case(
    stack: RunningStack, block: int, name: str, tables: list[Where] | None, rows: int = FOLLOWED
) -> Iterator[dict[str, Any]]:
    """Have clients write while the block runs; print what came of it. `tables` None: both that live afterwards."""
    told: dict[str, Any] = {"block": block, "case": name}
    first, empty = tables[0] if tables else live_place(stack), rows != FOLLOWED
    with WriteTest(stack.inventory, rate=RATE, rows=rows, seconds=7200, first=first, empty=empty) as test:
        yield told
    verdict = test.verdict(tables or list(places(stack)))
    told |= {"passed": verdict.passed, "verdict": verdict.summary(), "clients": test.summary}
    print(json.dumps(told, default=str), flush=True)
    test.close()


def live_place(stack: RunningStack) -> Where:
    """Return where the live version keeps its items, by the names that it gives to columns."""
    live = journal(stack.inventory).read()["live"] or {}
    if live.get("version") == SECOND:
        return places(stack)[1]
    return first_place(stack)


if __name__ == "__main__":
    first, last, rows, pace, cases = (sys.argv[1:] + ["1", "5", "100000", "none", "all"][len(sys.argv) - 1 :])[:5]
    measure(int(first), int(last), int(rows), pace, cases)
