"""A release that changes the data, on machines in memory: users write all the while, and nothing they wrote is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from scripts.release.documents import Stack
from scripts.release.undo import choose, compose, perform, running_on, ways_back
from tests.conftest import MANIFEST
from tests.unit.release.machines import SITES, Machines, Run, hears_the_abort
from tests.unit.release.ring import FailedHere, Job

COLUMNS = 'columns = {{ id = "uuid", name = "text" }}'
WITH_NOTE = MANIFEST.replace(COLUMNS, 'columns = {{ id = "uuid", name = "text", note = "text" }}') + (
    '\n[[migrations]]\ntable = "item"\nadd = {{ note = {{ type = "text", default = "" }} }}\n'
)
WITH_TAG = MANIFEST.replace(COLUMNS, 'columns = {{ id = "uuid", name = "text", note = "text", tag = "text" }}') + (
    '\n[[migrations]]\ntable = "item"\nadd = {{ tag = {{ type = "text" }} }}\n'
)
BLUE, GREEN = [f"{site}-blue" for site in SITES], [f"{site}-green" for site in SITES]
BOTH = {"item": "item_r2", "item_r2": "item"}


class Users:
    """Users who write whenever something happens, through a version that a load balancer sends them to."""

    def __init__(self, machines: Machines) -> None:
        self.machines, self.acknowledged, self.deleted, self.count = machines, dict[str, str](), set[str](), 0
        self.lock = threading.RLock()
        machines.after = lambda host, verb: self.write()

    def write(self) -> None:
        """One new row, and every third time an older one deleted."""
        with self.lock:
            self.count += 1
            ready = self.machines.ready()
            if not ready:
                return
            site, _, slot = ready[self.count % len(ready)].rpartition("-")
            table = self.machines.slots[site][slot].tables.get("item", "item")
            try:
                self.machines.ring.write(table, f"user{self.count}", "new")
                self.acknowledged[f"user{self.count}"] = "new"
                if self.count % 3 == 0 and (key := next(iter(self.acknowledged), "")):
                    self.machines.ring.write(table, key, None)
                    self.acknowledged.pop(key)
                    self.deleted.add(key)
            except FailedHere:
                return  # told so: it was not acknowledged

    def lost_in(self, table: str) -> set[str]:
        """What was acknowledged and is not in a table, and what was deleted and is."""
        alive = self.machines.ring.tables[table].alive()
        return (set(self.acknowledged) - set(alive)) | (self.deleted & set(alive))


class World:
    """1.0.0 serves and has rows; `release` is one of 2.0.0, which adds a column."""

    def __init__(self, machines: Machines) -> None:
        self.machines, self.ring = machines, machines.ring
        self.one = machines.serve("1.0.0")
        for number in range(20):
            self.ring.write("item", f"old{number}", "before")
        self.users = Users(machines)

    def release(self, **more: Any) -> Run:
        return self.machines.release(more.pop("previous", self.one), **{"manifest": WITH_NOTE, **more})

    def next(self, number: int, **more: Any) -> Run:
        """The release that the next `pulumi up` begins."""
        known = self.machines.journal.read()
        version = more.pop("version", "2.0.0")
        previous = known["live"] or self.one
        slot = "green" if previous["slot"] == "blue" else "blue"
        more = {"id": f"r{number}-{version}", "number": number, "pairs": known["pairs"], "slot": slot, **more}
        return self.release(previous=previous, version=version, **more)

    def lose_table(self) -> None:
        self.machines.after = lambda host, verb: None
        self.ring.tables.clear()

    def pairs(self) -> list[tuple[str, str]]:
        return [(pair["release"], pair["state"]) for pair in self.machines.journal.read()["pairs"]]

    def only_old(self) -> None:
        """Hold that everything is as before: one table, no mirror, the old version serves, nothing lost."""
        assert self.machines.everywhere() == BLUE
        assert set(self.ring.tables) == {"item"} and self.ring.triggers == {} and self.pairs() == []
        assert all(node.pairs == {} for node in self.ring.nodes.values())
        assert self.users.lost_in("item") == set()
        assert {f"old{number}" for number in range(20)} <= set(self.ring.tables["item"].alive())


@pytest.fixture
def world(machines: Machines) -> World:
    return World(machines)


def test_every_row_is_in_both_tables_and_both_versions_live_on_them(world: World) -> None:
    run = world.release()
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert world.machines.everywhere() == GREEN
    assert world.ring.triggers == BOTH and world.pairs() == [("r2-2.0.0", "level")]
    assert world.ring.tables["item"].alive() == world.ring.tables["item_r2"].alive()
    assert world.users.acknowledged and world.users.lost_in("item") == world.users.lost_in("item_r2") == set()
    live = world.machines.journal.read()["live"]
    assert live["tables"] == {"item": "item_r2"}
    assert all(world.machines.slots[site]["green"].tables == {"item": "item_r2"} for site in SITES)
    assert world.machines.journal.read()["releases"][0]["data"]["number"] == 2


def test_tables_are_made_and_mirrored_before_the_copy_and_back_only_after_it_was_verified(world: World) -> None:
    world.release().to("outcome")
    done = [verb for verb in world.ring.verbs if not verb.startswith("job state")]
    assert done == [
        *("inspect", "conditional", "probe", "create", "mirror forward"),
        *("job start backfill", "job start compare verify", "mirror reverse", "job start compare settle"),
    ]


def test_users_times_are_told_to_the_copy(world: World) -> None:
    world.machines.logged = {"a-blue": {"requests": 100, "errors": 0, "times_ms": [5.0] * 98 + [40.0, 41.0]}}
    run = world.release()
    run.to("backfill")
    assert world.ring.told and all(told["p99_before_ms"] == 41.0 for told in world.ring.told)


def test_every_job_goes_no_slower_than_its_time_is_counted_by(world: World) -> None:
    run = world.release()
    run.document["plan"]["backfill_rows"] = 77
    run.to("outcome")
    assert world.ring.slowest == [77, 77, 77]  # copy, verify, settle


def test_a_last_comparison_that_takes_too_long_does_not_take_users_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.release().before("settle")
    monkeypatch.setattr("scripts.release.stages.settle.last_look_seconds", lambda plan, rows: 0.2)
    world.ring.no_quorum = True
    verdict = run.stage("settle")
    assert verdict["state"] == "passed"
    assert "the last comparison was not done after 0.2 s" in verdict["reason"]
    assert world.ring.jobs["compare-2-settle"].state == "failed"
    assert world.machines.everywhere() == GREEN and world.pairs() == [("r2-2.0.0", "level")]


def test_a_release_that_leaves_the_data_alone_asks_the_database_nothing(world: World) -> None:
    run = world.release(manifest=MANIFEST)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    skipped = {name: run.states()[name] for name in ("tables", "backfill", "verify")}
    assert set(skipped.values()) == {"skipped"}
    assert {said["reason"] for said in run.verdicts[1:4]} == {"the data does not change"}
    assert world.ring.verbs == [] and not [host for host, _ in world.machines.seen if host.startswith("db-")]
    assert "tables" not in world.machines.journal.read()["live"]


@pytest.mark.parametrize(("why_not", "files"), [("", SITES), ("nodetool import failed", ())])
def test_files_are_taken_over_where_they_fit_and_rows_copied_where_that_fails(
    world: World, why_not: str, files: tuple[str, ...]
) -> None:
    world.ring.no_import = why_not
    run = world.release(manifest=WITH_NOTE.replace(', default = ""', ""))
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert world.ring.imported == {f"db-{site}" for site in files}
    assert ("backfill-2" in world.ring.jobs) == bool(why_not)
    assert world.users.lost_in("item_r2") == set()


def test_files_that_may_have_a_column_which_was_dropped_once_are_copied_row_by_row(world: World) -> None:
    world.ring.tables["item"].dropped = ["note"]  # and 2.0.0 adds one of that name
    run = world.release(manifest=WITH_NOTE.replace(', default = ""', ""))
    assert run.to("verify")["state"] == "passed", run.verdicts[-1]
    assert world.ring.imported == set() and "backfill-2" in world.ring.jobs
    assert run.verdicts[2]["figures"]["files"].endswith("note was dropped from it once")


# --- what stands against it -----------------------------------------------------------------------------------------

REFUSALS: list[tuple[Callable[[World], object], str]] = [
    (lambda world: world.ring.down.add("db-c"), "the database node db-c is down"),
    (lambda world: setattr(world.ring, "agreed", False), "do not agree on its tables"),
    (lambda world: setattr(world.ring.nodes["db-b"], "jar", None), "db-b has no mirror program"),
    (lambda world: setattr(world.ring.nodes["db-b"], "jar", "e" * 64), "different mirror programs"),
    (lambda world: setattr(world.ring.tables["item"], "grace", 0), "forgets deletions after 0.0 s"),
    (lambda world: setattr(world.ring.tables["item"], "counter", True), "has counters"),
    (lambda world: world.ring.conditional.update(item=["10.0.0.9"]), "is written with conditions"),
    (lambda world: setattr(world.ring.nodes["db-d"], "free", 10**6), "db-d has 0 MiB free, and a second copy of item"),
    (
        lambda world: setattr(world.ring.nodes["db-d"], "in_memory", 10**9),
        "db-d has 953 MiB free, and a second copy of item needs 1909 MiB there",
    ),
    (
        lambda world: [each.__dict__.update(machine="m", used=2 * 10**8) for each in world.ring.nodes.values()],
        "db-a, db-b, db-c and db-d share a disk that has 953 MiB free, and a second copy of item needs 1525 MiB there",
    ),
    (
        lambda world: world.machines.broken.update({("control", "probe"): "db-a does not mirror"}),
        "db-a does not mirror",
    ),
    (lambda world: world.machines.away.add("db-a"), "db-a: "),
    (lambda world: world.lose_table(), "has no table item"),
]


@pytest.mark.parametrize(("spoil", "said"), REFUSALS)
def test_what_stands_against_it_is_found_before_anything_is_touched(
    world: World, spoil: Callable[[World], object], said: str
) -> None:
    spoil(world)
    verdict = world.release().stage("preflight")
    assert (verdict["state"], said in verdict["reason"]) == ("refused", True), verdict["reason"]
    assert "item_r2" not in world.ring.tables and world.ring.triggers == {} and world.pairs() == []
    known = world.machines.journal.read()
    assert known["releases"] == [] and known["lock"] is None


def test_preflight_says_which_values_no_way_back_brings_to_the_old_version(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = world.release().stage("preflight")
    assert verdict["figures"]["only_new"] == ["item.note"]
    assert "values of item.note are in the new table alone" in capsys.readouterr().err


def test_a_node_with_a_disk_of_its_own_needs_room_for_its_own_copy_only(world: World) -> None:
    for node in world.ring.nodes.values():
        node.used = 4 * 10**8
    assert world.release().stage("preflight")["state"] == "passed"


# --- what goes wrong ------------------------------------------------------------------------------------------------


def spoil_backfill(world: World) -> None:
    world.ring.breaks = "a value does not fit"


FAILURES: list[tuple[str, Callable[[World], object]]] = [
    ("tables", lambda world: world.machines.broken.update({("control", "create"): "no"})),
    ("tables", lambda world: world.machines.broken.update({("db-b", "configure"): "no"})),
    ("tables", lambda world: world.machines.broken.update({("control", "mirror"): "no"})),
    ("backfill", spoil_backfill),
    ("verify", lambda world: world.ring.forgets.add("item")),
    ("install-1", lambda world: world.machines.broken.update({("app-a", "start"): "no"})),
    ("smoke-1", lambda world: world.machines.smoke.update(b="500")),
    ("shift-1", lambda world: world.machines.down.update({"a-green"})),
    ("settle", lambda world: world.machines.broken.update({("runner", "15"): "nobody answers"})),
]


@pytest.mark.parametrize(("stage", "spoil"), FAILURES)
def test_whatever_fails_the_old_table_has_every_write_and_the_new_one_goes(
    world: World, stage: str, spoil: Callable[[World], object]
) -> None:
    run = world.release().before(stage)
    spoil(world)
    verdict = run.stage(stage)
    assert verdict["state"] == "failed", verdict
    world.machines.broken.clear()
    world.ring.breaks = ""
    assert run.to("rollback")["state"] == "passed", run.verdicts[-1]
    assert run.to("outcome")["state"] == "failed"
    world.only_old()
    assert world.machines.journal.read()["releases"][0]["state"] == "rolled-back"


@pytest.mark.parametrize("stage", ["tables", "backfill", "verify", "install-1", "smoke-1", "shift-1", "settle"])
def test_an_abort_in_any_stage_takes_the_new_table_away(world: World, stage: str) -> None:
    run = world.release().before(stage)
    world.machines.signal("abort")
    # What the stage would do next must not be done before the abort is heard.
    world.ring.no_quorum = stage in ("backfill", "verify")
    run.stage(stage)
    world.ring.no_quorum = False
    hears_the_abort(run)
    run.to("outcome")
    world.only_old()
    assert all(job.state != "running" for job in world.ring.jobs.values())


def test_a_difference_that_stays_is_named(world: World) -> None:
    run = world.release().before("verify")
    world.ring.tables["item_r2"].rows.pop("old7")
    verdict = run.stage("verify")
    assert verdict["state"] == "failed"
    assert "the tables differ: 1 missing of" in verdict["reason"] and "id old7" in verdict["reason"]


def test_the_copy_waits_while_there_is_no_quorum_and_goes_on(world: World) -> None:
    run = world.release().before("backfill")
    world.ring.no_quorum = True
    threading.Timer(0.3, lambda: setattr(world.ring, "no_quorum", False)).start()
    assert run.stage("backfill")["state"] == "passed"
    assert run.to("outcome")["state"] == "passed"
    assert world.users.lost_in("item_r2") == set()


def test_a_copy_that_was_killed_is_started_again_and_does_not_begin_anew(world: World) -> None:
    run = world.release().before("backfill")
    world.ring.jobs["backfill-2"] = Job("backfill", "failed", done=2, reason="it ended in the middle")
    world.ring.copied(run.verdicts[0]["figures"]["data"], 2)
    verdict = run.stage("backfill")
    assert verdict["state"] == "passed" and world.ring.jobs["backfill-2"].starts == 2


# --- killed, and begun again ----------------------------------------------------------------------------------------


def begun(world: World) -> Run:
    """A release whose deployer was killed while half of the rows were copied."""
    run = world.release().before("backfill")
    data = run.verdicts[0]["figures"]["data"]
    world.ring.do_job(data, {"do": "start", "kind": "backfill"})
    for _ in range(2):
        world.ring.do_job(data, {"do": "state", "kind": "backfill"})
    return run


def test_a_deployer_that_comes_back_at_once_goes_on_with_the_copy(world: World) -> None:
    run = begun(world)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert world.ring.jobs["backfill-2"].starts == 1
    assert world.users.lost_in("item_r2") == world.users.lost_in("item") == set()


def test_a_later_release_of_the_same_version_goes_on_with_the_same_tables(world: World) -> None:
    begun(world)
    world.machines.now += 60
    run = world.next(3)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert run.verdicts[0]["figures"]["data"]["number"] == 2
    assert set(world.ring.jobs) == {"backfill-2", "compare-2-verify", "compare-2-settle"}
    assert world.machines.journal.read()["live"]["tables"] == {"item": "item_r2"}
    assert world.ring.triggers == BOTH and world.users.lost_in("item_r2") == set()


def test_a_release_of_another_version_ends_what_was_begun_before_it_makes_its_own(world: World) -> None:
    begun(world)
    world.machines.now += 60
    run = world.next(3, version="2.1.0", manifest=WITH_NOTE.replace("note", "remark"))
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert set(world.ring.tables) == {"item", "item_r3"}
    assert world.pairs() == [("r3-2.1.0", "level")] and world.ring.jobs["backfill-2"].state == "failed"


# --- hosts that are away --------------------------------------------------------------------------------------------


def test_without_the_control_host_users_go_back_and_the_tables_are_left_for_the_next_release(world: World) -> None:
    run = world.release().before("smoke-1")
    world.machines.smoke["a"] = "500"
    run.stage("smoke-1")
    world.machines.away.add("control")
    verdict = run.to("rollback")
    assert verdict["state"] == "passed" and "the new tables are left over" in verdict["reason"]
    assert world.machines.everywhere() == BLUE and world.ring.triggers == BOTH
    world.machines.away.clear()
    world.machines.smoke.clear()
    run.to("outcome")
    assert world.pairs() == [("r2-2.0.0", "level")]
    following = world.next(3, version="1.1.0", manifest=MANIFEST)
    assert following.to("outcome")["state"] == "passed", following.verdicts[-1]
    assert set(world.ring.tables) == {"item"} and world.pairs() == [] and world.users.lost_in("item") == set()


def test_while_a_node_is_down_the_mirror_stays_and_works(world: World) -> None:
    run = world.release().before("smoke-1")
    world.machines.smoke["a"] = "500"
    run.stage("smoke-1")
    world.ring.down.add("db-d")
    verdict = run.to("rollback")
    assert "left over" in verdict["reason"] and verdict["figures"]["left_over"]
    assert world.ring.triggers == BOTH and world.pairs() == [("r2-2.0.0", "level")]
    run.to("outcome")
    world.ring.down.clear()
    world.machines.smoke.clear()
    again = world.next(3)
    assert again.to("outcome")["state"] == "passed", again.verdicts[-1]
    assert world.users.lost_in("item_r2") == world.users.lost_in("item") == set()


def test_a_table_stays_while_an_instance_that_writes_to_it_may_run(world: World) -> None:
    run = world.release().before("shift-1")
    world.machines.down.add("a-green")
    run.stage("shift-1")
    world.machines.broken["app-a", "stop"] = "it does not stop"
    assert "cannot be asked whether something still writes" in run.to("rollback")["reason"]
    assert world.ring.triggers == BOTH and set(world.ring.tables) == {"item", "item_r2"}


# --- ways back, and the end of a pair -------------------------------------------------------------------------------


def undo(world: World, version: str | None = None) -> Any:
    return perform(Stack.parse(world.machines.stack()), way_back(world, version))


def way_back(world: World, version: str | None = None) -> dict[str, Any]:
    """The document of an undo."""
    known = world.machines.journal.read()
    slots = {site: {name: slot_of(slot) for name, slot in held.items()} for site, held in world.machines.slots.items()}
    way = choose(ways_back(known, running_on(slots)), known, version)
    return compose(known, way, SITES, 0.0)


def slot_of(slot: Any) -> Any:
    from scripts.release.app_servers import Slot

    return Slot.parse(slot.show())


def served(world: World) -> None:
    """1.0.0 was released."""
    journal = world.machines.journal
    holder = {"who": "ci", "purpose": "a release", "nonce": "ci"}
    token = journal.acquire({"holder": holder, "lease_seconds": 20})["token"]
    first = world.release(manifest=MANIFEST, id="r1-1.0.0", number=1).document | {"previous": None} | world.one
    journal.begin({"release": first, "token": token})
    journal.finish({"id": "r1-1.0.0", "state": "succeeded", "reason": "", "live": world.one})
    journal.release({"token": token})


def succeeded(world: World) -> Run:
    """1.0.0 was released, then 2.0.0 with its own table."""
    served(world)
    run = world.release()
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    return run


def test_undo_is_routing_alone_and_keeps_what_the_new_version_wrote(world: World) -> None:
    succeeded(world)
    for _ in range(20):
        world.users.write()
    asked = len(world.ring.verbs)
    ended = undo(world)
    assert (ended.state, world.machines.everywhere()) == ("succeeded", BLUE), ended.reason
    assert world.ring.verbs[asked:] == ["mirrored"] and world.ring.triggers == BOTH
    assert world.users.lost_in("item") == set()
    assert undo(world).state == "succeeded"
    assert world.machines.journal.read()["live"]["tables"] == {"item": "item_r2"}
    assert world.users.lost_in("item_r2") == set()


def test_a_release_back_to_the_old_version_keeps_both_tables(world: World) -> None:
    succeeded(world)
    asked = len(world.ring.verbs)
    run = world.next(3, version="1.0.1", manifest=MANIFEST, revert=True)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert {run.states()[name] for name in ("tables", "backfill", "verify")} == {"skipped"}
    assert world.ring.verbs[asked:] == ["mirrored"] and world.ring.triggers == BOTH
    assert world.machines.journal.read()["live"]["tables"] == {"item": "item"}
    assert world.users.lost_in("item") == set()


@pytest.mark.parametrize("table", ["item", "item_r2"])
def test_nobody_is_moved_by_routing_alone_where_a_table_has_no_mirror_whatever_the_journal_says(
    world: World, table: str
) -> None:
    succeeded(world)
    world.ring.triggers.pop(table)
    ended = undo(world)
    assert ended.state == "refused" and f"{table} has no mirror any more" in ended.reason, ended.reason
    back = world.next(3, version="1.0.1", manifest=MANIFEST, revert=True).stage("preflight")
    assert back["state"] == "refused" and f"{table} has no mirror any more" in back["reason"], back["reason"]
    assert world.machines.everywhere() == GREEN and world.pairs() == [("r2-2.0.0", "level")]


def test_an_undo_that_waited_for_the_end_of_a_pair_is_refused(world: World) -> None:
    succeeded(world)
    document = way_back(world)
    for state in ("dropping", "dropped"):
        world.machines.journal.pair({"id": "r2-2.0.0", "state": state})
        ended = perform(Stack.parse(world.machines.stack()), document)
        assert ended.state == "refused" and "are not kept level" in ended.reason, ended.reason
    assert world.machines.everywhere() == GREEN


def test_the_next_release_that_leaves_the_data_alone_ends_the_pair_once_it_has_succeeded(world: World) -> None:
    succeeded(world)
    run = world.next(3, version="2.0.1").before("settle")
    assert set(world.ring.tables) == {"item", "item_r2"}
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert set(world.ring.tables) == {"item_r2"} and world.ring.triggers == {} and world.pairs() == []
    assert world.users.lost_in("item_r2") == set()


def test_the_next_release_that_changes_the_data_ends_the_older_pair_first(world: World) -> None:
    succeeded(world)
    run = world.next(3, version="3.0.0", manifest=WITH_TAG)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert set(world.ring.tables) == {"item_r2", "item_r3"} and world.pairs() == [("r3-3.0.0", "level")]
    assert world.ring.triggers == {"item_r2": "item_r3", "item_r3": "item_r2"}
    assert world.users.lost_in("item_r3") == set()


class Pairs:
    """The journal's word on pairs, without a connection."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines

    def pair(self, release: str, state: str, data: Any = None, reason: str = "") -> Any:
        return self.machines.journal.pair({"id": release, "state": state, "data": data, "reason": reason})
