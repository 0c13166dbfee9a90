"""A small stack in memory for the stages to work on: sessions lead to it instead of to hosts.

Load balancers run the real scripts/host/evenkeel_routing.py, each on a folder of its own and a HAProxy of the tests;
the control host runs the real journal on a file; application servers are slots in memory, and so is the database (see
ring.py). What a test breaks is said
in `away`, `broken`, `down`, `hangs` and `smoke`; what was sent to load balancers is in `orders`, in its order.
"""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import sqlite3
import sys
import tarfile
import threading
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, RLock
from typing import Any

import pytest

from scripts.journal.schema import connect
from scripts.journal.store import VERBS, MisuseError, Refused, Store
from scripts.release.run import run
from scripts.release.skip import skipped
from scripts.ssh import Command, CommandError, Dialogue, Login, Result, Session, UnreachableError, compose, shorten
from tests.conftest import MANIFEST, write_artifact
from tests.unit.cli.programs import TOOLS
from tests.unit.host.haproxy import FakeHaproxy
from tests.unit.release.ring import FailedHere, Node, RefusedHere, RingInMemory

sys.path.insert(0, str(TOOLS))

import evenkeel_deadman
import evenkeel_freeze
import evenkeel_haproxy
import evenkeel_routing

SLOTS = ("blue", "green")
SITES = ("a", "b", "c", "d")
ONE = RLock()  # the host tools' modules are global: one load balancer at a time
VERDICT_KEYS = {"stage", "state", "ok", "reason", "figures", "seconds", "at"}
TABLES = tomllib.loads(MANIFEST.format(version="1.0.0"))["tables"]
# Nothing here is slow, so nothing needs to wait as long as it does for machines.
QUICK = {
    "scripts.release.stages.shift.EASE_SECONDS": 0.0,
    "scripts.release.supervisor.BEAT_SECONDS": 0.1,
    "scripts.release.supervisor.LEASE_SECONDS": 0.5,
    "scripts.release.stages.preflight.POLL_SECONDS": 0.03,
    "scripts.release.stages.preflight.LEASE_SECONDS": 0.3,
    "scripts.release.stages.preflight.UP_SECONDS": 0.0,
    "scripts.release.stages.install.DRAIN_SECONDS": 0.0,
    "scripts.release.stages.install.CHECK_SECONDS": 0.0,
    "scripts.release.stages.gate.LOOK_SECONDS": 0.02,
    "scripts.release.stages.shift.UP_SECONDS": 0.0,
    "scripts.release.stages.settle.IDLE_SECONDS": 0.0,
    "scripts.release.stages.settle.UP_SECONDS": 0.0,
    "scripts.release.stages.rollback.IDLE_SECONDS": 0.0,
    "scripts.release.stages.rollback.UP_SECONDS": 0.0,
    "scripts.release.canary.LOOK_SECONDS": 0.02,
    "scripts.release.stages.freeze.DRAIN_SECONDS": 0.3,
    "scripts.release.stages.freeze.LOOK_SECONDS": 0.02,
    "scripts.release.jobs.LOOK_SECONDS": 0.01,
    "scripts.release.jobs.LONGEST_LOOK_SECONDS": 0.01,
    "scripts.release.stages.backfill.MIRRORED_SECONDS": 0.01,
    "scripts.release.jobs.ROUND_SECONDS": 0.0,
    "scripts.release.jobs.BETWEEN_SECONDS": 0.0,
    "scripts.release.load_balancers.RESTART_SECONDS": 1.0,
    "scripts.release.remote_journal.LEASE_SECONDS": 20.0,
}


@dataclass
class Slot:
    """One slot of an application server."""

    version: str | None = None
    sha256: str | None = None
    active: bool = False
    restarts: int = 0
    memory_mb: int = 100
    tables: dict[str, str] = field(default_factory=dict)
    schema: list[dict[str, Any]] = field(default_factory=lambda: list(TABLES))

    def show(self) -> dict[str, Any]:
        facts = {"limits": {"memory_mb": self.memory_mb}, "tables": self.tables, "schema": self.schema}
        held = {"version": self.version, "sha256": self.sha256, **facts} if self.version else None
        return {"installed": held, "active": self.active, "restarts": self.restarts, "since": None, "memory_mb": 50.0}


class Balancer(FakeHaproxy):
    """A load balancer; it sees a server up where its slot runs, unless the test says it is down."""

    def __init__(self, machines: Machines, folder: Path) -> None:
        names = [f"{site}-{slot}" for site in machines.sites for slot in SLOTS]
        super().__init__(dict.fromkeys(names, "maint"))
        self.machines, self.folder = machines, folder
        self.silent_until = 0.0  # on the monotonic clock: until then it does not answer

    def ask(self, command: str) -> str:
        if time.monotonic() < self.silent_until:
            raise evenkeel_haproxy.RefusedError("HAProxy does not answer; is it running?", evenkeel_haproxy.GONE)
        running = {f"{site}-{name}" for site, slots in self.machines.slots.items() for name in slots}
        stopped = {name for name in running if not self.machines.runs(name)}
        self.down = stopped | self.machines.down
        return super().ask(command)


@dataclass
class Machines:
    """The stack, and what is wrong with it."""

    folder: Path
    sites: Sequence[str] = SITES
    now: float = 0.0  # added to the control host's clock
    away: set[str] = field(default_factory=set)  # hosts that cannot be reached
    down: set[str] = field(default_factory=set)  # servers that no load balancer sees up
    broken: dict[tuple[str, str], str] = field(default_factory=dict)  # (host, verb): what it says, ending with 1
    hangs: dict[tuple[str, str], Event] = field(default_factory=dict)  # (host, verb): not done before this is set
    smoke: dict[str, str] = field(default_factory=dict)  # {site: why the new instance there fails its checks}
    orders: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)  # every command: (host, verb)
    lines: list[str] = field(default_factory=list)  # the same as the hosts were told it
    slowness: int = 1
    logged: dict[str, dict[str, Any]] = field(default_factory=dict)  # what `samples` says on every load balancer
    after: Callable[[str, str], None] = lambda host, verb: None  # called when a command is done

    def __post_init__(self) -> None:
        self.slots = {site: {name: Slot() for name in SLOTS} for site in self.sites}
        self.balancers = {f"lb-{site}": Balancer(self, self.folder / f"lb-{site}") for site in self.sites}
        self.journal = Store(self.folder / "journal.sqlite", lambda: time.time() + self.now)
        self.ring = RingInMemory({f"db-{site}": Node() for site in self.sites}, uses=self.users_of)

    # --- what tests ask and say ---------------------------------------------------------------------------------------

    def runs(self, server: str) -> bool:
        """Tell whether a slot, by its server's name, runs on a host that is not away."""
        site, _, slot = server.rpartition("-")
        return self.slots[site][slot].active and f"app-{site}" not in self.away

    def users_of(self, table: str) -> list[str]:
        """Return the running slots that use a table of the database, whatever name they know it by."""
        return [
            f"{site}-{name}"
            for site, slots in self.slots.items()
            for name, slot in slots.items()
            if slot.active and any(slot.tables.get(one["name"], one["name"]) == table for one in slot.schema)
        ]

    def serve(self, version: str, slot: str = "blue", sites: Sequence[str] = ()) -> dict[str, str]:
        """Let a version be live on these sites (all), as after its release; return what `previous` is then."""
        live = {"version": version, "sha256": hashlib.sha256(version.encode()).hexdigest(), "slot": slot}
        for site in sites or self.sites:
            self.slots[site][slot] = Slot(version, live["sha256"], active=True)
        servers = {f"{site}-{slot}": {"state": "ready", "weight": 100} for site in sites or self.sites}
        for name in self.balancers:
            self.order(name, "apply", {"token": 0, "turn": 0, "release": "r0", "live": live, "servers": servers})
        self.orders.clear()
        return live

    def ready(self, balancer: str = "lb-a") -> list[str]:
        """Return the servers that users get from a load balancer."""
        return sorted(name for name, state in self.balancers[balancer].states.items() if state == "ready")

    def everywhere(self) -> list[str]:
        """Return the servers that users get, which must be the same on every load balancer."""
        answers = {tuple(self.ready(name)) for name in self.balancers}
        assert len(answers) == 1, answers
        return list(answers.pop())

    def timer(self, balancer: str = "lb-a") -> dict[str, Any] | None:
        """Return a load balancer's dead-man timer."""
        with self.at(balancer):
            found: dict[str, Any] | None = evenkeel_routing.state()["deadman"]
            return found

    def expire(self, *balancers: str) -> None:
        """Let the dead-man timers of these load balancers (all) run out."""
        for name in balancers or self.balancers:
            with self.at(name):
                pending = evenkeel_deadman.pending()
                if pending:
                    evenkeel_deadman.write(pending | evenkeel_deadman.deadline(-1))
                evenkeel_routing.expire()

    def applied(self, balancer: str = "lb-a") -> list[dict[str, str]]:
        """Return the states that a load balancer was told to apply, order by order."""
        told = [order for name, verb, order in self.orders if name == balancer and verb == "apply"]
        return [{server: facts["state"] for server, facts in order["servers"].items()} for order in told]

    def end(self) -> None:
        """Let nothing that a stage left behind reach these machines any more."""
        for waiting in self.hangs.values():
            waiting.set()
        self.away |= {host["name"] for host in self.stack()["hosts"]}

    def signal(self, kind: str, reason: str = "because") -> None:
        """Say something to the release in progress, as `evenkeel abort` does."""
        self.journal.signal({"kind": kind, "who": "eve@desk", "reason": reason})

    # --- the hosts ----------------------------------------------------------------------------------------------------

    def at(self, balancer: str) -> Any:
        """Let the host's modules be those of one load balancer."""
        return Here(self.balancers[balancer])

    def order(self, balancer: str, verb: str, document: dict[str, Any]) -> dict[str, Any]:
        """Give a load balancer an order; raises evenkeel_haproxy.RefusedError."""
        with self.at(balancer):
            self.orders.append((balancer, verb, document))
            answer: dict[str, Any] = getattr(evenkeel_routing, verb)(document)
            return answer

    def run(self, host: str, command: str, stdin: bytes) -> Result:
        """Run a command on a host."""
        program, *arguments = shlex.split(command)
        match program, arguments:
            case "evenkeel-traffic", [verb, *_]:
                return self.traffic(host, verb, stdin)
            case "evenkeel-slot", [verb, *rest]:
                return self.slot(host, verb, rest, stdin)
            case "evenkeel-serving", _:
                return Result("", "", 0)
            case "cd", [*_, "scripts.tables", verb]:
                return self.tables_verb(verb, stdin)
            case "cd", [*_, verb]:
                return self.journal_verb(verb, stdin)
        return self.database_tool(host, program, arguments, stdin)

    def database_tool(self, host: str, program: str, arguments: Sequence[str], stdin: bytes) -> Result:
        """Be a tool of a database node's host."""
        match program, arguments:
            case "evenkeel-mirror", [verb]:
                return Result(json.dumps(self.ring.on_node(host, verb, json.loads(stdin or b"{}"))), "", 0)
            case "evenkeel-import", []:
                if self.ring.no_import:
                    return Result("", f"evenkeel-import on {host}: {self.ring.no_import}", 1)
                return Result(json.dumps(self.ring.take_over(host, json.loads(stdin))), "", 0)
        return Result(self.ring.nodes[host].on_disk(host, program, arguments), "", 0)

    def traffic(self, host: str, verb: str, stdin: bytes) -> Result:
        """Be evenkeel-traffic."""
        try:
            if verb == "samples":
                return Result(json.dumps({"servers": self.logged}), "", 0)
            if verb == "state":
                with self.at(host):
                    return Result(json.dumps(evenkeel_routing.state()), "", 0)
            return Result(json.dumps(self.order(host, verb, json.loads(stdin))), "", 0)
        except evenkeel_haproxy.RefusedError as refusal:
            return Result("", f"evenkeel-traffic on {host}: {refusal}", refusal.status)

    def slot(self, host: str, verb: str, rest: Sequence[str], stdin: bytes) -> Result:
        """Be evenkeel-slot."""
        site = host.removeprefix("app-")
        slots = self.slots[site]
        rest = [word for word in rest if not word.startswith("--")]
        done: dict[str, Any] = {}
        match verb, rest:
            case "show", []:
                done = {name: slot.show() for name, slot in slots.items()}
            case "install", [name, sha256, *named]:
                assert not slots[name].active, f"installed into a slot of {site} that runs"
                assert hashlib.sha256(stdin).hexdigest() == sha256
                manifest, tables = manifest_in(stdin), dict(part.split("=") for part in named)
                slots[name] = Slot(manifest["version"], sha256, tables=tables, schema=manifest["tables"])
            case "start", [name, *counted]:
                slots[name].active = True
                done = {"warmed": {"requests": int(counted[0]), "failed": 0, "p50_ms": 3.0}} if counted else {}
            case "stop", [name]:
                slots[name].active = False
            case "smoke", [_]:
                reason = self.smoke.get(site)
                failed = {"name": "it lists items", "reason": reason} if reason else None
                done = {"passed": 2, "checks": [{"name": "it lists items", "ms": 7}], "failed": failed}
            case _:
                raise AssertionError((verb, rest))
        return Result(json.dumps(done), "", 0)

    def tables_verb(self, verb: str, stdin: bytes) -> Result:
        """Be `python3 -m scripts.tables`."""
        try:
            return Result(json.dumps(self.ring.ask(verb, json.loads(stdin))), "", 0)
        except RefusedHere as refusal:
            return Result(json.dumps({"refused": str(refusal)}), "", 3)
        except FailedHere as error:
            return Result("", f"scripts.tables: {error}", 1)

    def journal_verb(self, verb: str, stdin: bytes) -> Result:
        """Be `python3 -m scripts.journal`."""
        try:
            return Result(json.dumps(VERBS[verb](self.journal, json.loads(stdin))), "", 0)
        except Refused as refusal:
            return Result(json.dumps({"refused": str(refusal), **refusal.details}), "", 3)
        except MisuseError as error:
            return Result("", f"scripts.journal: {error}", 2)

    # --- releases -----------------------------------------------------------------------------------------------------

    def stack(self) -> dict[str, Any]:
        """Return the stack as stages are told it."""
        names = [(f"{role}-{site}", role, site) for role in ("lb", "app", "db") for site in self.sites]
        hosts = [*names, ("control", "control", None), ("runner", "runner", None)]
        return {
            "name": "test",
            "service": "test.evenkeel.test",
            "hosts": [
                {
                    "name": name,
                    "role": role,
                    "site": site,
                    "address": f"10.0.0.{number}",
                    "host_key": "ssh-ed25519 AAAA",
                }
                for number, (name, role, site) in enumerate(hosts, 1)
            ],
            "deploy_key": "none",
            "ring": {
                "contact_points": ["10.0.0.9"],
                "datacenter": "dc1",
                "keyspace": "evenkeel",
                "admin_password": "-",
            },
            **({"slowness": self.slowness} if self.slowness > 1 else {}),
        }

    def release(self, previous: Mapping[str, Any] | None, groups: Sequence[Sequence[str]] = (), **plan: Any) -> Run:
        """Return a release of 2.0.0, or of the `version` and `manifest` given, into the slot that is not live."""
        slot = plan.pop("slot", "green" if previous else "blue")
        more = {key: plan.pop(key) for key in ("revert", "id", "number", "pairs") if key in plan}
        version, manifest = plan.pop("version", "2.0.0"), plan.pop("manifest", MANIFEST)
        path = write_artifact(self.folder / "artifacts", version, manifest)
        half = (len(self.sites) + 1) // 2
        document = {
            "id": f"r2-{version}",
            "number": 2,
            "version": version,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "artifact": str(path),
            "slot": slot,
            "previous": previous,
            "plan": {
                "strategy": "bluegreen",
                "groups": [list(group) for group in groups or (self.sites[:half], self.sites[half:])],
                "gate": "none",
                "gate_seconds": 1,
                "bake_seconds": 0,
                "canary": {
                    "steps": [5, 50],
                    "bake_seconds": 0.1,
                    "min_requests": 10,
                    "max_error_increase": 0.01,
                    "max_latency_ratio": 1.5,
                },
                "deadman_seconds": 30,
                "lock_wait_seconds": 0,
                "window": "",
                "app_memory_mb": 512,
                **plan,
            },
            "revert": False,
            "origin": "pulumi",
            "who": "root@here",
            **more,
        }
        return Run(self, document)


@dataclass
class Run:
    """A release whose stages a test runs one by one; `verdicts` are those so far, in order."""

    machines: Machines
    document: dict[str, Any]
    verdicts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The stages' names, in order."""
        from components.stages import order

        return [stage.name for stage in order(len(self.document["plan"]["groups"]))]

    def input(self) -> dict[str, Any]:
        """What the next stage is told."""
        return {"release": self.document, "stack": self.machines.stack(), "earlier": list(self.verdicts)}

    def stage(self, name: str) -> dict[str, Any]:
        """Run one stage as `python -m scripts.release stage NAME` does."""
        verdict = skipped(name, self.input()) or run(name, self.input())
        for thread in threading.enumerate():
            if thread.name.endswith("(beat)"):
                thread.join(10)  # the stage's process is gone when it has spoken, and so is its heartbeat
        assert set(verdict) == VERDICT_KEYS
        json.dumps(verdict)
        self.verdicts.append(verdict)
        return verdict

    def to(self, last: str) -> dict[str, Any]:
        """Run the stages that have not run, up to and with this one; return its verdict."""
        for name in self.names[len(self.verdicts) : self.names.index(last) + 1]:
            self.stage(name)
        return self.verdicts[-1]

    def before(self, name: str) -> Run:
        """Run the stages that have not run, up to this one but without it."""
        place = self.names.index(name)
        if place:
            self.to(self.names[place - 1])
        return self

    def states(self) -> dict[str, str]:
        """How each stage ended."""
        return {verdict["stage"]: verdict["state"] for verdict in self.verdicts}


def hears_the_abort(run: Run) -> None:
    """Hold that the stage that ran last was aborted; or, if it was quicker than the heartbeat, the one after it."""
    if run.verdicts[-1]["state"] == "passed":
        run.stage(run.names[len(run.verdicts)])
    assert "aborted by eve@desk" in run.verdicts[-1]["reason"], run.verdicts[-2:]


def manifest_in(content: bytes) -> dict[str, Any]:
    """Return the manifest of an artifact."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        member = tar.extractfile("evenkeel.toml")
        assert member is not None
        return tomllib.loads(member.read().decode())


class Here:
    """While it is open, the host's modules are one load balancer's; one at a time, as they are global."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer

    def __enter__(self) -> None:
        ONE.acquire()
        self.balancer.folder.mkdir(exist_ok=True)
        self.before = evenkeel_haproxy.FOLDER, evenkeel_haproxy.ask
        evenkeel_haproxy.FOLDER, evenkeel_haproxy.ask = str(self.balancer.folder), self.balancer.ask

    def __exit__(self, *_: object) -> None:
        evenkeel_haproxy.FOLDER, evenkeel_haproxy.ask = self.before
        ONE.release()


def session_to(machines: Machines) -> type[Session]:
    """Return the class of sessions that lead to these machines."""

    class ToMachines(Session):
        def __init__(self, login: Login, connect_timeout: float = 0) -> None:
            self.login = login
            self.refuse_if_away()

        def refuse_if_away(self) -> None:
            if self.login.name in machines.away:
                raise UnreachableError(self.login.name, "no SSH: no answer within 3 s")

        def close(self) -> None:
            pass

        def run(self, command: Command, stdin: str | bytes = b"", *, timeout: float = 0, check: bool = True) -> Result:
            self.refuse_if_away()
            text, host = compose(command), self.login.name
            verb = shlex.split(text)[-1] if text.startswith("cd ") else (shlex.split(text) * 2)[1]
            machines.seen.append((host, verb))
            machines.lines.append(text)
            if (host, verb) in machines.hangs:
                machines.hangs[host, verb].wait(20)
            said = machines.broken.get((host, verb))
            content = stdin.encode() if isinstance(stdin, str) else stdin
            result = machines.run(host, text, content) if said is None else Result("", f"tool on {host}: {said}", 1)
            machines.after(host, verb)
            if check and not result.ok:
                raise CommandError(host, shorten(text), result)
            return result

        def converse(self, command: Command) -> Dialogue:
            self.refuse_if_away()
            return Listener(self, compose(command).removesuffix(" listen"))

    return ToMachines


class Listener(Dialogue):
    """A program that listens: each line is one run of it."""

    def __init__(self, session: Session, program: str) -> None:
        self.session, self.program = session, program

    def ask(self, line: str, timeout: float) -> str:
        asked = json.loads(line)
        result = self.session.run(f"{self.program} {asked['verb']}", json.dumps(asked["order"]), check=False)
        told = {"answer": json.loads(result.stdout)} if result.stdout else {"said": result.stderr}
        return json.dumps({"status": result.exit_status, **told})

    def close(self) -> None:
        pass


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, sites: Sequence[str] = SITES) -> Machines:
    """Return machines that stages of this process reach, and let no stage wait long."""
    machines = Machines(folder, sites)
    session = session_to(machines)
    for module in ("fleet", "remote_journal", "control_tables"):
        monkeypatch.setattr(f"scripts.release.{module}.SharedSession", session)
    for name, seconds in QUICK.items():
        monkeypatch.setattr(name, seconds)
    monkeypatch.setattr(evenkeel_routing, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(evenkeel_deadman, "run", lambda: None)
    monkeypatch.setattr(evenkeel_freeze, "older_processes", lambda: [])
    monkeypatch.setattr(evenkeel_haproxy.os, "fsync", lambda _: None)
    monkeypatch.setattr("scripts.journal.store.connect", forgetful)
    return machines


def forgetful(path: Path) -> sqlite3.Connection:
    """Open a journal that need not survive a power cut."""
    connection = connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection
