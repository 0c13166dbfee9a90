"""Gate: what a release waits for before users meet the new version, while its instances are watched.

A gate passes, fails, or has no answer in time: a person who says nothing is a no, an instance that stops is a no.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from scripts.release.documents import listed
from scripts.release.errors import StageFailedError
from scripts.release.load_balancers import seen_down
from scripts.release.work import Work, poll

LOOK_SECONDS = 1.0


def act(work: Work) -> str:
    """Wait for the bake and then for the gate that the plan names."""
    plan = work.told.release.plan
    bake = float(plan["bake_seconds"])
    if bake:
        work.say(f"watching the new instances for {bake:.0f} s")
        wait(work, bake, lambda: False)
    match plan["gate"]:
        case "person":
            return wait_for_person(work, float(plan["gate_seconds"]))
        case "time":
            return wait_for_time(work, float(plan["gate_seconds"]))
    return f"the new instances stayed well for {bake:.0f} s"


def wait_for_person(work: Work, seconds: float) -> str:
    """Wait for `evenkeel confirm`; `evenkeel reject` and silence fail."""
    words = f"waits {seconds:.0f} s for `evenkeel confirm` or `evenkeel reject`"
    confirmed = ask(work, "person", seconds, words)
    if not confirmed:
        raise StageFailedError(f"nobody answered within {seconds:.0f} s, which counts as a no")
    return confirmed


def wait_for_time(work: Work, seconds: float) -> str:
    """Wait for the time to pass; a person may end it either way."""
    words = f"passes after {seconds:.0f} s, or with `evenkeel confirm`; `evenkeel reject` ends the release"
    return ask(work, "time", seconds, words) or f"{seconds:.0f} s have passed, the new instances stayed well"


def ask(work: Work, gate: str, seconds: float, words: str) -> str:
    """Let a person answer while the gate waits; return who confirmed, "" if nobody did, and fail if they rejected."""
    work.journal.open.waiting(work.told.release.id, gate, time.time() + seconds)
    work.say(words)
    answered = wait(work, seconds, lambda: bool(work.signal("confirm") or work.signal("reject")))
    if rejected := work.signal("reject"):
        raise StageFailedError(f"rejected by {rejected['who']}: {rejected.get('reason') or 'no reason given'}")
    confirmed = work.signal("confirm")
    return f"confirmed by {confirmed['who']}" if answered and confirmed else ""


def wait(work: Work, seconds: float, answered: Callable[[], bool]) -> bool:
    """Wait until there is an answer or the time is over, and fail as soon as a new instance is not well."""

    def look() -> bool:
        watch(work)
        return answered()

    return poll(work, seconds, look, LOOK_SECONDS)


def watch(work: Work) -> None:
    """Fail if a new instance has ended, been started again, or is not up for a load balancer."""
    release = work.told.release
    sites = [site for site in release.groups[0] if site not in work.told.left_out]
    for site, slots in work.app_servers.slots(sites).items():
        if isinstance(slots, StageFailedError):
            raise StageFailedError(f"site {site}: {slots}")
        held = slots[release.slot]
        if not held.is_active or held.restarts:
            raise StageFailedError(f"the new instance of site {site} ended by itself")
    work.load_balancers.lost.clear()  # a long wait: one that was away for a moment is asked again
    routings = work.load_balancers.state()
    work.measure(routings)
    down = sorted(seen_down(routings, release.new(sites)))
    if down:
        raise StageFailedError(f"load balancers see {listed(down)} down")
