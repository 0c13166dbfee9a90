"""The end of a pair: what is dropped, and what keeps it from being dropped."""

from __future__ import annotations

import pytest

from scripts.release.documents import Stack, Version
from scripts.release.errors import RefusedError, StageFailedError
from scripts.release.load_balancers import LoadBalancers
from scripts.release.retire import retire
from tests.conftest import MANIFEST
from tests.unit.release.machines import SITES, Machines
from tests.unit.release.test_data_release import BLUE, BOTH, GREEN, WITH_NOTE, Pairs, World, served, succeeded, undo


@pytest.fixture
def world(machines: Machines) -> World:
    return World(machines)


def end_pair(world: World, names: dict[str, str] | None = None) -> str:
    """Retire what there is, as `evenkeel retire` does; `names` are those of the version that is kept: the live one."""
    known, stack = world.machines.journal.read(), Stack.parse(world.machines.stack())
    kept = Version.parse(known["live"]).tables if names is None else names  # type: ignore[union-attr]
    return retire(stack, Pairs(world.machines), known["pairs"][0], kept, LoadBalancers(stack, 0, 0))


def test_retire_stops_what_is_warm_drops_the_old_table_and_there_is_no_undo_any_more(world: World) -> None:
    succeeded(world)
    assert end_pair(world).startswith("item dropped, the mirror with it; every node keeps a snapshot, dropped-…-item ")
    assert set(world.ring.tables) == {"item_r2"} and world.pairs() == []
    assert not any(world.machines.slots[site]["blue"].active for site in SITES)
    with pytest.raises(RefusedError, match=r"no version but 2\.0\.0 is warm"):
        undo(world)


def test_what_users_are_on_is_never_dropped(world: World) -> None:
    succeeded(world)
    with pytest.raises(StageFailedError, match=r"users are on a-green, .* nothing was dropped"):
        end_pair(world, {})
    assert set(world.ring.tables) == {"item", "item_r2"}


@pytest.mark.parametrize("away", ["lb-c", "app-d"])
def test_a_table_stays_while_a_host_that_may_send_or_write_to_it_cannot_be_asked(world: World, away: str) -> None:
    succeeded(world)
    world.machines.away.add(away)
    with pytest.raises(StageFailedError, match=f"^{away} cannot be asked whether something still writes to them; noth"):
        end_pair(world)
    assert set(world.ring.tables) == set(BOTH) and world.ring.triggers == BOTH
    assert world.pairs() == [("r2-2.0.0", "level")]
    assert all(world.machines.slots[site]["blue"].active for site in SITES)
    world.machines.away.clear()
    assert end_pair(world).startswith("item dropped, the mirror with it; every node keeps a snapshot, dropped-…-item ")


def test_while_nodes_keep_what_others_have_missed_all_stays_and_undo_is_open(world: World) -> None:
    succeeded(world)
    world.ring.hints.add("db-b")
    with pytest.raises(StageFailedError, match="db-b may keep writes"):
        end_pair(world)
    assert world.ring.triggers == BOTH and world.pairs() == [("r2-2.0.0", "level")]
    assert undo(world).state == "succeeded" and world.users.lost_in("item") == set()


def test_a_release_that_cannot_end_an_older_pair_has_succeeded_and_says_so(world: World) -> None:
    succeeded(world)
    run = world.next(3, version="2.0.1").before("settle")
    world.ring.hints.add("db-b")
    settled = run.stage("settle")
    assert settled["state"] == "passed" and "db-b may keep writes" in settled["figures"]["left_over"]
    assert world.ring.triggers == BOTH and world.pairs() == [("r2-2.0.0", "level")]


def test_a_pair_whose_mirror_may_be_gone_is_level_for_nobody_and_is_finished_later(world: World) -> None:
    succeeded(world)
    world.ring.breaks_off = "the node db-c is down"
    with pytest.raises(StageFailedError, match="db-c is down"):
        end_pair(world)
    assert set(world.ring.tables) == set(BOTH) and world.pairs() == [("r2-2.0.0", "dropping")]
    for site in SITES:
        world.machines.slots[site]["blue"].active = True  # somebody starts the old version again
    with pytest.raises(RefusedError, match="are not kept level"):
        undo(world)
    back = world.next(3, version="1.0.1", manifest=MANIFEST, revert=True).stage("preflight")
    assert back["state"] == "refused" and world.machines.everywhere() == GREEN
    world.ring.breaks_off = ""
    assert end_pair(world).startswith("item dropped, the mirror with it; every node keeps a snapshot, dropped-…-item ")
    assert world.pairs() == [] and world.users.lost_in("item_r2") == set()


WITH_TAGS = WITH_NOTE + '\n[[tables]]\nname = "tag"\ncolumns = {{ id = "uuid" }}\nprimary_key = ["id"]\n'


def test_after_an_undo_every_table_of_the_version_that_was_left_goes_and_is_named(world: World) -> None:
    served(world)
    assert world.release(manifest=WITH_TAGS).to("outcome")["state"] == "passed"
    assert set(world.ring.tables) == {"item", "item_r2", "tag"} and undo(world).state == "succeeded"
    assert end_pair(world).startswith(
        "item_r2 and tag dropped, the mirror with it; every node keeps a snapshot, dropped-…-item_r2 and dropped-…-tag "
    )
    assert set(world.ring.tables) == {"item"} and world.machines.everywhere() == BLUE
    assert all(world.machines.slots[site]["blue"].active for site in SITES), "which has no table tag"
    assert not any(world.machines.slots[site]["green"].active for site in SITES)


def test_a_table_that_was_made_new_is_not_dropped_under_a_version_that_uses_it(world: World) -> None:
    served(world)
    tags = MANIFEST + WITH_TAGS.removeprefix(WITH_NOTE)
    assert world.release(manifest=tags).to("outcome")["state"] == "passed"
    with pytest.raises(StageFailedError, match=r"users are on a-green, which uses tag; nothing was dropped"):
        end_pair(world, {})
    assert undo(world).state == "succeeded"
    assert end_pair(world).startswith("tag dropped; every node keeps a snapshot, dropped-…-tag ")
    assert set(world.ring.tables) == {"item"} and world.pairs() == []
