"""The way back while the control host is away: by what the load balancers themselves know, recorded nowhere else.

Without the journal nobody can lock anyone out, so it refuses while a release moves users, and it speaks in the turn
after the last one that the load balancers heard, so that whoever spoke then is refused from now on.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.release.app_servers import AppServers
from scripts.release.data import share_tables
from scripts.release.documents import Stack, Version, listed
from scripts.release.errors import RefusedError, StageError, StageFailedError
from scripts.release.load_balancers import LoadBalancers, Routing, states
from scripts.release.undo import running_on, unfit, warm

DEADMAN_SECONDS = 30


@dataclass(frozen=True)
class Move:
    """What would be done: from which version to which, and what the load balancers heard last."""

    live: Version
    target: Version
    fence: tuple[int, int]


def plan(stack: Stack, version: str | None) -> Move:
    """Return the way back, or raise RefusedError with why there is none; changes nothing."""
    routings = LoadBalancers(stack, 0, 0).state()
    armed = {routing.armed_for for routing in routings.values() if routing.armed_for}
    if armed:
        raise RefusedError(f"release {listed(sorted(armed))} moves users now; try again once its timers have ended")
    live, fence = newest(routings)
    app_servers = AppServers(stack)
    found = warm(live, running_on(app_servers.slots(list(app_servers.by_site))))
    target = next((there for there in found if version in (None, there.version)), None)
    if target is None:
        there = listed([one.version for one in found]) or "none"
        raise RefusedError(
            f"{version} is not warm beside {live.version} ({there} is)"
            if version
            else f"no version is warm beside {live.version}, which is live"
        )
    # One that was told is enough.
    if not share_tables(live, target) and any(one.is_alone for one in routings.values() if one.live == live):
        raise RefusedError(
            f"the tables of {target.version} lack what was written to those of {live.version}, so going back would lose"
            f" it; release a version whose migration leads on from {live.version}"
        )
    return Move(live, target, fence)


def newest(routings: dict[str, Routing]) -> tuple[Version, tuple[int, int]]:
    """Return what is live by the load balancer that heard the last order, and that order's place."""
    last = max(routings.values(), key=lambda routing: routing.fence)
    if last.live is None:
        raise RefusedError("the load balancers do not know of any release that went through")
    return last.live, last.fence


def go(stack: Stack, move: Move) -> str:
    """Move users, the timers armed until all load balancers agree; return a sentence on what it did.

    Raises StageError; users are then where they were.
    """
    token, turn = move.fence
    balancers, app_servers = LoadBalancers(stack, token, turn + 1), AppServers(stack)
    sites = list(app_servers.by_site)
    left_out = unfit(move.target, sites, app_servers, balancers.state())
    new = [f"{site}-{move.target.slot}" for site in sites if site not in left_out]
    old = [f"{site}-{move.live.slot}" for site in sites]
    seconds = DEADMAN_SECONDS * stack.slowness
    name = f"undo-{move.target.version}-{move.target.sha256[:12]}"
    try:
        balancers.apply(name, states(new, "ready"), deadman_seconds=seconds)
        balancers.apply(name, states(old, "drain"), deadman_seconds=seconds)
        require_agreement(balancers, sorted(new))
        balancers.confirm(move.target)
    except StageError as error:
        take_back(balancers)
        raise StageFailedError(f"{error}; users stay on {move.live.version}") from error
    missing = [f"site {site} is left out ({why})" for site, why in left_out.items()]
    missing += [f"{balancer} could not be reached ({why})" for balancer, why in balancers.lost.items()]
    return f"users are on {move.target.version}" + (f", but {'; '.join(missing)}" if missing else "")


def require_agreement(balancers: LoadBalancers, wanted: list[str]) -> None:
    """Fail unless every load balancer that can be reached sends users to these servers only."""
    astray = [name for name, routing in balancers.state().items() if routing.ready() != wanted]
    if astray:
        raise StageFailedError(f"{listed(astray)} did not follow")


def take_back(balancers: LoadBalancers) -> None:
    """Have the timers act now instead of when their time is over; if they cannot be told, they act then."""
    balancers.turn += 1
    try:
        balancers.revert()
    except StageError:
        return
