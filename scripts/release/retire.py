"""The end of a pair of tables: the one that no live version uses is dropped, and with it the mirror.

Only once nothing routes to a version that uses it; its instances, which are warm at most, are stopped first. Where a
load balancer or an application server cannot be asked, something may still write to it unseen, and nothing is dropped.
A snapshot of the dropped table stays on every node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Protocol

from components.stages import waits
from scripts.release.app_servers import AppServers, Slot
from scripts.release.control_tables import ControlTables
from scripts.release.data import in_words, old_side, qualified, tables_on
from scripts.release.databases import Databases
from scripts.release.documents import Stack, listed
from scripts.release.errors import StageFailedError
from scripts.release.jobs import stop_all
from scripts.release.load_balancers import LoadBalancers
from scripts.ssh import Session

STOP_SECONDS = 60.0
Pair = Mapping[str, Any]


class Pairs(Protocol):
    """The journal, as far as this needs it."""

    def pair(self, release: str, state: str, data: Any = None, reason: str = "") -> Any:
        """Record how far a pair has come."""


def retire(
    stack: Stack,
    journal: Pairs,
    pair: Pair,
    names: Mapping[str, str],
    balancers: LoadBalancers,
    *,
    why: str = "",
) -> str:
    """End a pair of which the version with these names uses one side; return a sentence on what went.

    Raises StageFailedError, SshError or JournalError; what is not done then can be done again.
    """
    data = pair["data"]
    side = old_side(data, names)
    if not side:
        raise StageFailedError(
            f"of {in_words(data)} the live version uses neither ({names}), so nothing is dropped; see `evenkeel history"
            f" {pair['release']}`"
        )
    going, tables = tables_on(data, side), ready_to_end(stack, data)
    stop_users_of(stack, going, balancers)
    take_down(tables, journal, pair["release"], side, why)
    mirrored = data["tables"] and not waits(data)
    said = f"{listed(sorted(going.values())) or 'no table'} dropped" + (", the mirror with it" if mirrored else "")
    kept = listed([f"dropped-…-{name}" for name in sorted(going.values())])
    return f"{said}; every node keeps a snapshot, {kept} (docs/operations.md, «A dropped table»)" if kept else said


def stop_users_of(stack: Stack, going: Mapping[str, str], balancers: LoadBalancers) -> None:
    """Stop the instances that use a table which is going; refuse where users reach one, or one may run unseen."""
    app_servers = AppServers(stack)
    ready = {name for routing in balancers.state().values() for name in routing.ready()}
    found = app_servers.slots(list(app_servers.by_site))
    silent = [app_servers.by_site[site] for site, slots in found.items() if isinstance(slots, StageFailedError)]
    require_all_asked([*balancers.lost, *silent])
    for site, slots in found.items():
        for slot in using(slots, going) if not isinstance(slots, StageFailedError) else ():
            if f"{site}-{slot}" in ready:
                raise StageFailedError(
                    f"users are on {site}-{slot}, which uses {listed(sorted(going.values()))}; nothing was dropped"
                )
            answer = app_servers.on_sites([site], partial(stop, slot=slot))[site]
            if isinstance(answer, StageFailedError):
                raise StageFailedError(f"site {site}: {answer}")


def require_all_asked(unsure: Collection[str]) -> None:
    """Fail where an instance that uses a table which is going may still run, or be sent requests."""
    if unsure:
        raise StageFailedError(
            f"{listed(sorted(unsure))} cannot be asked whether something still writes to them; nothing was dropped,"
            " start what is away first"
        )


def using(slots: Mapping[str, Slot], going: Mapping[str, str]) -> list[str]:
    """Return the slots that run a version which uses one of these tables."""
    return [
        name
        for name, slot in slots.items()
        if slot.is_active and any(slot.uses(logical, table) for logical, table in going.items())
    ]


def stop(session: Session, slot: str) -> None:
    """Stop a slot gracefully."""
    session.run(["evenkeel-slot", "stop", slot], timeout=STOP_SECONDS)


def ready_to_end(stack: Stack, data: Mapping[str, Any]) -> ControlTables:
    """Stop the pair's work and return what drops its tables; refused where it could not, before anything is touched."""
    tables = ControlTables(stack, data)
    stop_all(tables)
    tables.droppable()
    return tables


def take_down(tables: ControlTables, journal: Pairs, release: str, side: str, why: str = "") -> None:
    """Drop the mirror and one side's tables, and forget the pair that a release made; may be done again.

    Whatever fails once it is being dropped, a mirror may be gone: it counts as no pair any more until all is done.
    """
    journal.pair(release, "dropping")
    tables.drop(side)
    if tables.data["mirror"] == "trigger":
        Databases(tables.stack).forget_pairs(qualified(tables.data))
    journal.pair(release, "dropped", reason=why)
