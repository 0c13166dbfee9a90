"""Where a load balancer sends users, by its own record, and how much went there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.release.load_balancers import Routing
from scripts.ssh import Session

COMMAND = "evenkeel-traffic state && evenkeel-traffic stat"
SECONDS = 15.0
BACKENDS = ("app", "app_blue", "app_green")  # users' requests, and those that name a version
UNSERVED = "BACKEND"


@dataclass(frozen=True)
class Timer:
    """A dead-man timer that a release has armed: its seconds left, whether it has fired, and why it cannot."""

    release: str
    remaining: float
    fired: bool
    held: str | None


@dataclass(frozen=True)
class Count:
    """How many requests a server has had since HAProxy started, and how many of them ended in a server error."""

    requests: int
    errors: int


@dataclass(frozen=True)
class Traffic:
    """One load balancer's routing, timer and counters, at a moment of this machine's clock."""

    routing: Routing
    timer: Timer | None
    counts: Mapping[str, Count]
    at: float
    raw: Mapping[str, Any]


def ask_traffic(session: Session) -> Traffic:
    """Ask a load balancer; raises SshError, and ValueError or KeyError for an answer of another version."""
    state, statistics = session.run(COMMAND, timeout=SECONDS).stdout.strip().splitlines()
    return parse_traffic(json.loads(state), json.loads(statistics), time.monotonic())


def parse_traffic(state: Mapping[str, Any], statistics: Iterable[Mapping[str, str]], at: float) -> Traffic:
    """What the two verbs printed."""
    timer = state["deadman"]
    return Traffic(
        routing=Routing.parse(state),
        timer=Timer(timer["release"], float(timer["remaining"]), bool(timer["fired"]), timer["held"])
        if timer
        else None,
        counts=parse_counts(statistics),
        at=at,
        raw=state,
    )


def parse_counts(statistics: Iterable[Mapping[str, str]]) -> dict[str, Count]:
    """Each server's counts; under UNSERVED the errors that HAProxy itself answered for want of a server."""
    found: dict[str, Count] = {}
    unserved = 0
    for row in statistics:
        name = row["svname"]
        if row["pxname"] not in BACKENDS or name == "FRONTEND":
            continue
        errors = int(row.get("hrsp_5xx", 0))
        if name == UNSERVED:
            unserved += errors
            continue
        known = found.get(name, Count(0, 0))
        found[name] = Count(known.requests + int(row.get("stot", 0)), known.errors + errors)
        unserved -= errors
    return found | {UNSERVED: Count(max(unserved, 0), max(unserved, 0))}


def rates(before: Traffic | None, after: Traffic) -> dict[str, tuple[float, float]]:
    """Requests and errors a second of each server between two looks; after a restart of HAProxy, since then."""
    if before is None or after.at <= before.at:
        return {}
    seconds = after.at - before.at
    found = {}
    for name, now in after.counts.items():
        then = before.counts.get(name, Count(0, 0))
        if now.requests < then.requests:
            then = Count(0, 0)
        found[name] = ((now.requests - then.requests) / seconds, max(now.errors - then.errors, 0) / seconds)
    return found
