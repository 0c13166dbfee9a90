"""Shift: users to a group's new instances; the new ones are ready on every load balancer before an old one drains."""

from __future__ import annotations

from collections.abc import Mapping

from components.stages import waits
from scripts.release.canary import walk
from scripts.release.documents import listed
from scripts.release.errors import StageFailedError
from scripts.release.freezing import require_frozen
from scripts.release.load_balancers import WEIGHT, Routing, states
from scripts.release.work import Work

UP_SECONDS = 10.0
EASE_WEIGHTS = (WEIGHT // 10, WEIGHT // 3, WEIGHT)  # beside old instances with WEIGHT each
EASE_SECONDS = 4.0
BUSY_SECONDS = 5.0
BUSY_RATE = 20.0  # requests a second to each instance


def act(work: Work) -> str:
    """Move users, watched: the dead-man timers undo it unless the deployer goes on renewing and confirms."""
    release, balancers = work.told.release, work.load_balancers
    done = [site for group in release.groups[: work.stage.group] for site in group]
    sites = [site for site in done if site not in work.told.left_out]
    new = release.new(sites)
    missing = balancers.wait_until_up(new, UP_SECONDS)
    if missing:
        raise StageFailedError(f"the new instances {listed(missing)} are not up any more")
    seconds = int(release.plan["deadman_seconds"])
    work.figures["armed"] = True
    work.check()
    old = old_of(work, done)
    opened = new
    if is_canary(work) and old:
        walk(work, release.new(work.group))
        # The old ones that stay have had less of the traffic than their part.
        opened = [*new, *(name for name in work.told.figure("routing_before", []) if name not in old)]
    elif old and is_eased(work):
        ease(work, release.new(work.group))
    work.check()
    routings = balancers.apply(release.id, states(opened, "ready"), deadman_seconds=seconds)
    work.measure(routings)
    work.check()
    if old:
        routings = balancers.apply(release.id, states(old, "drain"), deadman_seconds=seconds)
        work.measure(routings)
    work.require_capacity()
    check_all_agree(work, new, routings)
    return f"users are on {release.version} on {listed(sites)}"


def old_of(work: Work, done: list[str]) -> list[str]:
    """Return the old instances that users leave now: of the sites that are done, or, with halves, of all.

    There are none where the slot that serves is put right: the new instances are the old ones.
    """
    release = work.told.release
    if release.previous and release.previous.slot == release.slot:
        return []
    return release.old(release.sites if release.plan["strategy"] == "halves" else done)


def is_canary(work: Work) -> bool:
    """Tell whether users come in steps: in the first group, and never on the way back."""
    release = work.told.release
    return release.plan["strategy"] == "canary" and work.stage.group == 1 and not release.is_revert


def is_eased(work: Work) -> bool:
    """Tell whether users come by and by: this release started the group's instances, and users are many.

    Not where writes wait for the shift, and not with halves, which is measured as the thesis has it.
    """
    if work.told.release.plan["strategy"] == "halves" or waits(work.told.data):
        return False
    return any(answer["started"] for answer in work.told.figure("installed", {}).values()) and is_busy(work)


def is_busy(work: Work) -> bool:
    """Tell whether an instance gets so many requests at once that what it has not compiled yet would be felt."""
    logged = work.load_balancers.samples(BUSY_SECONDS).values()
    requests = sum(part["requests"] for servers in logged for part in servers.values())
    serving = len(work.told.figure("routing_before", [])) or len(work.told.release.sites)
    return bool(requests / BUSY_SECONDS >= BUSY_RATE * serving)


def ease(work: Work, new: list[str]) -> None:
    """Let the new instances have a few users first, then some, then their part, while all the old ones are open.

    What a program has not compiled yet is what its first requests cost the most, and the old instance is on the same
    host: all users at once had both answer in seconds where the host was busy (docs/experiment.md).
    """
    release, balancers = work.told.release, work.load_balancers
    seconds = int(release.plan["deadman_seconds"])
    for weight in EASE_WEIGHTS:
        work.measure(balancers.apply(release.id, states(new, "ready", weight), deadman_seconds=seconds))
        work.pause(EASE_SECONDS)
        work.check()


def check_all_agree(work: Work, new: list[str], routings: Mapping[str, Routing]) -> None:
    """Fail unless every reachable load balancer, as it last said, sends users to the same servers, the new ones too."""
    if waits(work.told.data):
        require_frozen(work.load_balancers, routings)
    answers = {name: routing.ready() for name, routing in routings.items()}
    first = next(iter(answers.values()))
    astray = sorted(name for name, ready in answers.items() if ready != first or not set(new) <= set(ready))
    if astray:
        raise StageFailedError(f"load balancers route differently: {listed(astray)}")
    work.figures["routed"] = first
