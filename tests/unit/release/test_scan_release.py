"""A release whose data changes with no mirror: writes wait, and none is lost, whatever fails or dies at any stage.

Users write all the while through every load balancer in turn; one that has writes wait tells them so.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

from components.stages import find, turn
from scripts.release.documents import Stack, Version
from scripts.release.errors import RefusedError
from scripts.release.freezing import LOOKS, PAUSES_SECONDS, Stand, stand
from scripts.release.load_balancers import LoadBalancers, Routing
from scripts.release.restore import restore_routing
from scripts.release.retire import retire
from scripts.release.undo import choose, ways_back
from scripts.release.undo_alone import plan as plan_alone
from tests.conftest import MANIFEST
from tests.unit.release.machines import Machines, Run, hears_the_abort
from tests.unit.release.ring import FailedHere
from tests.unit.release.test_data_release import BLUE, GREEN, WITH_NOTE, Pairs, Users, World, slot_of, succeeded

STAGES = ("tables", "backfill", "verify", "install-1", "smoke-1", "freeze", "shift-1", "settle")


class PatientUsers(Users):
    """Users who go through the load balancers in turn, and are told so where writes wait."""

    refused = 0

    def write(self) -> None:
        with self.lock:
            self.count += 1
            name, balancer = list(self.machines.balancers.items())[self.count % len(self.machines.balancers)]
            if balancer.frozen:
                self.refused += 1
                return
            ready = self.machines.ready(name)
            if not ready:
                return
            site, _, slot = ready[self.count % len(ready)].rpartition("-")
            table = self.machines.slots[site][slot].tables.get("item", "item")
            try:
                self.put(table)
            except FailedHere:
                return

    def put(self, table: str) -> None:
        """Write a row, and delete an older one now and then."""
        self.machines.ring.write(table, f"user{self.count}", "new")
        self.acknowledged[f"user{self.count}"] = "new"
        if self.count % 3 == 0 and (key := next(iter(self.acknowledged), "")):
            self.machines.ring.write(table, key, None)
            self.acknowledged.pop(key)
            self.deleted.add(key)


class ScanWorld(World):
    """The same stack, released with `mirror: scan`."""

    def __init__(self, machines: Machines) -> None:
        super().__init__(machines)
        self.users: PatientUsers = PatientUsers(machines)

    def release(self, **more: Any) -> Run:
        return super().release(**{"mirror": "scan", "freeze_seconds": 60, **more})

    def frozen(self) -> list[str]:
        """The load balancers on which writes wait."""
        return [name for name, balancer in self.machines.balancers.items() if balancer.frozen]

    def lives(self, table: str) -> set[str]:
        """What is lost in a table."""
        return self.users.lost_in(table)


@pytest.fixture
def world(machines: Machines) -> ScanWorld:
    return ScanWorld(machines)


def test_no_write_is_lost_and_none_goes_to_a_trigger(world: ScanWorld) -> None:
    run = world.release()
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert world.machines.everywhere() == GREEN and world.frozen() == []
    assert world.users.acknowledged and world.users.refused and world.lives("item_r2") == set()
    assert world.ring.triggers == {} and all(node.pairs == {} for node in world.ring.nodes.values())
    assert world.pairs() == [("r2-2.0.0", "left")]
    assert world.machines.journal.read()["live"]["tables"] == {"item": "item_r2"}
    done = [verb for verb in world.ring.verbs if not verb.startswith("job state")]
    assert done == [
        *("inspect", "measure", "create", "job start backfill", "job start scan live"),
        *("job stop scan frozen", "measure", "job start scan frozen"),
    ]


def test_all_sites_go_together_whatever_the_strategy(world: ScanWorld) -> None:
    run = world.release(strategy="canary")
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    states = run.states()
    assert {states[name] for name in ("install-2", "smoke-2", "shift-2")} == {"skipped"}
    assert run.verdicts[run.names.index("install-2")]["reason"] == "all sites go together, so that writes wait once"
    assert world.machines.everywhere() == GREEN and world.lives("item_r2") == set()


def test_a_release_that_leaves_the_data_alone_goes_as_ever_and_freezes_nothing(world: ScanWorld) -> None:
    run = world.release(manifest=MANIFEST)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert run.states()["freeze"] == "skipped" and run.states()["install-2"] == "passed"
    assert world.users.refused == 0 and world.ring.verbs == []


def test_with_a_mirror_nothing_waits(world: ScanWorld) -> None:
    run = world.release(mirror="trigger")
    run.to("outcome")
    verdict = run.verdicts[run.names.index("freeze")]
    assert (verdict["state"], verdict["reason"]) == ("skipped", "the mirror keeps the tables level")
    assert world.users.refused == 0


def test_writes_wait_from_the_freeze_to_the_end_of_settle_and_reads_go_on(world: ScanWorld) -> None:
    run = world.release().before("freeze")
    assert world.frozen() == []
    assert run.stage("freeze")["state"] == "passed", run.verdicts[-1]
    assert world.frozen() == list(world.machines.balancers) and world.machines.everywhere() == BLUE
    assert world.machines.timer() is not None
    run.to("shift-2")
    assert world.frozen() == list(world.machines.balancers) and world.machines.everywhere() == GREEN
    verdict = run.stage("settle")
    assert verdict["state"] == "passed" and world.frozen() == [] and world.machines.timer() is None
    assert verdict["figures"]["frozen_seconds"] > 0 and "writes waited" in verdict["reason"]
    assert "no `evenkeel undo`" in said_by(run)


def said_by(run: Run) -> str:
    """What the outcome advises."""
    from scripts.release.documents import StageInput
    from scripts.release.stages.outcome import conclude

    return conclude(StageInput.parse(run.input())).advice


def test_the_freeze_is_announced_and_refused_where_it_would_be_too_long(
    world: ScanWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    foreseen = world.release().stage("preflight")["figures"]["freeze_expected"]
    assert 2.0 + PAUSES_SECONDS <= foreseen < 20.0
    assert f"writes will wait for about {foreseen:.1f} s" in capsys.readouterr().err
    world.machines.now += 60
    world.ring.scan_seconds = 100.0
    verdict = world.release(id="r3-2.0.0", number=3).stage("preflight")
    assert verdict["state"] == "refused" and "raise `freezeSeconds`" in verdict["reason"]
    assert set(world.ring.tables) == {"item"}


def test_where_load_balancers_answer_slowly_a_longer_freeze_is_announced(
    world: ScanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreseen = world.release().stage("preflight")["figures"]["freeze_expected"]
    world.machines.now += 60
    at_once = LoadBalancers.state

    def slow(balancers: LoadBalancers) -> dict[str, Routing]:
        time.sleep(0.5)
        return at_once(balancers)

    monkeypatch.setattr(LoadBalancers, "state", slow)
    slowly = world.release(id="r3-2.0.0", number=3).stage("preflight")["figures"]["freeze_expected"]
    assert slowly > foreseen + LOOKS * 0.4


def test_a_table_that_has_grown_meanwhile_is_not_frozen_for(world: ScanWorld) -> None:
    run = world.release().before("freeze")
    world.ring.scan_seconds = 100.0
    assert run.stage("freeze")["state"] == "failed" and world.users.refused == 0
    run.to("outcome")
    world.only_old()


def test_tables_that_are_written_conditionally_are_served_and_nodes_need_no_program(world: ScanWorld) -> None:
    world.ring.conditional = {"item": ["10.0.0.9"]}
    world.ring.nodes["db-b"].jar = None
    assert world.release().to("outcome")["state"] == "passed"
    assert world.lives("item_r2") == set()


def test_a_load_balancer_that_is_away_is_refused(world: ScanWorld) -> None:
    world.machines.away.add("lb-c")
    verdict = world.release().stage("preflight")
    assert verdict["state"] == "refused" and "lb-c cannot be reached" in verdict["reason"]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def lose(world: ScanWorld, name: str) -> None:
    world.machines.away.add(name)


FAILURES: list[tuple[str, Callable[[ScanWorld], object]]] = [
    ("tables", lambda world: world.machines.broken.update({("control", "create"): "no"})),
    ("backfill", lambda world: setattr(world.ring, "breaks", "a value does not fit")),
    ("verify", lambda world: setattr(world.ring, "breaks", "a value does not fit")),
    ("install-1", lambda world: world.machines.broken.update({("app-d", "start"): "no"})),
    ("smoke-1", lambda world: world.machines.smoke.update(c="500")),
    ("freeze", lambda world: setattr(world.ring, "breaks", "a value does not fit")),
    ("freeze", lambda world: lose(world, "lb-b")),
    ("freeze", lambda world: setattr(world.machines.balancers["lb-b"], "under_way", 3)),
    ("shift-1", lambda world: world.machines.down.update({"a-green"})),
    ("shift-1", lambda world: lose(world, "lb-b")),
    ("settle", lambda world: world.machines.broken.update({("runner", "15"): "nobody answers"})),
    ("settle", lambda world: lose(world, "lb-b")),
    ("settle", lambda world: world.machines.broken.update({("lb-b", "confirm"): "no"})),
    ("settle", lambda world: world.machines.broken.update({("control", "pair"): "no"})),
]


@pytest.mark.parametrize(("stage", "spoil"), FAILURES)
def test_whatever_fails_writes_go_on_to_the_old_table_and_none_is_lost(
    world: ScanWorld, stage: str, spoil: Callable[[ScanWorld], object]
) -> None:
    run = world.release().before(stage)
    spoil(world)
    verdict = run.stage(stage)
    assert verdict["state"] == "failed", verdict
    if stage == "freeze":
        assert set(world.frozen()) <= {"lb-b"}, "it is let through at once, not only by the rollback"
    world.machines.broken.clear()
    world.machines.balancers["lb-b"].under_way = 0
    world.ring.breaks = ""
    away = "lb-b" in world.machines.away
    world.machines.away.clear()
    assert run.to("rollback")["state"] == "passed", run.verdicts[-1]
    run.to("outcome")
    assert world.frozen() == [], "the one that was away is back, and heard it" if away else ""
    world.only_old()


@pytest.mark.parametrize("stage", STAGES)
def test_an_abort_in_any_stage_lets_writes_through_to_the_old_table(world: ScanWorld, stage: str) -> None:
    run = world.release().before(stage)
    world.machines.signal("abort")
    world.ring.no_quorum = stage in ("backfill", "verify", "freeze")
    run.stage(stage)
    world.ring.no_quorum = False
    hears_the_abort(run)
    run.to("outcome")
    assert world.frozen() == []
    world.only_old()


@pytest.mark.parametrize("stage", ["freeze", "shift-1", "settle"])
def test_a_dead_deployer_s_freeze_ends_by_itself_and_the_next_release_goes_through(
    world: ScanWorld, stage: str
) -> None:
    run = world.release().before(stage)
    if stage == "freeze":
        run.to("freeze")  # died after it
    assert world.frozen()
    world.machines.expire()
    assert world.frozen() == [] and world.machines.everywhere() == BLUE
    for _ in range(9):
        world.users.write()
    world.machines.now += 60
    following = world.next(3, pairs=world.machines.journal.read()["pairs"])
    assert following.to("outcome")["state"] == "passed", following.verdicts[-1]
    assert world.lives("item_r2") == set() and world.frozen() == []


def test_writes_wait_no_longer_than_they_may(world: ScanWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.release().before("freeze")
    world.ring.no_quorum = True  # the scan does not end
    monkeypatch.setattr("scripts.release.freezing.ceiling", lambda plan: 0.3)
    monkeypatch.setattr("scripts.release.stages.freeze.require_short", lambda seconds, plan: None)
    verdict = run.stage("freeze")
    assert verdict["state"] == "failed" and "writes have waited for" in verdict["reason"]
    assert world.frozen() == []


# --- the point of no return -----------------------------------------------------------------------------------------


def confirmed(world: ScanWorld, *thawed: str) -> Run:
    """A release whose deployer died after every load balancer had confirmed and these let writes through."""
    run = world.release().before("settle")
    target = {"version": "2.0.0", "sha256": run.document["sha256"], "slot": "green", "tables": {"item": "item_r2"}}
    with world.users.lock:
        token = int(run.verdicts[0]["figures"]["token"])
        for name in world.machines.balancers:
            place = 2 * turn(find("settle", 2), 2)
            order = {"token": token, "turn": place, "release": run.document["id"]}
            world.machines.order(name, "confirm", {**order, "live": target | {"alone": True}})
            if name in thawed:
                world.machines.order(name, "apply", {**order, "servers": {}, "freeze": None})
    for _ in range(20):
        world.users.write()
    world.machines.now += 60
    return run


def test_once_writes_were_let_through_a_rollback_holds_and_lets_all_through(world: ScanWorld) -> None:
    run = confirmed(world, "lb-a")
    run.verdicts.append({**run.verdicts[-1], "stage": "settle", "state": "failed", "reason": "killed", "ok": False})
    verdict = run.stage("rollback")
    assert verdict["state"] == "held" and "would lack what they wrote" in verdict["reason"]
    assert world.frozen() == [] and world.machines.everywhere() == GREEN and world.lives("item_r2") == set()
    assert run.stage("outcome")["state"] == "failed"


def test_a_release_that_was_let_through_and_died_is_recorded_by_the_next(world: ScanWorld) -> None:
    run = confirmed(world, "lb-a", "lb-c")
    verdict = world.next(3).stage("preflight")
    assert verdict["state"] == "refused" and "had gone through when its deployer died" in verdict["reason"]
    known = world.machines.journal.read()
    assert (known["live"]["version"], known["live"]["tables"]) == ("2.0.0", {"item": "item_r2"})
    assert known["releases"][0]["id"] == run.document["id"] and known["releases"][0]["state"] == "succeeded"
    assert world.frozen() == [] and world.pairs() == [("r2-2.0.0", "left")] and world.lives("item_r2") == set()
    following = world.next(3, version="2.0.1", manifest=WITH_NOTE)
    assert following.to("outcome")["state"] == "passed", following.verdicts[-1]
    assert set(world.ring.tables) == {"item_r2"} and world.lives("item_r2") == set()


@pytest.mark.parametrize("state", ["held", "failed"])
def test_one_that_was_let_through_and_ended_without_a_rollback_is_recorded_by_the_next(
    world: ScanWorld, state: str
) -> None:
    run = confirmed(world, "lb-a")
    world.machines.journal.finish({"id": run.document["id"], "state": state, "reason": "no load balancer answers"})
    verdict = world.next(3).stage("preflight")
    assert verdict["state"] == "refused" and "had gone through when its deployer died" in verdict["reason"]
    assert world.machines.journal.read()["releases"][0]["state"] == "succeeded"
    assert world.next(3, version="2.0.1", manifest=WITH_NOTE).to("outcome")["state"] == "passed"


def test_a_release_that_died_with_all_confirmed_and_none_let_through_goes_back(world: ScanWorld) -> None:
    confirmed(world)
    assert len(world.frozen()) == 4
    following = world.next(3)
    assert following.stage("preflight")["state"] == "passed", following.verdicts
    assert world.frozen() == [] and world.machines.everywhere() == BLUE
    assert following.to("outcome")["state"] == "passed", following.verdicts[-1]
    assert world.lives("item_r2") == set()


def routing(sha: str, *, frozen: bool) -> Routing:
    return Routing({}, live=Version("1", sha, "blue"), is_frozen=frozen)


@pytest.mark.parametrize(
    ("routings", "lost", "how"),
    [
        ([routing("old", frozen=True), routing("old", frozen=True)], [], Stand.BEFORE),
        ([routing("new", frozen=True), routing("old", frozen=False)], ["lb-c"], Stand.BEFORE),
        ([routing("new", frozen=True), routing("new", frozen=True)], [], Stand.BEFORE),
        ([routing("new", frozen=True), routing("new", frozen=True)], ["lb-c"], Stand.UNKNOWN),
        ([routing("new", frozen=True), routing("new", frozen=False)], ["lb-c"], Stand.BEYOND),
        ([], ["lb-c"], Stand.UNKNOWN),
        ([], [], Stand.BEFORE),
    ],
)
def test_how_far_it_came_is_told_by_the_load_balancers(routings: list[Routing], lost: list[str], how: Stand) -> None:
    assert stand({str(number): one for number, one in enumerate(routings)}, lost, "new") is how


# --- no way back ----------------------------------------------------------------------------------------------------


def test_there_is_no_undo_and_no_release_back_and_both_say_why(world: ScanWorld) -> None:
    succeeded(world)
    known = world.machines.journal.read()
    slots = {site: {name: slot_of(slot) for name, slot in held.items()} for site, held in world.machines.slots.items()}
    from scripts.release.undo import running_on

    said = "going back would lose what was written to those of 2.0.0 since"
    with pytest.raises(RefusedError, match=said):
        choose(ways_back(known, running_on(slots)), known, None)
    with pytest.raises(RefusedError, match="going back would lose it"):
        plan_alone(Stack.parse(world.machines.stack()), None)
    verdict = world.next(3, version="1.0.1", manifest=MANIFEST).stage("preflight")
    assert verdict["state"] == "refused" and said in verdict["reason"]
    assert world.machines.everywhere() == GREEN


def test_load_balancers_that_were_all_made_anew_still_know_that_there_is_no_way_back(
    world: ScanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(world)
    stack, live = Stack.parse(world.machines.stack()), Version.parse(world.machines.journal.read()["live"])
    monkeypatch.setattr("scripts.release.restore.released", lambda _: (stack, live))
    for name, balancer in world.machines.balancers.items():
        shutil.rmtree(balancer.folder)
        assert restore_routing({"host": name})["restored"], name
    with pytest.raises(RefusedError, match="going back would lose it"):
        plan_alone(stack, None)


def test_retire_drops_what_was_left(world: ScanWorld) -> None:
    succeeded(world)
    known, stack = world.machines.journal.read(), Stack.parse(world.machines.stack())
    names = Version.parse(known["live"]).tables  # type: ignore[union-attr]
    said = retire(stack, Pairs(world.machines), known["pairs"][0], names, LoadBalancers(stack, 0, 0))
    assert said.startswith("item dropped; every node keeps a snapshot")
    assert set(world.ring.tables) == {"item_r2"} and world.pairs() == []


def test_a_release_with_a_mirror_follows_one_without(world: ScanWorld) -> None:
    succeeded(world)
    more = WITH_NOTE.replace("note", "note2").replace('name = "text", ', 'name = "text", note = "text", ')
    run = world.next(3, version="3.0.0", manifest=more, mirror="trigger")
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert world.pairs() == [("r3-3.0.0", "level")] and set(world.ring.tables) == {"item_r2", "item_r3"}
    assert world.lives("item_r3") == set()


def test_what_a_freeze_of_long_ago_found_counts_for_nothing(world: ScanWorld) -> None:
    run = world.release().before("freeze")
    data = run.verdicts[0]["figures"]["data"]
    world.ring.do_job(data, {"do": "start", "kind": "scan", "run": "frozen", "deletes": True})
    run.stage("freeze")
    done = [verb for verb in world.ring.verbs if "scan frozen" in verb and not verb.startswith("job state")]
    assert done == ["job stop scan frozen", "job start scan frozen"]
