"""A release that changes the data loses no write, forward and back, while clients write, update and delete.

Each test begins with 1.0.0 alone on its table and follows up every write of clients that never pause.
EVENKEEL_THOROUGH=1 runs all of them, with more writes on more rows. Figures at size, and of a paced copy, are for
`measure_data` and `measure_backfill`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.experiment.deployer import pack
from scripts.experiment.writes import Where, WriteTest
from scripts.inventory import Role
from tests.system.deployer import Deployment, Ended, again, configure, journal, release
from tests.system.running import ROOT, RunningStack, wait_for

pytestmark = pytest.mark.system

FIRST, SECOND, BROKEN = "1.0.0", "4.0.0", "9.8.0"
THOROUGH = os.environ.get("EVENKEEL_THOROUGH") == "1"
RATE, ROWS = (100, 10_000) if THOROUGH else (30, 1_000)
thorough = pytest.mark.skipif(not THOROUGH, reason="EVENKEEL_THOROUGH=1 runs it")
RENAMED = (("description", "summary"),)  # what 4.0.0 calls otherwise


def evenkeel(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `evenkeel` on the stack under test."""
    command = [str(ROOT / ".venv/bin/evenkeel"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture(autouse=True)
def _one_table(stack: RunningStack) -> Iterator[None]:
    """Begin and leave with 1.0.0 alone: back to it by way of its own table, then the other one dropped."""
    configure(backfillPace="none")
    back_to_first(stack)
    yield
    back_to_first(stack)
    configure(backfillPace="")


def back_to_first(stack: RunningStack) -> None:
    """Have 1.0.0 serve, and no tables live in pairs."""
    os.environ["EVENKEEL_STACK"] = stack.inventory.stack
    ended = release(FIRST)
    assert ended.status == 0, ended.said[-3000:]
    done = evenkeel("retire", "--yes")
    assert done.returncode == 0, done.stderr


def live_tables(stack: RunningStack) -> dict[str, str]:
    """Return what the live version's tables are called in the database."""
    return dict((journal(stack.inventory).read()["live"] or {}).get("tables") or {})


def pair(stack: RunningStack) -> dict[str, Any]:
    """Return the one pair of tables that live at once."""
    (only,) = journal(stack.inventory).read()["pairs"]
    return dict(only)


def places(stack: RunningStack) -> tuple[Where, Where]:
    """Return where the old and the new version keep their items."""
    table = pair(stack)["data"]["tables"][0]
    return Where(table["source"]), Where(table["target"], RENAMED)


def first_place(stack: RunningStack) -> Where:
    """Return where 1.0.0, which is live, keeps its items."""
    return Where(live_tables(stack).get("item", "item"))


def write_test(stack: RunningStack) -> WriteTest:
    """Clients that write until the block is over."""
    return WriteTest(stack.inventory, rate=RATE, rows=ROWS, seconds=3600, first=first_place(stack))


def hold(test: WriteTest, tables: list[Where]) -> None:
    """Hold that nothing was lost, resurrected or invented, and that no request failed."""
    verdict = test.verdict(tables)
    assert verdict.passed, verdict.summary()
    assert test.summary["failed_requests"] == 0, test.summary


def mirrors(stack: RunningStack) -> set[str]:
    """Return the tables that some database node is told to mirror."""
    found: set[str] = set()
    for host in stack.of(Role.DATABASE):
        found |= set(json.loads(stack.on(host.name, "evenkeel-mirror state").stdout)["pairs"])
    return found


@thorough
def test_it_succeeds_and_both_tables_have_every_write(stack: RunningStack) -> None:
    with write_test(stack) as test:
        ended = release(SECOND)
        time.sleep(5)
    assert ended.status == 0, ended.said[-3000:]
    assert pair(stack)["state"] == "level"
    assert live_tables(stack)["item"] == pair(stack)["data"]["tables"][0]["target"]
    hold(test, list(places(stack)))
    test.close()
    done = evenkeel("compare")
    assert done.returncode == 0, done.stderr
    assert "are the same" in done.stdout
    assert again().said.count("replaced") == 0


def test_a_version_that_fails_its_checks_leaves_the_old_table_alone_and_whole(stack: RunningStack) -> None:
    where = first_place(stack)
    with write_test(stack) as test:
        ended = release(BROKEN)
    assert ended.status != 0
    assert "smoke-1" in ended.last_words and f"serving: {FIRST}" in ended.last_words
    assert journal(stack.inventory).read()["pairs"] == [] and mirrors(stack) == set()
    hold(test, [where])
    test.close()


def test_undo_keeps_what_the_new_version_wrote_and_so_does_the_way_forth(stack: RunningStack) -> None:
    with write_test(stack) as test:
        assert release(SECOND).status == 0
        time.sleep(120 if THOROUGH else 5)
        done = evenkeel("undo", FIRST, "--yes")
        assert done.returncode == 0, done.stderr
        time.sleep(5)
        done = evenkeel("undo", SECOND, "--yes")
        assert done.returncode == 0, done.stderr
        time.sleep(5)
        assert evenkeel("undo", FIRST, "--yes").returncode == 0
    hold(test, list(places(stack)))
    test.close()
    done = evenkeel("compare")
    assert done.returncode == 0 and "are the same" in done.stdout, done.stderr


@thorough
def test_retire_ends_the_old_table_and_says_how_many_rows_it_has(stack: RunningStack) -> None:
    with write_test(stack) as test:
        assert release(SECOND).status == 0
        old, new = places(stack)
        done = evenkeel("retire", "--yes")
        time.sleep(5)
    assert done.returncode == 0, done.stderr
    assert f"{old.table} (" in done.stdout and "rows)" in done.stdout and f"{old.table} dropped" in done.stdout
    assert journal(stack.inventory).read()["pairs"] == [] and mirrors(stack) == set()
    hold(test, [new])
    test.close()
    assert evenkeel("undo", FIRST, "--yes").returncode == 1
    # 1.0.0 cannot come back by itself any more: its table is gone, and its manifest says nothing of the new one.
    refused = release(FIRST)
    assert refused.status != 0 and "preflight" in refused.said
    make_first_again(stack)


def make_first_again(stack: RunningStack) -> None:
    """Give 1.0.0 its table back, which no release can: the stack is made anew."""
    from tests.system.running import STACK, bring_up, make

    make("down", STACK)
    configure(version=FIRST)
    stack.inventory = bring_up().inventory


@thorough
def test_an_old_instance_that_was_stopped_in_the_middle_of_its_work_loses_no_write_when_it_goes_on(
    stack: RunningStack,
) -> None:
    def stop_and_go_on(deployment: Deployment) -> None:
        slot = str((journal(stack.inventory).read()["live"] or {})["slot"])
        deployment.wait_for_stage("shift-1")
        stack.on("app-a", f"systemctl kill --signal=STOP app@{slot}")
        try:
            deployment.wait_for_stage("settle")
        finally:  # what it had begun before users left it is written now
            stack.on("app-a", f"systemctl kill --signal=CONT app@{slot}")

    with write_test(stack) as test:
        ended = release(SECOND, during=stop_and_go_on)
        time.sleep(20)
    print(ended.last_words, test.summary, file=sys.stderr)
    # Whichever version serves at last: those who were on the stopped instance had no answer, and nothing else is lost.
    both = [*places(stack)] if journal(stack.inventory).read()["pairs"] else [first_place(stack)]
    verdict = test.verdict(both)
    assert verdict.passed, verdict.summary()
    test.close()


@thorough
def test_a_deployer_killed_in_the_copy_goes_on_without_starting_over(stack: RunningStack) -> None:
    with write_test(stack) as test:
        ended = killed_in_backfill(stack)
    assert ended == 0
    jobs = journal(stack.inventory).history(1)[0]["stages"]
    copied = next(stage for stage in jobs if stage["stage"] == "backfill")["figures"]["job"]
    assert copied["ranges_repeated"] <= 8, copied
    hold(test, list(places(stack)))
    test.close()


def killed_in_backfill(stack: RunningStack) -> int:
    """Kill a deployer while rows are copied, run another; return its status."""
    pack(SECOND)
    configure(version=SECOND)
    with Deployment() as deployment:
        deployment.wait_for("backfill: ")
        deployment.kill()
    return again().status


@thorough
def test_a_node_that_stops_during_the_copy_costs_no_write(stack: RunningStack) -> None:
    def lose_one(deployment: Deployment) -> None:
        deployment.wait_for("backfill: ")
        stack.stop("db-d")
        time.sleep(20)
        stack.start("db-d")
        wait_for("db-d takes clients", lambda: "UN" in stack.on("db-d", "nodetool status").stdout, 300)

    with write_test(stack) as test:
        ended = release(SECOND, during=lose_one)
    print(ended.last_words, file=sys.stderr)
    hold(test, where_it_ended(stack, ended))
    test.close()


def where_it_ended(stack: RunningStack, ended: Ended) -> list[Where]:
    """Return where every write must be after a node was away: both tables, or the old one and why there is one only.

    The mirror is put on only while every node is up, so a release whose copy ends before the node is back goes back.
    """
    level = [each for each in journal(stack.inventory).read()["pairs"] if each["state"] == "level"]
    if ended.status == 0:
        assert level and live_tables(stack)["item"] == pair(stack)["data"]["tables"][0]["target"]
        return [*places(stack)]
    assert "is down" in ended.said, ended.said[-3000:]
    assert not level and f"serving: {FIRST}" in ended.last_words, ended.last_words
    return [first_place(stack)]


@thorough
def test_a_node_that_is_cut_off_while_both_tables_live_fails_no_request(stack: RunningStack) -> None:
    """Its clients still reach it, and for some 20 s the others take it for alive: mirrored writes must not ask it."""
    assert release(SECOND).status == 0
    with WriteTest(stack.inventory, rate=RATE, rows=5_000, seconds=900, first=places(stack)[1]) as test:
        time.sleep(15)
        with stack.cut_off("db-c"):
            time.sleep(30)
        time.sleep(70)
    hold(test, list(places(stack)))
    test.close()
