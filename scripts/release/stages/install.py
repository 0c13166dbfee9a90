"""Install: the new version into the idle slot of a group's sites, started, ready, warmed; the old one serves on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from scripts.release.app_servers import TURN_SECONDS, install
from scripts.release.artifact import read_checked
from scripts.release.documents import Release, listed
from scripts.release.errors import StageFailedError
from scripts.release.load_balancers import states
from scripts.release.turns import Turns
from scripts.release.work import Work

DRAIN_SECONDS = 10.0
CHECK_SECONDS = 15.0


def act(work: Work) -> str:
    """Install on every site of the group; the instances start in turn."""
    release = work.told.release
    content = read_checked(Path(release.artifact), release.sha256)
    if release.plan["strategy"] == "halves" and work.stage.group == 1 and release.previous:
        free_half(work)
    work.check()
    work.say(f"{release.version} into slot {release.slot} of {listed(work.group)}")
    turns = Turns(TURN_SECONDS * work.told.stack.slowness)
    one = partial(install, slot=release.slot, sha256=release.sha256, content=content, turns=turns)
    answers = work.app_servers.on_sites(work.group, partial(one, tables=work.told.tables))
    sites = work.sort_out(answers)
    work.check()
    see_up(work, sites)
    work.require_capacity()
    work.figures["installed"] = {site: answers[site] for site in sites}
    return f"{release.version} is ready on {listed(sites)}"


def free_half(work: Work) -> None:
    """The thesis's way: take the first half out of the pool before anything is done there."""
    release = work.told.release
    old = release.old(work.group)
    work.figures["armed"] = True
    seconds = int(release.plan["deadman_seconds"])
    work.measure(work.load_balancers.apply(release.id, states(old, "drain"), deadman_seconds=seconds))
    work.load_balancers.wait_until_idle(old, DRAIN_SECONDS)


def versions_of(release: Release) -> dict[str, str]:
    """Return which slot each version is in, for requests that name one."""
    versions = {release.version: release.slot}
    if release.previous:
        versions[release.previous.version] = release.previous.slot
    return versions


def see_up(work: Work, sites: list[str]) -> None:
    """Wait until every load balancer sees the new instances up; they are checked whether or not users get them."""
    release, balancers = work.told.release, work.load_balancers
    new = release.new(sites)
    work.measure(balancers.apply(release.id, {}, versions=versions_of(release)))
    missing = balancers.wait_until_up(new, CHECK_SECONDS)
    if missing:
        where = "; ".join(f"{name} from {listed(lbs)}" for name, lbs in missing.items())
        raise StageFailedError(f"load balancers do not see the new instances up: {where}")
    work.measure(balancers.state())
