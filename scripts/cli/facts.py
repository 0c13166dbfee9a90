"""What the hosts say of themselves: one SSH command a host, all hosts at the same time.

`gather` runs `evenkeel-facts` (scripts/host/evenkeel-facts.py, where each field is described) and returns a `Report`
a host. A part a host could not read is listed in `Facts.unread` in the host's own words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from scripts.cli.traffic import Traffic, ask_traffic
from scripts.inventory import Host, Inventory, Role
from scripts.release.journal import Journal, JournalError
from scripts.ssh import CommandError, DeadlineError, Login, Session, SshError, map_hosts

FORMAT = 1
ANSWER_SECONDS = 25.0
CONNECT_SECONDS = 2.5
Sessions = dict[Login, Session]  # connections that are kept between two looks


@dataclass(frozen=True)
class Unit:
    """A systemd unit that matters on its host."""

    name: str
    state: str
    detail: str
    enabled: bool
    result: str
    restarts: int | None

    @property
    def running(self) -> bool:
        """Whether systemd counts it as active."""
        return self.state == "active"


@dataclass(frozen=True)
class Slot:
    """One of an application server's two slots. HTTP statuses are None when nothing answered."""

    slot: str
    installed: str | None
    version: str | None
    health: int | None
    ready: int | None
    error: str | None

    @property
    def serves(self) -> bool:
        """Whether the instance says that it is alive and can serve."""
        return self.health == 200 and self.ready == 200


@dataclass(frozen=True)
class Server:
    """An application slot as one load balancer sees it: its site and slot, state, and weight."""

    site: str
    slot: str
    state: str
    status: str
    weight: int
    check: str | None

    @property
    def takes_traffic(self) -> bool:
        """Whether this load balancer sends it requests."""
        return self.state in ("UP", "no") and self.weight > 0


@dataclass(frozen=True)
class Node:
    """A database node as another sees it, in nodetool's two letters (UN: up, normal)."""

    state: str
    address: str


@dataclass(frozen=True)
class Ring:
    """The database's ring as one node sees it, `age` seconds ago."""

    nodes: tuple[Node, ...]
    age: float


@dataclass(frozen=True)
class Zone:
    """What a name server answers: the zone's serial, and the service's addresses."""

    serial: int
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What one host says. Parts of other roles are empty or None; memory is in bytes, uptime in seconds."""

    units: tuple[Unit, ...]
    failed: tuple[str, ...]
    memory_used: int | None
    memory_limit: int | None
    load: float | None
    uptime: float | None
    slots: tuple[Slot, ...]
    servers: tuple[Server, ...]
    takes_clients: bool | None
    ring: Ring | None
    zone: Zone | None
    unread: tuple[str, ...]
    raw: Mapping[str, Any]

    def unit(self, name: str) -> Unit | None:
        """The unit of this name, if it matters here."""
        return next((unit for unit in self.units if unit.name == name), None)


@dataclass(frozen=True)
class Report:
    """One host and its facts, or why there are none. `seconds` is how long it took.

    A load balancer's `traffic` and the control host's `journal` come from tools of their own; `lacks` says why not. So
    does a database node's `mirror` ({"jar_sha256", "pairs"}), which it may do without.
    """

    host: Host
    facts: Facts | None
    error: SshError | None
    seconds: float
    traffic: Traffic | None = None
    journal: Mapping[str, Any] | None = None
    lacks: str = ""
    mirror: Mapping[str, Any] | None = None

    @property
    def reachable(self) -> bool:
        """Whether the host answered at all, even if not with facts."""
        return self.facts is not None or isinstance(self.error, CommandError | DeadlineError)


def gather(inventory: Inventory, sessions: Sessions | None = None) -> tuple[Report, ...]:
    """Ask every host of the stack, all at the same time; in the inventory's order.

    Connections are kept in `sessions`, if given, for the next time.
    """
    hosts = {host.name: host for host in inventory.hosts}

    def ask(login: Login) -> Report:
        return ask_host(hosts[login.name], login, inventory, sessions)

    answers = map_hosts([inventory.login(host) for host in inventory.hosts], ask)
    return tuple(report for report in answers.values() if isinstance(report, Report))


def ask_host(host: Host, login: Login, inventory: Inventory, sessions: Sessions | None = None) -> Report:
    """Ask one host; what goes wrong becomes part of the report."""
    command = ["evenkeel-facts", *login.slowness_arguments()]
    if host.role is Role.NAME_SERVER:
        command += ["--zone", inventory.zone, "--name", inventory.service]
    begin = time.monotonic()
    facts, failure = None, None
    more: dict[str, Any] = {}
    try:
        with connected(login, sessions) as session:
            facts = parse(json.loads(session.run(command, timeout=ANSWER_SECONDS).stdout))
            more = ask_more(host, session)
    except SshError as error:
        failure = error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        failure = SshError(host.name, f"evenkeel-facts prints something else than this version reads ({error!r})")
    return Report(host, facts, failure, round(time.monotonic() - begin, 3), **more)


def look_again(inventory: Inventory, reports: Sequence[Report], sessions: Sessions) -> tuple[Report, ...]:
    """The same reports with what changes by the second asked anew: the load balancers' traffic and the journal."""
    known = {report.host.name: report for report in reports}

    def ask(login: Login) -> Report:
        report = known[login.name]
        if report.facts is None or report.lacks:
            return ask_host(report.host, login, inventory, sessions)
        try:
            with connected(login, sessions) as session:
                return replace(report, **ask_more(report.host, session))
        except SshError as error:
            return replace(report, facts=None, error=error, traffic=None, journal=None)

    chosen = [report.host for report in reports if report.host.role in (Role.LOAD_BALANCER, Role.CONTROL)]
    answers = map_hosts([inventory.login(host) for host in chosen], ask)
    return tuple(
        answer if isinstance(answer := answers.get(report.host.name), Report) else report for report in reports
    )


@contextmanager
def connected(login: Login, sessions: Sessions | None) -> Iterator[Session]:
    """A connection to a host: a kept one if there is, and kept unless it fails."""
    session = sessions.pop(login, None) if sessions is not None else None
    session = session or Session(login, CONNECT_SECONDS)
    try:
        yield session
    except BaseException:
        session.close()
        raise
    if sessions is None:
        session.close()
    else:
        sessions[login] = session


def ask_more(host: Host, session: Session) -> dict[str, Any]:
    """What a role's own tool says beside the facts, as a Report's fields."""
    try:
        if host.role is Role.LOAD_BALANCER:
            return {"traffic": ask_traffic(session)}
        if host.role is Role.CONTROL:
            return {"journal": Journal(session, ANSWER_SECONDS).read()}
        if host.role is Role.DATABASE:
            return {"mirror": ask_mirror(session)}
    except (SshError, JournalError) as error:
        return {"lacks": error.reason if isinstance(error, SshError) else str(error)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {"lacks": f"it answers something else than this version reads ({error!r})"}
    return {}


def ask_mirror(session: Session) -> Mapping[str, Any] | None:
    """What a database node has of the mirror; None where it has no such tool, which matters only to paired tables."""
    done = session.run(["evenkeel-mirror", "state"], timeout=ANSWER_SECONDS, check=False)
    found: Mapping[str, Any] | None = json.loads(done.stdout) if done.ok else None
    return found


def parse(raw: Mapping[str, Any]) -> Facts:
    """What evenkeel-facts printed, as Facts."""
    if raw["format"] != FORMAT:
        raise ValueError(f"format {raw['format']}")
    unread: list[str] = []
    units = readable(raw, "units", unread) or []
    memory = readable(raw, "memory", unread) or {}
    balancer = readable(raw, "lb", unread) or {}
    database = readable(raw, "db", unread) or {}
    zone = readable(raw, "ns", unread)
    return Facts(
        units=tuple(parse_unit(unit) for unit in units),
        failed=tuple(readable(raw, "failed", unread) or ()),
        memory_used=memory.get("used"),
        memory_limit=memory.get("limit"),
        load=next(iter(readable(raw, "load", unread) or ()), None),
        uptime=readable(raw, "uptime", unread),
        slots=tuple(parse_slot(slot) for slot in readable(raw, "app", unread) or ()),
        servers=tuple(filter(None, (parse_server(server) for server in balancer.get("servers", ())))),
        takes_clients=database.get("takes_clients"),
        ring=parse_ring(readable(database, "ring", unread)),
        zone=Zone(zone["serial"], tuple(zone["addresses"])) if zone else None,
        unread=tuple(unread),
        raw=raw,
    )


def readable(raw: Mapping[str, Any], part: str, unread: list[str]) -> Any:
    """A part of the facts, or None when it is not there or could not be read; then its reason is added to `unread`."""
    value = raw.get(part)
    if isinstance(value, dict) and "error" in value:
        unread.append(f"{part}: {value['error']}")
        return None
    return value


def parse_unit(unit: Mapping[str, Any]) -> Unit:
    """One unit."""
    return Unit(unit["name"], unit["state"], unit["detail"], unit["enabled"], unit["result"], unit["restarts"])


def parse_slot(slot: Mapping[str, Any]) -> Slot:
    """One slot."""
    return Slot(
        slot["slot"], slot["installed"], slot["version"], slot.get("health"), slot.get("ready"), slot.get("error")
    )


def parse_server(server: Mapping[str, Any]) -> Server | None:
    """One server of a load balancer; None when it is no application slot («site-slot»)."""
    site, dash, slot = server["server"].rpartition("-")
    if not dash or slot not in ("blue", "green"):
        return None
    return Server(site, slot, server["state"], server["status"], server["weight"], server["check"])


def parse_ring(ring: Mapping[str, Any] | None) -> Ring | None:
    """The ring, None when the node could not tell."""
    if ring is None:
        return None
    return Ring(tuple(Node(node["state"], node["address"]) for node in ring["nodes"]), float(ring["age"]))
