#!/usr/bin/python3
"""Read and change where this load balancer sends requests; the only door to HAProxy's admin socket.

    evenkeel-traffic show                       every server's state and weight, as JSON
    evenkeel-traffic stat                       HAProxy's own counters, as JSON
    evenkeel-traffic set SERVER STATE [WEIGHT]  by hand: STATE is ready, drain or maint; WEIGHT 0 to 256
    evenkeel-traffic thaw                       by hand: let writes through that wait for a release
    evenkeel-traffic save                       write the state file that a start or reload reads back
    evenkeel-traffic restore                    bring HAProxy, or its next start, to routing.json
    evenkeel-traffic watch                      be the dead-man timer (what evenkeel-deadman.service runs)

For releases; all print servers, routing, timer and writes as JSON, those after `state` read an order in JSON with at
least {"token", "turn"} from standard input:

    evenkeel-traffic state
    evenkeel-traffic apply     {"release", "servers": {NAME: {"state", "weight"?}}, "live"?, "force"?,
                                "versions"?: {VERSION: SLOT}, "deadman"?: {"seconds"}, "freeze"?}; servers not named
                                stay. "freeze": 12 has writes answered with 503 and Retry-After: 12, null ends that
    evenkeel-traffic renew     {"seconds"}: put the timer's deadline off
    evenkeel-traffic confirm   {"live"?}: keep this routing, disarm the timer
    evenkeel-traffic revert    back to the routing from before the release; adds "reverted"
    evenkeel-traffic samples   {"seconds"}: requests, errors and times of each server lately; changes nothing
    evenkeel-traffic listen    all of these, a line of JSON each: {"verb", "order"?}, answered with
                               {"status": 0, "answer"} or {"status", "said"}, until standard input ends

Exit status: 1 refused, 2 misuse, 4 the order is older than the last one, 5 it would leave no server that is up, 6 the
dead-man timer has fired, 7 HAProxy does not answer; always one sentence on standard error. Nothing else is passed on
to HAProxy: the socket is root's alone, and this allow-list is all that Evenkeel needs of it. Every change is on disk
before the command returns, so that a reload, restart, kill or reboot routes as before.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import evenkeel_haproxy as haproxy
import evenkeel_routing as routing
from evenkeel_haproxy import RefusedError
from evenkeel_samples import samples

Act = Callable[[dict[str, Any]], dict[str, Any]]
ORDERS: Mapping[str, Act] = {
    "apply": routing.apply,
    "renew": routing.renew,
    "confirm": routing.confirm,
    "revert": routing.revert,
    "samples": lambda order: samples(float(order["seconds"])),
}
ANSWERS: Mapping[str, Act] = {"state": lambda _: routing.state(), **ORDERS}
MISUSE = "use show, stat, set SERVER ready|drain|maint [WEIGHT], thaw, save, restore, watch, state, listen, "


def change(server: str, state: str, weight: str | None) -> None:
    """Set a server's state, and its weight if given."""
    if state not in haproxy.STATES:
        raise RefusedError(f"state {state!r} is not one of {', '.join(haproxy.STATES)}")
    if weight is not None and (not weight.isdigit() or int(weight) > 256):
        raise RefusedError(f"weight {weight!r} is not a whole number from 0 to 256")
    routing.set_one(server, {"state": state} | ({} if weight is None else {"weight": int(weight)}))


def save() -> None:
    """Write the state file from HAProxy's facts and routing.json."""
    with routing.alone():
        record = routing.load("routing.json")
        haproxy.save(record and record["servers"])


def obey(verb: str) -> None:
    """Carry out the order on standard input."""
    try:
        order = json.load(sys.stdin)
    except ValueError as error:
        raise RefusedError(f"standard input is not JSON: {error}", 2) from None
    print(json.dumps(ORDERS[verb](order)))


def listen() -> None:
    """Answer one line after the other, which costs a tenth of starting this program for each."""
    for line in sys.stdin:
        print(json.dumps(answer(line)), flush=True)


def answer(line: str) -> dict[str, object]:
    """Return what a line asks for, or the refusal with its exit status."""
    try:
        act, order = understood(line)
        return {"status": 0, "answer": act(order)}
    except RefusedError as refusal:
        return {"status": refusal.status, "said": sentence(refusal)}


def understood(line: str) -> tuple[Act, dict[str, Any]]:
    """Return what a line asks for and its order; what goes wrong in carrying it out is no fault of the line."""
    try:
        asked = json.loads(line)
        verb, order = asked["verb"], asked.get("order")
        if verb not in ANSWERS:
            raise RefusedError(f"{verb!r} is none of {', '.join(ANSWERS)}", 2)
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"the line cannot be understood: {error!r}", 2) from None
    return ANSWERS[verb], order


def sentence(refusal: RefusedError) -> str:
    """Return a refusal as it is told."""
    return f"evenkeel-traffic on {os.uname().nodename}: {refusal}"


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    match arguments:
        case ["show"]:
            print(json.dumps(haproxy.servers()))
        case ["stat"]:
            print(json.dumps(haproxy.counters()))
        case ["state"]:
            print(json.dumps(routing.state()))
        case ["listen"]:
            listen()
        case ["thaw"]:
            routing.thaw_by_hand()
        case ["save"]:
            save()
        case ["restore"]:
            routing.restore()
        case ["watch"]:
            routing.watch()
        case ["set", server, state]:
            change(server, state, None)
        case ["set", server, state, weight]:
            change(server, state, weight)
        case [verb] if verb in ORDERS:
            obey(verb)
        case _:
            raise RefusedError(MISUSE + f"or with an order on standard input {', '.join(ORDERS)}", 2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RefusedError as refusal:
        print(sentence(refusal), file=sys.stderr)
        sys.exit(refusal.status)
