"""Which release a `pulumi up` is: the journal of a real Store, the identity that follows, and what Pulumi then sees."""

from typing import Any

import pytest

from scripts.journal.store import Store
from scripts.release.documents import Version
from scripts.release.identify import Wanted, decide
from scripts.release.undo import compose as compose_undo
from scripts.release.undo import ways_back

PLAN = {"strategy": "bluegreen", "groups": [["a", "b"], ["c", "d"]], "gate": "person", "deadman_seconds": 30}
SITES = ("a", "b", "c", "d")


class World:
    """A journal, and what Pulumi's state keeps: the ids that the stages and the outcome last went through with."""

    def __init__(self, path):
        self.store = Store(path)
        self.slots: dict[str, tuple[str, str]] = {}

    def identity(self, version: str) -> dict[str, Any]:
        """What `pulumi up` is told when the config has this version."""
        return decide(self.store.read(), Wanted(version, f"sha-{version}", f"artifacts/{version}.tar.gz", PLAN))

    def lock(self) -> int:
        holder = {"who": "root@ci", "purpose": "test", "nonce": str(self.store.read()["now"])}
        return self.store.acquire({"holder": holder, "lease_seconds": 20})["token"]

    def up(self, version: str, state: str = "succeeded") -> dict[str, Any]:
        """Run a release to an end; None leaves it in progress, as a killed deployer does."""
        told = self.identity(version)["stages"]
        token = self.lock()
        self.store.begin({"release": told, "token": token})
        self.slots[told["slot"]] = (told["version"], told["sha256"])
        verdict = {"stage": "preflight", "state": "passed", "reason": "", "figures": {"token": token}, "seconds": 1}
        self.store.verdict({"id": told["id"], "verdict": verdict, "began": 1.0})
        self.end(told, state)
        self.store.release({"token": token})
        return told

    def end(self, told: dict[str, Any], state: str) -> None:
        live = {"version": told["version"], "sha256": told["sha256"], "slot": told["slot"]}
        if state != "killed":
            is_live = state in ("succeeded", "partial")
            self.store.finish({"id": told["id"], "state": state, "reason": "", "live": live if is_live else None})

    def undo(self, state: str = "succeeded") -> dict[str, Any]:
        """Go back with `evenkeel undo`, as its code composes it."""
        known = self.store.read()
        running = {site: {slot: Version(*held, slot) for slot, held in self.slots.items()} for site in SITES}
        told = compose_undo(known, ways_back(known, running)[0], SITES, 0.0)
        token = self.lock()
        self.store.begin({"release": told, "token": token})
        self.end(told, state)
        self.store.release({"token": token})
        return told


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "journal.sqlite")


def ids(identity):
    return identity["stages"]["id"], identity["outcome"]["id"]


def test_the_first_release_goes_into_blue_and_comes_from_nothing(world):
    told = world.identity("1")["stages"]
    assert (told["number"], told["slot"], told["previous"], told["revert"]) == (1, "blue", None, False)
    assert told["id"] == "r1-1-sha-1"


def test_asking_again_names_the_same_release(world):
    assert world.identity("1") == world.identity("1")


def test_a_release_in_progress_towards_the_wanted_version_goes_on(world):
    world.up("1")
    killed = world.up("2", "killed")
    world.lock()  # as a deployer does that was killed a moment ago, or still works
    assert world.identity("2") == {"stages": killed, "outcome": killed, "earlier": None}


def test_a_release_that_was_left_lying_is_begun_anew(world):
    world.up("1")
    world.up("2", "killed")
    assert ids(world.identity("2")) == ("r3-2-sha-2", "r3-2-sha-2")


def test_what_is_live_already_is_no_change(world):
    world.up("1")
    done = world.up("2")
    assert world.identity("2") == {"stages": done, "outcome": done, "earlier": None}


def test_another_version_is_a_new_release_into_the_other_slot(world):
    world.up("1")
    told = world.identity("2")["stages"]
    assert (told["number"], told["slot"], told["previous"]["version"], told["revert"]) == (2, "green", "1", False)


@pytest.mark.parametrize("state", ["failed", "rolled-back", "held"])
def test_a_failed_release_is_tried_again_under_the_next_number(world, state):
    world.up("1")
    failed = world.up("2", state)
    told = world.identity("2")["stages"]
    assert (told["number"], told["slot"], told["previous"]) == (3, "green", failed["previous"])


def test_after_a_failed_release_the_old_version_set_again_is_no_change(world):
    first = world.up("1")
    failed = world.up("2", "rolled-back")
    identity = world.identity("1")
    assert ids(identity) == (failed["id"], first["id"])
    assert [verdict["stage"] for verdict in identity["earlier"]] == ["preflight"]
    assert not {"began", "ended"} & set(identity["earlier"][0])


def test_after_a_failed_release_a_good_one_goes_through_from_what_is_live(world):
    world.up("1")
    world.up("2", "rolled-back")
    told = world.up("3")
    assert (told["slot"], told["previous"]["version"]) == ("green", "1")
    assert ids(world.identity("3")) == (told["id"], told["id"])


def test_a_release_that_went_through_in_part_is_finished_by_a_new_one_in_the_same_slot(world):
    world.up("1")
    world.up("2", "partial")
    told = world.identity("2")["stages"]
    assert (told["number"], told["slot"], told["previous"]["version"]) == (3, "green", "2")


def test_a_release_in_progress_towards_another_version_is_superseded_by_a_new_one(world):
    world.up("1")
    world.up("2", "killed")
    told = world.up("3")
    assert (told["number"], told["slot"], told["previous"]["version"]) == (3, "green", "1")
    assert [release["state"] for release in world.store.read()["releases"]] == ["succeeded", "superseded", "succeeded"]
    assert ids(world.identity("3")) == (told["id"], told["id"])


def test_the_old_version_set_while_another_is_half_released_is_a_release_not_no_change(world):
    world.up("1")
    world.up("2", "killed")
    assert world.identity("1")["stages"]["number"] == 3


def test_setting_a_version_that_served_before_is_a_way_back(world):
    world.up("1")
    world.up("2")
    told = world.identity("1")["stages"]
    assert (told["slot"], told["previous"]["version"], told["revert"]) == ("blue", "2", True)


def test_an_undo_leaves_pulumi_nothing_to_do_once_the_config_says_the_same(world):
    world.up("1")
    last = world.up("2")
    undone = world.undo()
    assert undone["origin"] == "undo"
    # What Pulumi went through with last was the release of 2: the same ids are no change.
    assert world.identity("1") == {"stages": last, "outcome": last, "earlier": None}


def test_after_an_undo_the_version_that_was_left_is_a_new_release_with_its_gates(world):
    world.up("1")
    world.up("2")
    world.undo()
    told = world.identity("2")["stages"]
    assert (told["number"], told["slot"], told["previous"]["version"], told["revert"]) == (4, "green", "1", False)


def test_after_an_undo_a_third_version_takes_the_slot_that_was_left(world):
    world.up("1")
    world.up("2")
    world.undo()
    told = world.up("3")
    assert (told["number"], told["slot"], told["previous"]["version"]) == (4, "green", "1")
    assert ids(world.identity("3")) == (told["id"], told["id"])


def test_after_an_undo_and_a_failed_release_the_old_version_is_no_change(world):
    world.up("1")
    last = world.up("2")
    world.undo()
    failed = world.up("3", "rolled-back")
    assert ids(world.identity("1")) == (failed["id"], last["id"])


def test_an_undo_of_an_undo_is_no_change_for_the_config_that_never_changed(world):
    world.up("1")
    last = world.up("2")
    world.undo()
    world.undo()
    assert ids(world.identity("2")) == (last["id"], last["id"])


def test_an_undo_from_a_release_that_went_through_in_part_is_no_change_for_the_old_version(world):
    first = world.up("1")
    part = world.up("2", "partial")
    world.undo()
    assert ids(world.identity("1")) == (part["id"], first["id"])


def test_an_undo_that_went_through_in_part_is_finished_by_pulumi(world):
    world.up("1")
    world.up("2")
    world.undo("partial")
    assert world.identity("1")["stages"]["number"] == 4


def test_a_killed_undo_is_never_taken_for_a_release_of_pulumi_s(world):
    world.up("1")
    last = world.up("2")
    undone = world.undo("killed")
    # Its stages are others than a release's; its timers bring users back to 2, which the config has.
    assert ids(world.identity("2")) == (last["id"], last["id"])
    told = world.identity("1")["stages"]
    assert told["id"] != undone["id"] and (told["number"], told["slot"], told["origin"]) == (4, "blue", "pulumi")


def test_a_failed_undo_changes_nothing_for_pulumi(world):
    world.up("1")
    last = world.up("2")
    world.undo("failed")
    assert ids(world.identity("2")) == (last["id"], last["id"])


@pytest.mark.parametrize("state", ["failed", "held"])
def test_after_a_release_that_left_users_astray_even_the_live_version_is_released_anew(world, state):
    world.up("1")
    world.up("2", state)
    told = world.identity("1")["stages"]
    assert (told["number"], told["version"], told["slot"]) == (3, "1", "blue")


def test_a_site_that_is_added_is_opened_by_a_release_of_the_live_version(world):
    world.up("1")
    more = PLAN | {"groups": [["a", "b"], ["c", "d", "e"]]}
    told = decide(world.store.read(), Wanted("1", "sha-1", "artifacts/1.tar.gz", more))["stages"]
    assert (told["number"], told["slot"], told["plan"]["groups"]) == (2, "blue", more["groups"])


def test_the_same_sites_in_other_groups_are_no_reason_to_release(world):
    done = world.up("1")
    sites = [site for group in PLAN["groups"] for site in group]
    rolling = PLAN | {"strategy": "rolling", "groups": [[site] for site in sites]}
    assert decide(world.store.read(), Wanted("1", "sha-1", "artifacts/1.tar.gz", rolling))["stages"] == done
