"""`evenkeel undo` on machines in memory, with the load balancers' real routing and the real journal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from scripts.release import undo, undo_alone
from scripts.release.documents import Stack, Version
from scripts.release.errors import RefusedError, StageError, StageFailedError
from scripts.release.stages.outcome import Outcome
from scripts.release.undo import WayBack, choose, compose, perform, running_on, ways_back
from tests.unit.release.machines import SITES, Machines, Slot

BLUE, GREEN = [f"{site}-blue" for site in SITES], [f"{site}-green" for site in SITES]


class World:
    """Machines on which 1.0.0 (blue) and then 2.0.0 (green) went through."""

    def __init__(self, machines: Machines) -> None:
        self.machines, self.journal = machines, machines.journal
        self.one = Version(**machines.serve("1.0.0"))
        self.record("r1", 1, self.one, None)
        run = machines.release(self.one.as_dict())
        assert run.to("outcome")["state"] == "passed"
        self.two = Version(run.document["version"], run.document["sha256"], "green")
        self.stack = Stack.parse(machines.stack())
        machines.orders.clear()

    def record(self, name: str, number: int, version: Version, previous: Version | None) -> None:
        """Write a release that went through into the journal."""
        document = self.machines.release(previous and previous.as_dict(), id=name, number=number).document
        token = self.lock(f"ci-{number}")
        self.journal.begin({"release": document | version.as_dict() | {"artifact": "old.tar.gz"}, "token": token})
        self.journal.finish({"id": name, "state": "succeeded", "reason": "", "live": version.as_dict()})
        self.journal.release({"token": token})

    def lock(self, who: str) -> int:
        holder = {"who": who, "purpose": "a release", "version": "3.0.0", "nonce": who}
        return int(self.journal.acquire({"holder": holder, "lease_seconds": 20})["token"])

    def known(self) -> Mapping[str, Any]:
        return self.journal.read()

    def ways(self) -> list[WayBack]:
        slots = self.machines.slots
        running = {
            site: {name: Version(str(s.version), str(s.sha256), name, s.tables) for name, s in held.items() if s.active}
            for site, held in slots.items()
        }
        return ways_back(self.known(), running)

    def undo(self, version: str | None = None) -> Outcome:
        way = choose(self.ways(), self.known(), version)
        return perform(self.stack, compose(self.known(), way, SITES, 0.0))

    def lives(self) -> list[Any]:
        """What each load balancer takes for live."""
        found = []
        for name in self.machines.balancers:
            with self.machines.at(name):
                found.append(undo_routing()["live"])
        return found

    def refused(self, said: str) -> None:
        """Undo, and see that it is refused with these words and that nothing was touched or recorded."""
        before = self.known()["releases"]
        ended = self.undo()
        assert ended.state == "refused" and said in ended.reason, ended.reason
        assert self.machines.everywhere() == GREEN
        assert self.known()["releases"] == before and self.machines.orders == []


def undo_routing() -> Mapping[str, Any]:
    """The routing record of the load balancer whose modules are loaded."""
    import evenkeel_routing

    found: Mapping[str, Any] = evenkeel_routing.state()["routing"]
    return found


@pytest.fixture
def world(machines: Machines) -> World:
    return World(machines)


def deaf(machines: Machines, name: str) -> None:
    """Let a load balancer's HAProxy say yes to closing green and do nothing."""
    balancer = machines.balancers[name]
    plain = balancer.ask
    balancer.ask = lambda command: "" if command.endswith("-green state drain") else plain(command)  # type: ignore[method-assign]


def test_users_go_back_to_the_previous_version_everywhere_and_it_is_recorded(world: World) -> None:
    ended = world.undo()
    assert (ended.state, world.machines.everywhere()) == ("succeeded", BLUE), ended.reason
    release = world.known()["releases"][0]
    one = world.one.as_dict()
    assert release["id"] == f"r3-undo-1.0.0-{world.one.sha256[:12]}"
    assert (release["state"], release["live"], release["artifact"]) == ("succeeded", one, "old.tar.gz")
    assert (release["origin"], release["revert"], release["plan"]["groups"]) == ("undo", True, [list(SITES)])
    assert [stage["stage"] for stage in release["stages"]] == ["preflight", "shift-1", "settle"]
    assert world.known()["lock"] is None
    assert world.lives() == [one] * 4
    assert world.machines.timer() is None


def test_nothing_is_stopped_so_the_way_forth_is_as_short(world: World) -> None:
    world.undo()
    assert world.undo().state == "succeeded"
    assert world.machines.everywhere() == GREEN
    assert world.known()["live"] == world.two.as_dict()


def test_every_old_instance_is_open_before_a_new_one_closes_and_the_timers_watch_it(world: World) -> None:
    world.undo()
    opening, closing = world.machines.applied()
    assert opening == dict.fromkeys(BLUE, "ready") and closing == dict.fromkeys(GREEN, "drain")
    orders = [order for name, verb, order in world.machines.orders if verb == "apply"]
    assert all(order["deadman"] == {"seconds": 30} for order in orders)
    assert orders.index(next(o for o in orders if "a-green" in o["servers"])) == 4
    assert "confirm" in [verb for name, verb, _ in world.machines.orders if name == "lb-a"]


def test_a_hold_does_not_stop_the_way_back(world: World) -> None:
    world.journal.hold({"who": "ada", "reason": "sale day"})
    assert world.undo().state == "succeeded"


def test_an_old_version_that_load_balancers_see_down_takes_nobody_over(world: World) -> None:
    world.machines.down = {"c-blue"}
    world.refused("1.0.0 cannot take over (site c: lb-a, lb-b, lb-c and lb-d see it down); nothing was changed")
    assert world.known()["lock"] is None


def test_an_old_version_that_has_ended_on_one_site_takes_nobody_over(world: World) -> None:
    world.machines.slots["d"]["blue"].active = False
    world.refused("site d: 1.0.0 does not run there any more")


def test_a_slot_with_another_artifact_takes_nobody_over(world: World) -> None:
    world.machines.slots["a"]["blue"].sha256 = "9" * 64
    world.refused("site a: slot blue holds 1.0.0")


def test_a_site_where_neither_version_serves_is_left_out_and_said(world: World) -> None:
    world.machines.slots["d"]["blue"].active = False
    world.machines.down = {"d-green"}
    ended = world.undo()
    assert ended.state == "partial" and "site d is left out of the pool" in ended.reason, ended.reason
    assert world.machines.everywhere() == BLUE[:3]


def test_when_the_new_version_serves_nowhere_any_more_the_old_one_takes_over(world: World) -> None:
    world.machines.down = set(GREEN)
    assert world.undo().state == "succeeded"
    assert world.machines.everywhere() == BLUE


def test_a_load_balancer_that_is_away_is_said_and_the_others_go_back(world: World) -> None:
    world.machines.away.add("lb-c")
    ended = world.undo()
    assert ended.state == "partial" and "lb-c could not be reached" in ended.reason, ended.reason
    assert [world.machines.ready(f"lb-{site}") for site in "abd"] == [BLUE] * 3


def test_another_s_lock_is_respected_and_its_holder_named(world: World) -> None:
    world.lock("eve@ci")
    world.refused("the lock is held by eve@ci")


def test_what_became_live_meanwhile_is_not_undone_by_mistake(world: World) -> None:
    document = compose(world.known(), world.ways()[0], SITES, 0)
    world.record("r3", 3, Version("3.0.0", "3" * 64, "blue"), world.two)
    ended = perform(world.stack, document)
    assert (ended.state, ended.reason) == ("refused", "meanwhile 3.0.0 has become live; see `evenkeel status`")


def test_a_load_balancer_that_does_not_follow_ends_with_users_where_they_were(world: World) -> None:
    deaf(world.machines, "lb-d")
    ended = world.undo()
    assert ended.state == "rolled-back" and "load balancers route differently: lb-d" in ended.reason, ended.reason
    assert world.machines.everywhere() == GREEN
    release = world.known()["releases"][0]
    assert (release["state"], release["live"]) == ("rolled-back", None)
    assert all(slots["blue"].active for slots in world.machines.slots.values())


def test_an_abort_ends_with_users_where_they_were(world: World) -> None:
    def interrupt(host: str, verb: str) -> None:
        if verb == "apply":
            world.machines.after = lambda host, verb: None
            world.machines.signal("abort")
            time.sleep(0.5)  # some beats

    world.machines.after = interrupt
    ended = world.undo()
    assert ended.state == "rolled-back" and "aborted by eve@desk" in ended.reason, ended.reason
    assert world.machines.everywhere() == GREEN


def test_an_undo_that_the_journal_does_not_know_of_is_no_success_and_is_recorded_by_another(world: World) -> None:
    def lose_control(host: str, verb: str) -> None:
        if verb == "confirm":
            world.machines.away.add("control")

    world.machines.after = lose_control
    ended = world.undo()
    assert (ended.state, world.machines.everywhere()) == ("partial", BLUE)
    assert "the journal could not be written" in ended.reason and "`evenkeel undo 1.0.0` again" in ended.advice
    world.machines.after = lambda host, verb: None
    world.machines.away.clear()
    world.machines.now = 60
    assert world.undo().state == "succeeded"
    assert world.known()["live"] == world.one.as_dict() and world.machines.everywhere() == BLUE


def test_an_undo_that_was_killed_is_taken_back_by_the_timers_and_may_be_done_again(world: World) -> None:
    document = compose(world.known(), world.ways()[0], SITES, 0)
    told = undo.StageInput(undo.Release.parse(document), world.stack, ())
    for stage, action in undo.STAGES[:2]:
        told = undo.step(told, stage, action)
    assert world.machines.everywhere() == BLUE
    world.machines.expire()
    assert world.machines.everywhere() == GREEN
    world.machines.now = 60
    assert world.undo().state == "succeeded"
    assert [release["state"] for release in world.known()["releases"][:2]] == ["succeeded", "superseded"]


# --- which way ----------------------------------------------------------------------------------------------------


def test_only_what_has_served_and_runs_is_a_way_back(world: World) -> None:
    assert [way.target for way in world.ways()] == [world.one]
    for slots in world.machines.slots.values():
        slots["blue"] = Slot("9.1.0", "9" * 64, active=True)
    assert world.ways() == []


def test_what_a_silent_application_server_runs_is_not_known() -> None:
    assert running_on({"a": StageFailedError("away")}) == {}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.0.0", "2.0.0 is live already"),
        ("1.0.0", "1.0.0 is not warm any more; set it in the config and run `pulumi up`, which installs it"),
        ("9.9.9", "9.9.9 has never served here; set it in the config and run `pulumi up`, which installs it"),
        (None, "no version but 2.0.0 is warm that has served before"),
    ],
)
def test_why_there_is_no_way_is_one_sentence(world: World, version: str | None, said: str) -> None:
    for slots in world.machines.slots.values():
        slots["blue"].active = False
    with pytest.raises(RefusedError) as error:
        choose(world.ways(), world.known(), version)
    assert str(error.value).startswith(said)


def test_before_the_first_release_there_is_nothing_to_go_back_to(machines: Machines) -> None:
    with pytest.raises(RefusedError, match="no release has gone through yet"):
        choose([], machines.journal.read(), None)


# --- without the journal ------------------------------------------------------------------------------------------


def test_users_go_back_while_the_control_host_is_away(world: World) -> None:
    world.machines.away.add("control")
    said = undo_alone.go(world.stack, undo_alone.plan(world.stack, "1.0.0"))
    assert (said, world.machines.everywhere()) == ("users are on 1.0.0", BLUE)
    assert world.lives() == [world.one.as_dict()] * 4
    assert world.machines.timer() is None
    assert all(order["deadman"] for _, verb, order in world.machines.orders if verb == "apply")


def test_what_was_done_without_the_journal_is_recorded_by_doing_it_again(world: World) -> None:
    undo_alone.go(world.stack, undo_alone.plan(world.stack, None))
    assert world.known()["live"] == world.two.as_dict()
    assert world.undo("1.0.0").state == "succeeded"
    assert world.machines.everywhere() == BLUE and world.known()["live"] == world.one.as_dict()


def test_an_undo_that_fails_while_it_records_leaves_users_where_they_had_been_moved(world: World) -> None:
    undo_alone.go(world.stack, undo_alone.plan(world.stack, None))
    world.machines.broken["lb-b", "confirm"] = "no space left"
    ended = world.undo("1.0.0")
    assert ended.state == "held" and "users had been on 1.0.0 before, and stay there" in ended.reason, ended.reason
    assert world.machines.everywhere() == BLUE


def test_while_a_release_moves_users_nobody_interferes_without_the_lock(world: World) -> None:
    order = {"token": 9, "turn": 1, "release": "r9", "servers": {}, "deadman": {"seconds": 30}}
    world.machines.order("lb-b", "apply", order)
    with pytest.raises(RefusedError, match="release r9 moves users now"):
        undo_alone.plan(world.stack, None)


def test_an_order_that_came_meanwhile_wins(world: World) -> None:
    move = undo_alone.plan(world.stack, None)
    world.machines.order("lb-a", "confirm", {"token": 9, "turn": 1})
    with pytest.raises(StageError, match=r"users stay on 2\.0\.0"):
        undo_alone.go(world.stack, move)
    assert world.machines.everywhere() == GREEN


def test_whoever_spoke_last_before_it_is_refused_afterwards(world: World) -> None:
    with world.machines.at("lb-a"):
        last = undo_routing()
    undo_alone.go(world.stack, undo_alone.plan(world.stack, None))
    late = {"token": last["token"], "turn": last["turn"], "release": "late", "servers": {"a-green": {"state": "ready"}}}
    with pytest.raises(Exception, match="is older than"):
        world.machines.order("lb-a", "apply", late)


def test_without_the_journal_too_the_old_version_must_be_whole(world: World) -> None:
    move = undo_alone.plan(world.stack, None)
    world.machines.down = {"c-blue"}
    with pytest.raises(RefusedError, match="site c: "):
        undo_alone.go(world.stack, move)
    assert world.machines.everywhere() == GREEN and world.machines.orders == []


def test_without_the_journal_a_load_balancer_that_does_not_follow_ends_with_users_where_they_were(world: World) -> None:
    deaf(world.machines, "lb-d")
    with pytest.raises(StageError, match=r"lb-d did not follow; users stay on 2\.0\.0"):
        undo_alone.go(world.stack, undo_alone.plan(world.stack, None))
    assert world.machines.everywhere() == GREEN


def test_a_version_that_is_not_warm_is_named_with_the_one_that_is(world: World) -> None:
    with pytest.raises(RefusedError, match=r"^3\.0\.0 is not warm beside 2\.0\.0 \(1\.0\.0 is\)$"):
        undo_alone.plan(world.stack, "3.0.0")
