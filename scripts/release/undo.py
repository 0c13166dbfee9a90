"""`evenkeel undo`: back to the version that served before and still runs in the other slot, at once, without Pulumi.

It is a release of its own in the journal (origin «undo»), under the same lock and with the same stages, of which it
needs three: a preflight that looks at the old version instead of an artifact, the shift of all sites, and settle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from components.stages import Kind, Stage, State, reason_to_skip
from scripts.release.app_servers import AppServers, Slot
from scripts.release.data import left_words, pair_between, share_tables
from scripts.release.documents import Release, Stack, StageInput, Version, listed
from scripts.release.errors import HeldError, RefusedError, StageError, StageFailedError
from scripts.release.identify import OTHER
from scripts.release.journal import JournalError, whoami
from scripts.release.level import require_mirrored
from scripts.release.load_balancers import Routing
from scripts.release.run import record
from scripts.release.stages import outcome, preflight, rollback, settle, shift
from scripts.release.supervisor import supervise
from scripts.release.work import Work
from scripts.ssh import SshError

Running = Mapping[str, Mapping[str, Version]]  # site -> slot -> what runs there


@dataclass(frozen=True)
class WayBack:
    """A version that users can be moved to at once: what it is, what it takes over from, and where it runs."""

    target: Version
    live: Version
    artifact: str
    sites: tuple[str, ...]


# --- which way ----------------------------------------------------------------------------------------------------


def running_on(slots: Mapping[str, Mapping[str, Slot] | StageFailedError]) -> Running:
    """Return what runs on the application servers that answered."""
    return {
        site: {
            name: Version(str(slot.version), str(slot.sha256), name, slot.tables)
            for name, slot in answer.items()
            if slot.is_active and slot.sha256
        }
        for site, answer in slots.items()
        if not isinstance(answer, StageFailedError)
    }


def warm(live: Version, running: Running) -> dict[Version, tuple[str, ...]]:
    """Return the versions that run in the slot that is not live: {version: sites}, the most widespread first."""
    found: dict[Version, list[str]] = {}
    slot = OTHER[live.slot]
    for site, slots in running.items():
        if slot in slots and slots[slot].sha256 != live.sha256:
            found.setdefault(slots[slot], []).append(site)
    return {version: tuple(found[version]) for version in sorted(found, key=lambda version: -len(found[version]))}


def ways_back(known: Mapping[str, Any], running: Running) -> list[WayBack]:
    """Return the known good versions that are warm, best first: those that have served, by the journal."""
    live = Version.parse(known["live"])
    if live is None:
        return []
    good = {release["live"]["sha256"]: release for release in known["releases"] if release["live"]}
    return [
        WayBack(version, live, good[version.sha256]["artifact"], sites)
        for version, sites in warm(live, running).items()
        if version.sha256 in good
    ]


def choose(ways: Sequence[WayBack], known: Mapping[str, Any], version: str | None) -> WayBack:
    """Return the way to the wanted version, or to the previous one; raises RefusedError with why there is none."""
    live = known["live"]
    if live is None:
        raise RefusedError("no release has gone through yet, so there is nothing to go back to")
    found = next((way for way in ways if version in (None, way.target.version)), None)
    if found:
        level_pair(found.target, found.live, known)
        return found
    if version == live["version"]:
        raise RefusedError(f"{version} is live already")
    if known["current"]:
        raise RefusedError(f"release {known['current']['id']} is in progress: `evenkeel abort` takes users back")
    if version is None:
        what = f"no version but {live['version']} is warm that has served before"
        raise RefusedError(f"{what}; set an earlier version in the config and run `pulumi up`, which installs it")
    served = {release["live"]["version"] for release in known["releases"] if release["live"]}
    what = "is not warm any more" if version in served else "has never served here"
    raise RefusedError(f"{version} {what}; set it in the config and run `pulumi up`, which installs it")


def level_pair(target: Version, live: Version, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the pair of tables between two versions, None where they share theirs.

    Raises RefusedError where the target's have missed what the live one wrote: no mirror keeps them level.
    """
    if share_tables(target, live):
        return None
    pair = pair_between(known.get("pairs") or (), target, live)
    if pair is not None and pair["state"] == "left":
        raise RefusedError(left_words(target.version, live.version))
    if pair is None or pair["state"] != "level":
        raise RefusedError(
            f"the tables of {target.version} are not kept level with those of {live.version}, so users would lose what"
            f" was written since; set {target.version} in the config and run `pulumi up`"
        )
    return pair


def compose(known: Mapping[str, Any], way: WayBack, sites: Iterable[str], wait: float) -> dict[str, Any]:
    """Return the document of the release that an undo is: all sites at once, no gate."""
    number = max(release["number"] for release in known["releases"]) + 1
    plan = {
        **known["releases"][0]["plan"],
        "strategy": "bluegreen",
        "groups": [list(sites)],
        "gate": "none",
        "gate_seconds": 0,
        "bake_seconds": 0,
        "lock_wait_seconds": wait,
        "window": "",
    }
    return {
        "id": f"r{number}-undo-{way.target.version}-{way.target.sha256[:12]}",
        "number": number,
        "version": way.target.version,
        "sha256": way.target.sha256,
        "artifact": way.artifact,
        "slot": way.target.slot,
        "previous": way.live.as_dict(),
        "tables": dict(way.target.tables),
        "plan": plan,
        "revert": True,
        "origin": "undo",
        "who": whoami(),
    }


# --- going it -----------------------------------------------------------------------------------------------------


def perform(stack: Stack, document: Mapping[str, Any]) -> outcome.Outcome:
    """Go the way back under lock and timers, recorded; return how it ended. Whatever fails leaves users where they are.

    Raises nothing that the machines or the journal may cause: it becomes the outcome.
    """
    told = StageInput(Release.parse(document), stack, ())
    for stage, action in STAGES:
        if not reason_to_skip(stage, told.earlier):
            told = step(told, stage, action)
    ended = in_words(told, outcome.conclude(told))
    work = Work(Stage(Kind.OUTCOME), told, int(told.figure("token", 0)))
    outcome.record(work, ended)
    why = work.figures.get("not_recorded")
    if not why or ended.state not in ("succeeded", "partial"):
        return ended
    # The next release would start from what the journal says is live.
    advice = f"Before any `pulumi up`, `evenkeel undo {told.release.version}` again records it."
    return replace(
        ended, state="partial", reason=f"{ended.reason}; but the journal could not be written ({why})", advice=advice
    )


def step(told: StageInput, stage: Stage, action: Callable[[Work], str]) -> StageInput:
    """Run one stage under its supervisor and record its verdict; return the input of the next one."""
    work = Work(stage, told, int(told.figure("token", 0)))
    began = time.time()
    verdict = supervise(work, action).as_dict()
    if verdict["state"] != State.REFUSED:
        record(work, verdict, began)
    return replace(told, earlier=(*told.earlier, verdict))


def prepare(work: Work) -> str:
    """Take the lock, see that the old version can take over, and only then begin; refused, it leaves no trace."""
    release = work.told.release
    try:
        preflight.take_lock(work)
        known = work.journal.open.read()
        preflight.check_unchanged(release, known, "see `evenkeel status`")
        check_tables(work, known)
        check_old_version(work)
        preflight.begin(work)
    except (StageError, SshError, JournalError) as error:
        preflight.give_back(work)
        raise RefusedError(str(error)) from error
    came_from = release.previous.version if release.previous else ""
    return f"back from {came_from} to {release.version} in slot {release.slot}, lock {work.token}"


def check_tables(work: Work, known: Mapping[str, Any]) -> None:
    """Refuse where, now that nobody else can change them, the two versions' tables are not kept level."""
    live = work.told.release.previous
    pair = level_pair(work.told.target, live, known) if live else None
    if pair is not None:
        require_mirrored(work.told.stack, pair["data"])


def check_old_version(work: Work) -> None:
    """Refuse unless the old version can take over from every application server that serves now."""
    release = work.told.release
    routings = work.load_balancers.state()
    work.figures["capacity_before"] = work.measure(routings)
    work.figures["routing_before"] = preflight.serving(release, routings)
    left_out = unfit(release.target, release.sites, work.app_servers, routings)
    if left_out:
        work.figures["left_out"] = left_out


def unfit(
    target: Version, sites: Sequence[str], app_servers: AppServers, routings: Mapping[str, Routing]
) -> dict[str, str]:
    """Return the sites where the version cannot serve and no other does either: {site: why}.

    Raises RefusedError when it cannot take over from one that serves: capacity never falls for a way back.
    """
    slots = app_servers.slots(sites)
    reasons = {site: why for site in sites if (why := lacking(target, site, slots[site], routings))}
    serving = {
        name.rpartition("-")[0] for r in routings.values() for name, server in r.servers.items() if server.serves
    }
    needed = [site for site in reasons if site in serving]
    if needed or len(reasons) == len(sites):
        said = "; ".join(f"site {site}: {reasons[site]}" for site in needed or reasons)
        raise RefusedError(f"{target.version} cannot take over ({said}); nothing was changed, see `evenkeel status`")
    return reasons


def lacking(
    target: Version, site: str, slots: Mapping[str, Slot] | StageFailedError, routings: Mapping[str, Routing]
) -> str:
    """Return why a version cannot serve from a site, "" if it can."""
    if isinstance(slots, StageFailedError):
        return str(slots)
    slot, name = slots[target.slot], f"{site}-{target.slot}"
    if slot.sha256 != target.sha256:
        return f"slot {target.slot} holds {slot.version or 'nothing'}"
    if not slot.is_active:
        return f"{target.version} does not run there any more"
    blind = [balancer for balancer, r in routings.items() if name not in r.servers or not r.servers[name].is_up]
    return f"{listed(blind)} {'sees' if len(blind) == 1 else 'see'} it down" if blind else ""


def back(work: Work) -> str:
    """Return users to where they were before a failed undo; unlike a release's rollback, stop nothing."""
    release = work.told.release
    work.load_balancers.force = True
    before = list(work.told.figure("routing_before") or [])
    if not before:
        raise HeldError(f"users had been on {release.version} before, and stay there")
    routings = work.load_balancers.state()
    work.measure(routings)
    rollback.guard(work, before, routings)
    rollback.give_back(work, before)
    return f"users are on {release.previous.version if release.previous else ''} again: {listed(before)}"


def in_words(told: StageInput, ended: outcome.Outcome) -> outcome.Outcome:
    """Return the outcome with an undo's own advice."""
    release = told.release
    set_it = f"et `version: {release.version}` in the config"
    advice = {
        "succeeded": f"S{set_it}, or the next `pulumi up` releases another version.",
        "partial": f"Put that right, s{set_it} and run `pulumi up`, which finishes the rest.",
        "rolled-back": "`evenkeel undo` tries again.",
    }
    if ended.state == "refused":
        return replace(ended, reason=told.earlier[0]["reason"], advice="")
    return replace(ended, advice=advice.get(ended.state, "See `evenkeel status`."))


STAGES: tuple[tuple[Stage, Callable[[Work], str]], ...] = (
    (Stage(Kind.PREFLIGHT), prepare),
    (Stage(Kind.SHIFT, 1), shift.act),
    (Stage(Kind.SETTLE), settle.act),
    (Stage(Kind.ROLLBACK), back),
)
