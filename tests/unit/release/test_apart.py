"""When settle has found that the old table lacks what users wrote, nothing takes them away from where they have it."""

from __future__ import annotations

import pytest

from scripts.release.documents import Stack
from scripts.release.errors import RefusedError
from scripts.release.undo_alone import plan as plan_alone
from tests.unit.release.machines import Machines, Run
from tests.unit.release.test_data_release import BOTH, GREEN, World, served, undo


@pytest.fixture
def world(machines: Machines) -> World:
    return World(machines)


def found_apart(world: World) -> Run:
    """A release before its settle; from here on what is written to the new table does not reach the old one."""
    run = world.release().before("settle")
    world.ring.forgets.add("item_r2")
    for _ in range(5):
        world.users.write()
    return run


def test_users_stay_where_their_writes_are_when_a_settle_that_found_the_old_table_lacking_fails(world: World) -> None:
    run = found_apart(world)
    world.machines.broken["lb-b", "confirm"] = "no space left"
    settled = run.stage("settle")
    assert settled["state"] == "failed" and settled["figures"]["not_level"]
    world.machines.broken.clear()
    verdict = run.stage("rollback")
    assert verdict["state"] == "held" and "the old tables lack what was written" in verdict["reason"]
    run.to("outcome")
    world.machines.expire()
    assert world.machines.everywhere() == GREEN and set(world.ring.tables) == set(BOTH)
    assert world.pairs() == [("r2-2.0.0", "apart")] and world.users.lost_in("item_r2") == set()


def test_the_next_update_records_what_was_held_so_instead_of_taking_users_back(world: World) -> None:
    run = found_apart(world)
    world.machines.broken["lb-b", "confirm"] = "no space left"
    run.stage("settle")
    world.machines.broken.clear()
    run.to("outcome")
    assert world.machines.journal.read()["live"] is None
    refused = world.next(3).stage("preflight")
    assert refused["state"] == "refused" and "is recorded as live now; run `pulumi up` again" in refused["reason"]
    known = world.machines.journal.read()
    assert (known["live"]["version"], known["live"]["tables"]) == ("2.0.0", {"item": "item_r2"})
    assert known["releases"][0]["state"] == "partial" and world.machines.everywhere() == GREEN
    assert world.next(3, slot="green").to("outcome")["state"] == "passed"
    assert world.users.lost_in("item_r2") == set()


def test_what_settle_found_lacking_keeps_undo_shut_with_the_journal_and_without(world: World) -> None:
    served(world)
    run = found_apart(world)
    assert run.to("settle")["state"] == "passed" and run.to("outcome")["state"] == "failed"
    with pytest.raises(RefusedError, match="are not kept level"):
        undo(world, "1.0.0")
    with pytest.raises(RefusedError, match="lack what was written"):
        plan_alone(Stack.parse(world.machines.stack()), None)
