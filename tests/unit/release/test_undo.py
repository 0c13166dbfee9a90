"""`evenkeel undo` on machines that are played here: the journal is a real one, hosts answer as their tools would."""

import json

import pytest

from scripts.journal.store import VERBS, Refused, Store
from scripts.release import remote_journal, undo, undo_alone
from scripts.release.documents import Stack, StackHost, Version
from scripts.release.errors import RefusedError, StageError
from scripts.release.fleet import Fleet
from scripts.release.journal import Journal, JournalRefused
from scripts.release.undo import choose, compose, perform, running_on, ways_back
from scripts.ssh import CommandError, Result, UnreachableError

SITES = ("a", "b", "c", "d")
PLAN = {"strategy": "canary", "groups": [["a", "b"], ["c", "d"]], "gate": "person", "deadman_seconds": 30}
ONE, TWO = Version("1.0.0", "1" * 64, "blue"), Version("2.0.0", "2" * 64, "green")


class Balancer:
    """A load balancer with evenkeel-traffic's verbs, as far as an undo uses them."""

    def __init__(self):
        servers = {f"{site}-{slot}": (slot == "green") for site in SITES for slot in ("blue", "green")}
        self.servers = {
            name: {"state": "ready" if is_open else "drain", "weight": 100, "up": True, "sessions": 0}
            for name, is_open in servers.items()
        }
        self.routing = {"release": "r2", "token": 2, "turn": 16, "live": TWO.as_dict()}
        self.before, self.deaf, self.said = None, False, []

    def ready(self):
        return sorted(name for name, server in self.servers.items() if server["state"] == "ready")

    def obey(self, verb, order):
        self.said.append(verb)
        if verb != "state":
            if (order["token"], order["turn"]) < (self.routing["token"], self.routing["turn"]):
                raise PermissionError
            self.routing |= {"token": order["token"], "turn": order["turn"]}
        getattr(self, verb)(order)
        timer = {"release": "x", "fired": False} if self.before else None
        return {"servers": self.servers, "routing": self.routing, "deadman": timer}

    def state(self, order):
        pass

    renew = state

    def apply(self, order):
        if "deadman" in order and self.before is None:
            self.before = {name: dict(server) for name, server in self.servers.items()}
        for name, change in order["servers"].items():
            if not self.deaf or change["state"] == "ready":
                self.servers[name] |= change

    def confirm(self, order):
        self.routing["live"], self.before = order["live"], None

    def revert(self, order):
        self.servers, self.before = self.before or self.servers, None


class World:
    """All machines, and a journal in which 1.0.0 and then 2.0.0 went through."""

    def __init__(self, path):
        self.store = Store(path)
        self.balancers = {f"lb-{site}": Balancer() for site in SITES}
        self.apps = {f"app-{site}": {"blue": slot(ONE), "green": slot(TWO)} for site in SITES}
        self.away = set()
        for number, version, previous in ((1, ONE, None), (2, TWO, ONE)):
            self.release(number, version, previous)

    def release(self, number, version, previous):
        document = {
            "id": f"r{number}", "number": number, **version.as_dict(), "artifact": f"artifacts/{version.version}",
            "previous": previous and previous.as_dict(), "plan": PLAN, "revert": False, "origin": "pulumi", "who": "me",
        }  # fmt: skip
        token = self.lock("me", str(number))
        self.store.begin({"release": document, "token": token})
        self.store.finish({"id": f"r{number}", "state": "succeeded", "reason": "", "live": version.as_dict()})
        self.store.release({"token": token})

    def lock(self, who, nonce):
        holder = {"who": who, "purpose": "release", "version": "3.0.0", "nonce": nonce}
        return self.store.acquire({"holder": holder, "lease_seconds": 20})["token"]

    @property
    def stack(self):
        roles = [(f"{role}-{site}", role, site) for role in ("lb", "app") for site in SITES]
        hosts = [StackHost(name, role, site, name, "") for name, role, site in [*roles, ("control", "control", None)]]
        return Stack("dev", "service", tuple(hosts), "")

    def run(self, name, command, content):
        if name in self.away:
            raise UnreachableError(name, "no SSH")
        if command[0] == "evenkeel-slot":
            return self.apps[name]
        try:
            return self.balancers[name].obey(command[1], json.loads(content) if content else {})
        except PermissionError:
            raise CommandError(name, command[1], Result("", "older", 4)) from None

    def known(self):
        return self.store.read()

    def ways(self):
        return ways_back(self.known(), {site: dict(self.running(site)) for site in SITES})

    def running(self, site):
        for name, held in self.apps[f"app-{site}"].items():
            if held["active"]:
                yield name, (held["installed"]["version"], held["installed"]["sha256"])

    def undo(self, version=None, wait=0.0):
        return perform(self.stack, compose(self.known(), choose(self.ways(), self.known(), version), SITES, wait))

    def routed(self):
        return [balancer.ready() for balancer in self.balancers.values()]


def slot(version):
    return {"installed": version.as_dict() | {"limits": {}}, "active": True, "restarts": 0}


class Answers:
    def __init__(self, world, name):
        self.world, self.name = world, name

    def run(self, command, stdin="", *, timeout=0, check=True):
        return Result(json.dumps(self.world.run(self.name, command, stdin)), "", 0)


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path / "journal.sqlite")

    def ask(journal, verb, document):
        if "control" in world.away:
            raise UnreachableError("control", "no SSH")
        try:
            return VERBS[verb](world.store, document)
        except Refused as refusal:
            raise JournalRefused(str(refusal), refusal.details) from None

    monkeypatch.setattr(Fleet, "session", lambda fleet, name: Answers(world, name))
    monkeypatch.setattr(Journal, "ask", ask)
    monkeypatch.setattr(remote_journal, "Session", lambda *_: None)
    return world


BLUE, GREEN = [f"{site}-blue" for site in SITES], [f"{site}-green" for site in SITES]


def newest(world):
    return world.known()["releases"][0]


def test_users_go_back_to_the_previous_version_everywhere_and_it_is_recorded(world):
    ended = world.undo()
    assert (ended.state, world.routed()) == ("succeeded", [BLUE] * 4)
    release = newest(world)
    assert (release["id"], release["state"], release["live"]) == (
        "r3-undo-1.0.0-111111111111",
        "succeeded",
        ONE.as_dict(),
    )
    assert (release["origin"], release["revert"], release["artifact"]) == ("undo", True, "artifacts/1.0.0")
    assert [stage["stage"] for stage in release["stages"]] == ["preflight", "shift-1", "settle"]
    assert world.known()["lock"] is None
    assert all(balancer.routing["live"] == ONE.as_dict() for balancer in world.balancers.values())
    assert not any(balancer.before for balancer in world.balancers.values())


def test_nothing_is_stopped_so_the_way_forth_is_as_short(world):
    world.undo()
    assert world.undo().state == "succeeded"
    assert world.routed() == [GREEN] * 4
    assert newest(world)["live"] == TWO.as_dict()


def test_every_old_instance_is_open_before_a_new_one_closes(world):
    seen = []
    for balancer in world.balancers.values():
        plain = balancer.apply
        balancer.apply = lambda order, plain=plain, one=balancer: (plain(order), seen.append(set(one.ready())))
    world.undo()
    assert seen[:4] == [{*BLUE, *GREEN}] * 4 and seen[4:] == [set(BLUE)] * 4


def test_a_hold_does_not_stop_the_way_back(world):
    world.store.hold({"who": "ada", "reason": "sale day"})
    assert world.undo().state == "succeeded"


def refused(world, said, **asked):
    before = world.known()["releases"]
    ended = world.undo(**asked)
    assert ended.state == "refused" and said in ended.reason, ended.reason
    assert world.routed() == [GREEN] * 4
    assert world.known()["releases"] == before and not any("apply" in one.said for one in world.balancers.values())


def test_an_old_version_that_a_load_balancer_sees_down_takes_nobody_over(world):
    world.balancers["lb-b"].servers["c-blue"]["up"] = False
    refused(world, "1.0.0 cannot take over (site c: lb-b sees it down); nothing was changed")
    assert world.known()["lock"] is None


def test_an_old_version_that_has_ended_on_one_site_takes_nobody_over(world):
    world.apps["app-d"]["blue"]["active"] = False
    refused(world, "site d: 1.0.0 does not run there any more")


def test_a_slot_with_another_artifact_takes_nobody_over(world):
    world.apps["app-a"]["blue"] = slot(Version("1.0.0", "9" * 64, "blue"))
    refused(world, "site a: slot blue holds 1.0.0")


def test_a_site_where_neither_version_serves_is_left_out_and_said(world):
    world.apps["app-d"]["blue"]["active"] = False
    for balancer in world.balancers.values():
        for name in ("d-blue", "d-green"):
            balancer.servers[name]["up"] = False
    ended = world.undo()
    assert ended.state == "partial" and "site d is left out of the pool" in ended.reason
    assert world.routed() == [BLUE[:3]] * 4


def test_a_load_balancer_that_is_away_is_said_and_the_others_go_back(world):
    world.away.add("lb-c")
    ended = world.undo()
    assert ended.state == "partial" and "lb-c could not be reached" in ended.reason
    assert [balancer.ready() for name, balancer in world.balancers.items() if name != "lb-c"] == [BLUE] * 3


def test_another_s_lock_is_respected_and_its_holder_named(world, monkeypatch):
    monkeypatch.setattr(undo.preflight, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(undo.preflight, "LEASE_SECONDS", 0.05)
    world.lock("eve@ci", "n")
    refused(world, "the lock is held by eve@ci")


def test_what_became_live_meanwhile_is_not_undone_by_mistake(world):
    document = compose(world.known(), world.ways()[0], SITES, 0)
    world.release(3, Version("3.0.0", "3" * 64, "blue"), TWO)
    ended = perform(world.stack, document)
    assert (ended.state, ended.reason) == ("refused", "meanwhile 3.0.0 has become live; see `evenkeel status`")


def test_a_load_balancer_that_does_not_follow_brings_users_back_to_where_they_were(world):
    world.balancers["lb-d"].deaf = True
    ended = world.undo()
    assert ended.state == "rolled-back" and "load balancers route differently: lb-d" in ended.reason
    assert world.routed() == [GREEN] * 4
    assert newest(world)["state"] == "rolled-back" and newest(world)["live"] is None
    assert all(held["blue"]["active"] for held in world.apps.values())


def test_users_that_were_moved_without_the_journal_stay_and_it_is_recorded(world):
    undo_alone.go(world.stack, undo_alone.plan(world.stack, None))
    assert world.undo("1.0.0").state == "succeeded"
    assert world.routed() == [BLUE] * 4 and world.known()["live"] == ONE.as_dict()


# --- which way ----------------------------------------------------------------------------------------------------


def test_only_what_has_served_and_runs_is_a_way_back(world):
    assert [way.target for way in world.ways()] == [ONE]
    for held in world.apps.values():
        held["blue"] = slot(Version("9.1.0", "9" * 64, "blue"))
    assert world.ways() == []


def test_what_a_silent_application_server_runs_is_not_known():
    assert running_on({"a": undo.StageFailedError("away")}) == {}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.0.0", "2.0.0 is live already"),
        ("1.0.0", "1.0.0 is not warm any more; set it in the config and run `pulumi up`, which installs it"),
        ("9.9.9", "9.9.9 has never served here; set it in the config and run `pulumi up`, which installs it"),
        (None, "no version but 2.0.0 is warm that has served before"),
    ],
)
def test_why_there_is_no_way_is_one_sentence(world, version, said):
    for held in world.apps.values():
        held["blue"]["active"] = False
    with pytest.raises(RefusedError) as error:
        choose(world.ways(), world.known(), version)
    assert str(error.value).startswith(said)


def test_before_the_first_release_there_is_nothing_to_go_back_to(tmp_path):
    with pytest.raises(RefusedError, match="no release has gone through yet"):
        choose([], Store(tmp_path / "empty").read(), None)


# --- without the journal ------------------------------------------------------------------------------------------


def test_users_go_back_while_the_control_host_is_away(world):
    world.away.add("control")
    said = undo_alone.go(world.stack, undo_alone.plan(world.stack, "1.0.0"))
    assert (said, world.routed()) == ("users are on 1.0.0", [BLUE] * 4)
    assert all(balancer.routing["live"] == ONE.as_dict() for balancer in world.balancers.values())
    assert all(
        balancer.routing["token"] == 2 and balancer.routing["turn"] == 17 for balancer in world.balancers.values()
    )
    assert not any(balancer.before for balancer in world.balancers.values())


def test_while_a_release_moves_users_nobody_interferes_without_the_lock(world):
    world.balancers["lb-a"].before = {}
    world.balancers["lb-b"].before = dict(world.balancers["lb-b"].servers)
    with pytest.raises(RefusedError, match="release x moves users now"):
        undo_alone.plan(world.stack, None)


def test_an_order_that_came_meanwhile_wins(world):
    move = undo_alone.plan(world.stack, None)
    world.balancers["lb-a"].routing["token"] = 3
    with pytest.raises(StageError, match=r"users stay on 2\.0\.0"):
        undo_alone.go(world.stack, move)
    assert world.routed() == [GREEN] * 4


def test_without_the_journal_too_the_old_version_must_be_whole(world):
    move = undo_alone.plan(world.stack, None)
    world.balancers["lb-b"].servers["c-blue"]["up"] = False
    with pytest.raises(RefusedError, match="site c: lb-b sees it down"):
        undo_alone.go(world.stack, move)
    assert world.routed() == [GREEN] * 4


def test_without_the_journal_a_load_balancer_that_does_not_follow_brings_users_back(world):
    world.balancers["lb-d"].deaf = True
    with pytest.raises(StageError, match=r"lb-d did not follow; users stay on 2\.0\.0"):
        undo_alone.go(world.stack, undo_alone.plan(world.stack, None))
    assert world.routed() == [GREEN] * 4


def test_a_version_that_is_not_warm_is_named_with_the_one_that_is(world):
    with pytest.raises(RefusedError, match=r"^3.0.0 is not warm beside 2.0.0 \(1.0.0 is\)$"):
        undo_alone.plan(world.stack, "3.0.0")
