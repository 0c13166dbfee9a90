"""When writes wait (`mirror: scan`): whether every load balancer has them wait, and whether a way back is still open.

Writes must never reach both tables while nothing mirrors them. So:

- they are let through to the new version only when **every** load balancer has confirmed it, which is the point of no
  return; one that cannot be reached before that fails the release;
- until then each load balancer's timer, a rollback or an abort takes users back first and lets writes through then;
- after that there is no way back: what the new version writes is in its own tables only.

A load balancer that has confirmed and still has writes wait tells that the deployer died between the two. Nothing but
the next release can say how it goes on, by what all of them say; see `stand`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from components.stages import FREEZE_SECONDS, waits
from scripts.journal.words import span
from scripts.release.control_tables import ControlTables
from scripts.release.documents import Version, listed
from scripts.release.errors import RefusedError, StageFailedError
from scripts.release.load_balancers import LoadBalancers, Routing
from scripts.release.work import Work

SINCE = "frozen_at"  # by the deployer's clock, which one update shares
# What a freeze does beside its scan: it starts a program on the control host, asks or tells all load balancers some
# sixteen times (writes under way end, users are moved and looked after), and waits for two more stages to start, for
# others to be passed over, and in between: 7 s on two cores that are not full.
LOOKS, PAUSES_SECONDS = 16, 7.0
BEYOND = "beyond"  # the figure of a release that has let writes through to the new version


class Stand(StrEnum):
    """How far a release has come in the eyes of the load balancers."""

    BEFORE = "before"  # nobody has written to the new version: users can go back
    BEYOND = "beyond"  # somebody may have: they cannot
    UNKNOWN = "unknown"  # those that cannot be asked would have to tell


def stand(routings: Mapping[str, Routing], lost: Collection[str], sha256: str) -> Stand:
    """Return how far a release of this artifact has come.

    A load balancer lets writes through to it only after all have confirmed. So one that does is proof that they may
    have been written, and one that has not confirmed is proof that they have not.
    """
    confirmed = [routing for routing in routings.values() if routing.live and routing.live.sha256 == sha256]
    if any(not routing.is_frozen for routing in confirmed):
        return Stand.BEYOND
    if len(confirmed) < len(routings):
        return Stand.BEFORE
    return Stand.UNKNOWN if lost else Stand.BEFORE


def require_frozen(balancers: LoadBalancers, routings: Mapping[str, Routing]) -> None:
    """Fail unless every load balancer of the stack answers and has writes wait."""
    if balancers.lost:
        raise StageFailedError(
            f"{listed(sorted(balancers.lost))} cannot be reached, and could let writes through to the old tables"
        )
    open_ = sorted(name for name, routing in routings.items() if not routing.is_frozen)
    if open_:
        raise StageFailedError(f"{listed(open_)} {'lets' if len(open_) == 1 else 'let'} writes through already")


def seconds_left(work: Work) -> float | None:
    """Return how much longer writes may wait; None where they do not, or there is no way back any more."""
    since: float | None = work.figures.get(SINCE, work.told.figure(SINCE))
    if since is None or work.figures.get(BEYOND) or work.told.figure(BEYOND):
        return None
    return since + ceiling(work.told.release.plan) - time.time()


def ceiling(plan: Mapping[str, Any]) -> float:
    """Return the longest that writes may wait, in seconds."""
    return float(plan.get("freeze_seconds", FREEZE_SECONDS))


def expected(work: Work, tables: ControlTables) -> float:
    """Return for how many seconds writes would wait now: a scan, measured on a part of the tables, and what is around.

    That is counted in what starting a program there and asking the load balancers take now: on a machine that is busy
    it is more than the scan of a small table.
    """
    began = time.monotonic()
    found = tables.measure()
    starting = max(time.monotonic() - began - float(found["measured_seconds"]), 0.0)
    began = time.monotonic()
    work.load_balancers.state()
    look = time.monotonic() - began
    return float(found["seconds"]) + starting + LOOKS * look + PAUSES_SECONDS


def require_short(seconds: float, plan: Mapping[str, Any]) -> None:
    """Fail where writes would wait longer than they may."""
    if seconds > ceiling(plan):
        raise StageFailedError(
            f"writes would have to wait for about {span(seconds)}, measured on a part of the tables, and may for"
            f" {span(ceiling(plan))}: raise `freezeSeconds`, or use `mirror: trigger`"
        )


def finish_dead(work: Work, routings: Mapping[str, Routing]) -> None:
    """Refuse to begin where a release whose deployer died has let writes through to its version: record it instead.

    Nobody else would know that its version is live, and users would be taken from what they wrote. What has not come
    so far is no obstacle: users go back to the live version, like those of any release that was left lying.
    """
    candidates = {routing.live.sha256: routing.live for routing in routings.values() if routing.live}
    known = work.journal.open.read()
    live = Version.parse(known["live"])
    for record in known["releases"]:
        version = candidates.get(record["sha256"])
        if version is None or version == live or record["live"] or not waits(record.get("data")):
            continue
        balancers = work.load_balancers
        how = stand(balancers.apply(record["id"], {}), balancers.lost, version.sha256)
        if how is Stand.UNKNOWN:
            raise RefusedError(
                f"{listed(sorted(balancers.lost))} must say whether users write to {version.version} since"
                f" {record['id']}, whose deployer died, and cannot be reached; start it, then `pulumi up` again"
            )
        if how is Stand.BEYOND:
            balancers.apply(record["id"], {}, thaw=True)
            reason = "users had been moved when its deployer died"
            work.journal.open.pair(str(record["data"]["release"]), "left", record["data"])
            work.journal.open.finish(record["id"], "succeeded", reason, version.as_dict(), [])
            raise RefusedError(
                f"{record['id']} had gone through when its deployer died: {version.version} serves, which is recorded"
                " now; run `pulumi up` again"
            )
