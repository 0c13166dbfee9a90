"""Preflight: may a release begin? Takes the lock, looks at everything, and touches nothing."""

from __future__ import annotations

import importlib
import os
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.artifact import ArtifactError, read_artifact
from components.manifest import Manifest
from components.window import parse_window
from scripts.release import apart, data_plan, freezing
from scripts.release.app_servers import Slot
from scripts.release.documents import Release, Version, listed
from scripts.release.errors import RefusedError, StageError, StageFailedError
from scripts.release.journal import JournalError, JournalRefused, whoami
from scripts.release.load_balancers import Routing, capacity, states
from scripts.release.remote_journal import LEASE_SECONDS
from scripts.release.work import Work
from scripts.ssh import SshError

RESERVE_MB = 32  # what an application server needs beside its two slots
POLL_SECONDS = 3.0
UP_SECONDS = 5.0


def act(work: Work) -> str:
    """Take the lock and check everything; raises RefusedError with the sentence that says why not."""
    release = work.told.release
    try:
        check_window(work)
        manifest = check_artifact(release)
        take_lock(work)
        check_unchanged(release, work.journal.open.read(), "run `pulumi up` again")
        slots = check_hosts(work, manifest.limits.memory_mb)
        check_data(work, manifest, slots)
        begin(work)  # last, so that a refused release leaves no record and the next one has its number
    except (RefusedError, SshError, JournalError) as error:
        give_back(work)
        raise RefusedError(str(error)) from error
    except StageError as error:
        give_back(work)
        raise RefusedError(str(error), error.figures) from error
    came_from = f"{release.previous.version} -> " if release.previous else ""
    return f"{came_from}{release.version} into slot {release.slot}, lock {work.token}"


def check_window(work: Work) -> None:
    """Refuse to begin outside the release window; a way back is always open, and what has begun may end."""
    release = work.told.release
    window = parse_window(release.plan.get("window", ""))
    if not window or release.is_revert or window.contains(datetime.now(UTC)):
        return
    current = work.journal.open.read()["current"]
    if not current or current["id"] != release.id:
        raise RefusedError(f"releases may start only in the window {release.plan['window']}; wait, or change `window`")


def check_artifact(release: Release) -> Manifest:
    """Refuse an artifact that is not the promised one; return its manifest."""
    try:
        artifact = read_artifact(Path(release.artifact))
    except ArtifactError as error:
        raise RefusedError(str(error)) from None
    if artifact.sha256 != release.sha256:
        raise RefusedError(f"the artifact {release.artifact} has changed since this release began; run it again")
    return artifact.manifest


def take_lock(work: Work) -> None:
    """Acquire the lock; wait for one whose holder is silent until its lease ends, for a live one as long as asked."""
    patience = time.monotonic() + float(work.told.release.plan["lock_wait_seconds"])
    nonce, renewed, silent_until = secrets.token_hex(16), 0.0, 0.0
    while True:
        try:
            work.token = work.journal.acquire(holder(work, nonce))
            break
        except JournalRefused as error:
            lock: dict[str, Any] = error.details["lock"]
            is_alive = renewed != 0.0 and lock["renewed"] != renewed
            if not silent_until:
                silent_until = time.monotonic() + LEASE_SECONDS * work.told.stack.slowness + POLL_SECONDS
            if time.monotonic() > patience and (is_alive or time.monotonic() > silent_until):
                raise RefusedError(f"{error}; wait for it, or `evenkeel lock break --reason WHY`") from None
            renewed = lock["renewed"]
        work.say(f"waiting for the lock: held by {lock['who']} for {lock['purpose']}")
        work.pause(POLL_SECONDS)
    work.figures["token"] = work.token
    # From here on what we say to load balancers beats whoever held the lock before.
    work.load_balancers.token = work.token


def check_unchanged(release: Release, known: Mapping[str, Any], advice: str) -> None:
    """Refuse when the world has moved on between the look that this release comes from and its lock.

    Whoever waits for a lock, or for hosts to change, may be overtaken by another release or an `evenkeel undo`: users
    would be taken back to what was live before it, and its slot be installed over.
    """
    live = Version.parse(known["live"])
    if live and (release.previous is None or live.as_dict() != release.previous.as_dict()):
        raise RefusedError(f"meanwhile {live.version} has become live; {advice}")
    newest = next(iter(known["releases"]), None)
    if newest and newest["id"] != release.id and newest["number"] >= release.document["number"]:
        raise RefusedError(f"meanwhile release {newest['id']} has begun; {advice}")


def holder(work: Work, nonce: str) -> dict[str, str]:
    """Return who takes the lock, and for what."""
    release = work.told.release
    return {
        "who": whoami(),
        "purpose": f"release {release.id}, pid {os.getppid()}",
        "version": release.version,
        "nonce": nonce,
    }


def begin(work: Work) -> None:
    """Record the release and what it changes about the data, or that it goes on."""
    data = work.figures.get("data")
    document = {**work.told.release.document, **({"data": data} if data else {})}
    try:
        work.journal.open.begin(document, work.token)
    except JournalRefused as error:
        raise RefusedError(str(error)) from None
    work.figures["begun"] = True


def check_data(work: Work, manifest: Manifest, slots: Mapping[str, dict[str, Slot] | StageFailedError]) -> None:
    """Find what the release changes about the data, and refuse what cannot be done to it now."""
    data = data_plan.look(work, manifest, slots)
    if data is not None:
        # Loaded only here: most releases leave the data as it is.
        importlib.import_module("scripts.release.data_checks").check(work, data)


def check_hosts(work: Work, needed_mb: int) -> Mapping[str, dict[str, Slot] | StageFailedError]:
    """Look at load balancers and application servers: who answers, what serves, is there room; the slots of these."""
    release = work.told.release
    routings = work.load_balancers.state()
    check_journal(work, routings)
    freezing.finish_dead(work, routings)
    apart.record_held(work, routings)
    recover(work, routings)
    routings = let_through(work, work.load_balancers.state())
    work.figures["capacity_before"] = work.measure(routings)
    work.figures["routing_before"] = serving(release, routings)
    if work.load_balancers.lost:
        work.say(f"not reachable, goes without it: {listed(work.load_balancers.lost)}")
    slots = work.app_servers.slots(release.groups[0])
    for site, answer in slots.items():
        if isinstance(answer, StageFailedError):
            raise RefusedError(f"the application server of site {site}: {answer}")
        check_memory(site, answer, release, needed_mb)
    if release.previous and not work.figures["capacity_before"]:
        raise RefusedError("the old version does not serve, so there is nothing to fall back to; see `evenkeel status`")
    return slots


def check_journal(work: Work, routings: dict[str, Routing]) -> None:
    """Refuse where the load balancers have heard more than the journal remembers: it was lost, or is an old copy."""
    heard = max((routing.fence[0] for routing in routings.values()), default=0)
    if heard > work.token:
        raise RefusedError(
            f"the load balancers have heard lock {heard}, but the journal gives out {work.token}: it was lost or is an"
            " old copy; restore it as docs/operations.md says"
        )


def recover(work: Work, routings: dict[str, Routing]) -> None:
    """Take users to the live version where a killed release, or a load balancer's absence, left them elsewhere."""
    release = work.told.release
    if not release.previous:
        return
    # What is in maintenance was never opened, such as a site that an earlier release left out.
    known = {
        name for routing in routings.values() for name, server in routing.servers.items() if server.state != "maint"
    }
    live = [name for name in release.old(release.sites) if name in known]
    astray = sorted({name for routing in routings.values() for name in routing.ready()} - set(live))
    if not astray:
        return
    missing = work.load_balancers.wait_until_up(live, UP_SECONDS)
    if len(live) - len(missing) < capacity(routings):
        raise RefusedError(
            f"an earlier release left users on {listed(astray)}, and of {release.previous.version}, to which they would"
            f" go back, {listed(missing) or 'every instance'} is down; start it, then `pulumi up` again"
        )
    work.say(f"users are on {listed(astray)} since an earlier release: taking them back to {release.previous.version}")
    work.load_balancers.apply(release.id, states([name for name in live if name not in missing], "ready"))
    work.load_balancers.apply(release.id, states(astray, "drain"))
    work.figures["recovered"] = astray


def let_through(work: Work, routings: dict[str, Routing]) -> dict[str, Routing]:
    """Let writes through that wait since a release that was killed; return what is routed then."""
    frozen = sorted(name for name, routing in routings.items() if routing.is_frozen)
    if not frozen:
        return routings
    work.say(f"writes wait on {listed(frozen)} since an earlier release: they go on")
    work.figures["thawed"] = frozen
    return work.load_balancers.apply(work.told.release.id, {}, thaw=True)


def serving(release: Release, routings: dict[str, Routing]) -> list[str]:
    """Return the old version's servers that users' requests go to on any load balancer."""
    ready = {name for routing in routings.values() for name in routing.ready()}
    return sorted(ready & set(release.old(release.sites)))


def check_memory(site: str, slots: dict[str, Slot], release: Release, needed_mb: int) -> None:
    """Refuse if both versions side by side would not fit the application server."""
    total = int(release.plan["app_memory_mb"])
    other = (slots[release.previous.slot].limit_mb or 0) if release.previous else 0
    if other + needed_mb + RESERVE_MB > total:
        raise RefusedError(
            f"both versions need {other} + {needed_mb} MiB, app-{site} has {total} MiB; raise sizes.app.memoryMb"
        )


def give_back(work: Work) -> None:
    """Release the lock, where it was taken."""
    if not work.token:
        return
    try:
        work.journal.open.release(work.token)
    except (SshError, JournalError):
        return  # the lease ends by itself
