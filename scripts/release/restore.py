"""A host that was made anew gets what its fellows have: a load balancer routing, an application server versions.

A database node gets the configurations of the mirror for the tables that live in pairs. All do nothing before the first
release, and nothing on a host that has it all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from scripts.release.app_servers import TURN_SECONDS, install, show
from scripts.release.data import configs
from scripts.release.databases import tell
from scripts.release.documents import Stack, StackHost, Version
from scripts.release.errors import StageError, StageFailedError
from scripts.release.fleet import CONNECT_SECONDS, Fleet, login
from scripts.release.journal import Journal, JournalError
from scripts.release.load_balancers import LoadBalancers, Routing
from scripts.release.turns import Turns
from scripts.ssh import Session, SshError

PATIENT_SECONDS, COPY_SECONDS = 30.0, 120.0
HOSTS = "/var/lib/evenkeel/hosts.json"


def restore_routing(document: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the load balancer named in the document to what the others route; return {"restored": [servers]}."""
    name, (stack, live) = document["host"], released(document)
    if live is None:
        return {"restored": []}
    others = [host for host in stack.of("lb") if host.name != name]
    routing = newest(stack, others)
    if routing is None:
        return {"restored": []}
    token, turn = routing.fence
    target = LoadBalancers(stack, token, turn)
    target.hosts = {host.name: host for host in stack.of("lb") if host.name == name}
    servers = {server: {"state": held.state, "weight": held.weight} for server, held in routing.servers.items()}
    target.force = True  # this one may serve nobody yet
    before = target.state()[name]
    if before.fence >= routing.fence:
        return {"restored": []}
    if routing.is_frozen:
        held = routing.remembered.get("frozen") or {}
        target.freeze(str(routing.release), int(held.get("seconds", 1)), None)
    versions = routing.remembered.get("versions")
    target.apply(str(routing.release), servers, live=routing.live, alone=routing.is_alone, versions=versions)
    return {"restored": routing.ready()}


def newest(stack: Stack, hosts: list[StackHost]) -> Routing | None:
    """Return what the load balancer that heard the newest order routes, None if none of them has heard any."""
    fleet = LoadBalancers(stack, 0, 0)
    fleet.hosts = {host.name: host for host in hosts}
    try:
        routings = fleet.state() if hosts else {}
    except StageFailedError:
        routings = {}
    known = [routing for routing in routings.values() if routing.release]
    return max(known, key=lambda routing: routing.fence, default=None)


def restore_slots(document: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the application server named in the document to the live version, and the warm one beside it."""
    name, (stack, live) = document["host"], released(document)
    if live is None:
        return {"restored": []}
    host = next(host for host in stack.of("app") if host.name == name)
    fellows = [other for other in stack.of("app") if other.name != name]
    with Session(login(stack, host), PATIENT_SECONDS) as session:
        done = [put(session, stack, fellows, version) for version in wanted(stack, fellows, live)]
    return {"restored": done}


def restore_mirror(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give the database node named in the document the mirror's configurations; return {"restored": [tables]}."""
    name, alone = document["host"], only_control(document)
    with Session(login(alone, alone.hosts[0]), PATIENT_SECONDS) as session:
        pairs = Journal(session).read(limit=1).get("pairs") or []
        hosts = json.loads(session.get(HOSTS)) if pairs else []
    if not pairs:
        return {"restored": []}
    stack = stack_with(document, hosts)
    # Of two pairs that name one table the newer counts, which comes first in the journal's list.
    told = [one for pair in reversed(pairs) for one in configs(pair["data"]) if pair["data"]["mirror"] == "trigger"]
    with Session(login(stack, next(host for host in stack.of("db") if host.name == name)), PATIENT_SECONDS) as session:
        tell(session, ["evenkeel-mirror", "configure"], told)
    return {"restored": [f"{one['keyspace']}.{one['table']}" for one in told]}


def wanted(stack: Stack, fellows: list[StackHost], live: Version) -> list[Version]:
    """Return the versions that run on the other application servers, the live one first, which must be there."""
    found = [live]
    for slots in Fleet(stack, fellows).each(lambda _, session: show(session)).values():
        if isinstance(slots, SshError):
            continue
        for name, slot in slots.items():
            if slot.is_active and slot.version and slot.sha256 and name not in {version.slot for version in found}:
                found.append(Version(slot.version, slot.sha256, name, slot.tables))
    return found


def put(session: Session, stack: Stack, fellows: list[StackHost], version: Version) -> str:
    """Install a version from a fellow's copy of its artifact, with its tables' names, unless it is there."""
    held = show(session)[version.slot]
    content = b"" if held.sha256 == version.sha256 else fetch(stack, fellows, version)
    install(session, version.slot, version.sha256, content, turns=Turns(TURN_SECONDS), tables=version.tables)
    return f"{version.version} in {version.slot}"


def fetch(stack: Stack, fellows: list[StackHost], version: Version) -> bytes:
    """Return the artifact's bytes from an application server that has it; raises StageFailedError if none does."""
    for host in fellows:
        try:
            with Session(login(stack, host), CONNECT_SECONDS) as session:
                content = session.get_bytes(f"/srv/app/{version.slot}/artifact.tar.gz", COPY_SECONDS)
        except SshError:
            continue
        if hashlib.sha256(content).hexdigest() == version.sha256:
            return content
    raise StageFailedError(f"no application server that can be reached has the artifact of {version.version}")


def released(document: Mapping[str, Any]) -> tuple[Stack, Version | None]:
    """Return the stack as the control host knows it, and the live version, None before the first. Raises SshError."""
    control, alone = document["control"], only_control(document)
    with Session(login(alone, alone.hosts[0]), PATIENT_SECONDS) as session:
        live = Version.parse(Journal(session).read()["live"])
        hosts = json.loads(session.get(HOSTS)) if live else [control]
    return stack_with(document, hosts), live


def only_control(document: Mapping[str, Any]) -> Stack:
    """Return the stack as far as it is known before the control host has said anything."""
    return stack_with(document, [document["control"]])


def stack_with(document: Mapping[str, Any], hosts: list[Any]) -> Stack:
    """Return these hosts as a stack, with the document's key to them and word on how slow they are."""
    more = {key: document[key] for key in ("deploy_key", "slowness") if key in document}
    return Stack.parse({"name": "", "service": "", "hosts": hosts, **more})


ACTIONS = {"routing": restore_routing, "slots": restore_slots, "mirror": restore_mirror}
FAILURES = (StageError, SshError, JournalError)
