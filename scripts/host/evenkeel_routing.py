#!/usr/bin/python3
"""Where this load balancer sends users, as releases want it; for evenkeel-traffic, a module, not a command.

`routing.json` is the truth: which servers users get, which release said so, and its (token, turn): the lock's token and
the stage's place in the release, so that whoever has lost the lock, or is late, is refused. HAProxy's own state file is
made from it.

A release that moves users arms the dead-man timer (`deadman.json`) first: unless it is renewed and in the end
confirmed, `watch` takes users back to the routing from before the release.

Writes may have to wait for a release (`frozen`, evenkeel_freeze): the timer ends that too, once users are back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import evenkeel_deadman as deadman
import evenkeel_freeze as freezing
import evenkeel_haproxy as haproxy
from evenkeel_haproxy import RefusedError, Servers

OLDER, UNSAFE, FIRED = 4, 5, 6  # exit statuses
WAIT_SECONDS = 3.0
POLL_SECONDS = 0.25
ORDER_KEYS = {"token", "turn", "release", "live", "servers", "versions", "deadman", "seconds", "force", "freeze"}

Record = dict[str, Any]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of this host's routing."""
    os.makedirs(haproxy.FOLDER, exist_ok=True)
    with open(f"{haproxy.FOLDER}/lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load(name: str) -> Record | None:
    """Return a JSON file of the state folder, or None."""
    text = haproxy.read(name)
    found: Record | None = json.loads(text) if text else None
    return found


def routing() -> Record:
    """Return the routing; where none was ever written, HAProxy's own."""
    empty: Record = {"release": None, "token": 0, "turn": 0, "live": None, "versions": {}, "frozen": None, "at": 0.0}
    return load("routing.json") or empty | {"servers": plain(haproxy.servers())}


def plain(servers: Servers) -> Servers:
    """Return only what is routed by: state and weight."""
    return {name: {"state": facts["state"], "weight": facts["weight"]} for name, facts in servers.items()}


def store(record: Record) -> None:
    """Make `record` the truth, and HAProxy's next start follow it."""
    haproxy.write("routing.json", json.dumps(record | {"at": time.time()}))
    haproxy.save(record["servers"])


def state() -> Record:
    """Return servers, routing, timer, and how it is with writes: whether they wait, and how many are under way."""
    pending = deadman.pending()
    timer = pending and {
        "release": pending["release"],
        "remaining": round(deadman.remaining(pending), 2),
        "fired": pending["fired"],
        "held": pending["held"],
    }
    writes = {"frozen": freezing.frozen(), "under_way": freezing.under_way()}
    return {"servers": haproxy.details(), "routing": load("routing.json"), "deadman": timer, "writes": writes}


def arm(order: Record, record: Record) -> None:
    """Arm or renew the timer, remembering at first the routing that it returns to.

    A release that finds no server open has nothing to return to: it is not armed.
    """
    pending = deadman.pending()
    if pending is None or pending["fired"]:
        if not any(facts["state"] == "ready" for facts in record["servers"].values()):
            deadman.disarm()
            return
        pending = {"before": {key: record[key] for key in ("release", "live", "servers")}}
    fence = {key: order[key] for key in ("release", "token", "turn")}
    deadman.write(pending | fence | deadman.deadline(order["deadman"]["seconds"]) | {"fired": False, "held": None})
    deadman.run()


def refuse_fired(order: Record) -> None:
    """Refuse a release whose users have been taken back, unless it has since taken the lock anew."""
    pending = deadman.pending()
    if pending and pending["fired"] and pending["token"] == order["token"] and not order.get("force"):
        raise RefusedError(f"the dead-man timer of {pending['release']} has fired: traffic is back where it was", FIRED)


# --- changes ------------------------------------------------------------------------------------------------------


def fenced(order: Record) -> Record:
    """Return the routing if `order` may change it, with its token and turn; refuse a late or fallen one."""
    record = routing()
    pair, last = (order["token"], order["turn"]), (record["token"], record["turn"])
    if pair < last:
        words = "token {} turn {} is older than token {} turn {}, which was here last".format(*pair, *last)
        raise RefusedError(words, OLDER)
    return record | {"token": order["token"], "turn": order["turn"]}


def check_order(order: object, *needed: str) -> Record:
    """Return the order that standard input gave, if it has what it needs in the right form."""
    if not isinstance(order, dict) or not {"token", "turn", *needed} <= set(order) <= ORDER_KEYS:
        raise RefusedError(
            f"the order must be a JSON object with token, turn{''.join(f', {key}' for key in needed)}", 2
        )
    if not all(isinstance(order[key], int) for key in ("token", "turn")):
        raise RefusedError("token and turn must be whole numbers", 2)
    for slot in order.get("versions", {}).values():
        if slot not in haproxy.SLOTS:
            raise RefusedError(f"slot {slot!r} is not one of {', '.join(haproxy.SLOTS)}", 2)
    wait = order.get("freeze")
    if wait is not None and (not isinstance(wait, int) or not 1 <= wait <= 3600):
        raise RefusedError("freeze must be the seconds of Retry-After, 1 to 3600, or null", 2)
    return order


def wanted_servers(changes: Mapping[str, Record], record: Record, current: Servers) -> Servers:
    """Return the routing of all servers that exist once `changes` are made: those not named stay as they are."""
    target: Servers = {}
    for name, facts in current.items():
        closed = {"state": "maint", "weight": facts["weight"]}
        target[name] = dict(record["servers"].get(name, closed))
    for name, change in changes.items():
        if name not in current:
            raise RefusedError(f"no server {name!r} here; there are: {', '.join(sorted(current))}")
        weight = change.get("weight", target[name]["weight"])
        if change.get("state") not in haproxy.STATES or not isinstance(weight, int) or not 0 <= weight <= 256:
            raise RefusedError(f"server {name}: give a state of {', '.join(haproxy.STATES)} and a weight from 0 to 256")
        target[name] = {"state": change["state"], "weight": weight}
    return target


def serving(target: Servers, health: Servers) -> list[str]:
    """Return the servers that get users under `target` and can answer."""
    return [
        name
        for name, facts in target.items()
        if facts["state"] == "ready" and facts["weight"] and health.get(name, {}).get("up")
    ]


def await_health(target: Servers) -> Servers:
    """Give the servers that are about to be opened a moment to be up; return what there is then."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        current = haproxy.servers()
        opening = [name for name in target if target[name]["state"] == "ready" != current[name]["state"]]
        if all(current[name]["up"] for name in opening) or time.monotonic() > end:
            return current
        time.sleep(0.1)


def switch(target: Servers, current: Servers) -> None:
    """Bring HAProxy to `target`, opening before closing; put everything back if it refuses anything."""
    changed: list[str] = []
    try:
        for name in sorted(target, key=lambda name: target[name]["state"] != "ready"):
            if plain({name: current[name]})[name] != target[name]:
                changed.append(name)
                haproxy.set_server(name, target[name])
    except RefusedError:
        for name in reversed(changed):
            with contextlib.suppress(RefusedError):
                haproxy.set_server(name, current[name])
        raise


def apply(order: Record) -> Record:
    """Change where users go, all or nothing."""
    check_order(order, "release", "servers")
    with alone():
        record = fenced(order)
        refuse_fired(order)
        target = wanted_servers(order["servers"], record, haproxy.servers())
        current = await_health(target)
        if serving(plain(current), current) and not serving(target, current) and not order.get("force"):
            raise RefusedError("this would leave no server that is open and up; nothing was changed", UNSAFE)
        if "deadman" in order:
            arm(order, record)
        if order.get("freeze"):
            freezing.freeze(order["freeze"])
            record |= {"frozen": {"release": order["release"], "seconds": order["freeze"], "at": time.time()}}
        switch(target, current)
        record |= {"release": order["release"], "servers": target}
        if "freeze" in order and not order["freeze"]:
            thaw(record)  # not before users are where they are to write
        record |= {key: order[key] for key in ("live", "versions") if key in order}
        store(record)
        haproxy.save_versions(record["versions"])
        return state()


def thaw(record: Record) -> None:
    """Let writes through again, if they wait."""
    if record.get("frozen") or freezing.frozen():
        record["frozen"] = None
        store(record)
        freezing.thaw()


def renew(order: Record) -> Record:
    """Put the deadline off."""
    check_order(order, "seconds")
    with alone():
        record = fenced(order)
        refuse_fired(order)
        pending = deadman.pending()
        if pending and not pending["fired"]:
            haproxy.write("routing.json", json.dumps(record))
            own = {"token": order["token"], "turn": order["turn"], "held": None}
            deadman.write(pending | own | deadman.deadline(order["seconds"]))
        return state()


def confirm(order: Record) -> Record:
    """Make the routing the one to keep: no timer, and `live`, if given, is what users get."""
    check_order(order)
    with alone():
        record = fenced(order)
        refuse_fired(order)
        store(record | {key: order[key] for key in ("live",) if key in order})
        deadman.disarm()
        return state()


def revert(order: Record) -> Record:
    """Go back to the routing from before the release, now; with no timer armed there is nothing to go back to."""
    check_order(order)
    with alone():
        record = fenced(order)
        pending = deadman.pending()
        if pending and not pending["fired"]:
            go_back(record, pending)
        elif load("routing.json"):
            store(record)
        deadman.disarm()
        return state() | {"reverted": bool(pending)}


def go_back(record: Record, pending: Record) -> None:
    """Route as before the release, and let writes through; refused while none of the servers of then can answer."""
    before = pending["before"]
    # A server that is new since then stays closed.
    target = wanted_servers({}, before, haproxy.servers())
    current = haproxy.servers()
    if plain(current) == target:
        thaw(record)  # users have not been moved yet: no reason to have writes wait for anything
    if not serving(target, current):
        current = await_health(target)
    if not serving(target, current):
        raise RefusedError("none of the servers from before the release is up; traffic stays where it is", UNSAFE)
    switch(target, current)
    record |= {key: before[key] for key in ("release", "live", "servers")} | {"servers": target}
    store(record)
    thaw(record)


def restore() -> None:
    """Bring HAProxy, or its next start, to routing.json."""
    with alone():
        record = load("routing.json")
        haproxy.save(record and record["servers"])
        haproxy.save_versions(record["versions"] if record else {})
        held = (record or {}).get("frozen")
        with contextlib.suppress(RefusedError):
            # The file is written even where HAProxy does not run: it is what its start reads.
            freezing.freeze(held["seconds"]) if held else freezing.thaw()
        if record is None:
            return
        with contextlib.suppress(RefusedError):
            current = haproxy.servers()
            switch(wanted_servers({}, record, current), current)


def set_one(server: str, wanted: Record) -> None:
    """Change one server by hand."""
    with alone():
        record = routing()
        current = haproxy.servers()
        target = wanted_servers({server: wanted}, record, current)
        switch(target, current)
        store(record | {"servers": target})


def thaw_by_hand() -> None:
    """Let writes through whatever a release says; for a person who knows that no release goes on."""
    with alone():
        thaw(routing())


def watch() -> None:
    """Wait for deadlines, for ever, and take users back when one passes."""
    while True:
        with alone():
            pause = expire()
        time.sleep(pause)


def expire() -> float:
    """Take users back if the deadline has passed; return the seconds until the next look."""
    pending = deadman.pending()
    if not pending or pending["fired"] or deadman.remaining(pending) > 0:
        return POLL_SECONDS
    try:
        go_back(routing(), pending)
    except RefusedError as refusal:
        if pending["held"] != str(refusal):
            print(f"the timer of {pending['release']} is held: {refusal}", flush=True)
            deadman.write(pending | {"held": str(refusal)})
        return 1.0
    print(f"nobody renewed {pending['release']}: traffic is back where it was before", flush=True)
    deadman.write(pending | {"fired": True, "held": None})
    return POLL_SECONDS
