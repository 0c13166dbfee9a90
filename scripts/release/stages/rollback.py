"""Rollback: users back to the old version first, then the new instances stopped, then the new tables dropped.

Before it moves anyone, the guard checks that the old version runs, is healthy and has the capacity it had. If not, it
changes nothing and says what it sees (HELD): a broken version that answers is better than a healthy one that is gone.
"""

from __future__ import annotations

from functools import partial

from components.stages import waits
from scripts.release import apart
from scripts.release.app_servers import show
from scripts.release.data import in_words
from scripts.release.documents import listed
from scripts.release.errors import HeldError, StageError, StageFailedError
from scripts.release.freezing import BEYOND, Stand, stand
from scripts.release.journal import JournalError
from scripts.release.load_balancers import Routing, states
from scripts.release.retire import ready_to_end, require_all_asked, take_down
from scripts.release.work import Work
from scripts.ssh import Session, SshError

IDLE_SECONDS = 5.0
UP_SECONDS = 5.0


def act(work: Work) -> str:
    """Bring everything to where it was before the release."""
    release = work.told.release
    work.load_balancers.force = True
    if release.previous is None:
        return first_installation(work)
    apart.hold(work)
    if waits(work.told.data):
        require_way_back(work)
    if release.previous.slot == release.slot:
        raise HeldError(f"{release.version} was to be put right in the slot it serves from; nothing else to go back to")
    old = list(work.told.figure("routing_before", release.old(release.sites)))
    routings = work.load_balancers.state()
    work.measure(routings)
    guard(work, old, routings)
    give_back(work, old)
    clear_away(work)
    return f"users are on {release.previous.version} again: {listed(old)}{remove_tables(work)}"


def require_way_back(work: Work) -> None:
    """Raise HeldError where users may have written to the new tables, which nothing mirrors, after their freeze."""
    release, balancers = work.told.release, work.load_balancers
    # Changes nothing, but whoever spoke for this release before is refused from now on.
    how = stand(balancers.apply(release.id, {}), balancers.lost, release.sha256)
    if how is Stand.BEYOND or work.told.figure(BEYOND):
        balancers.apply(release.id, {}, thaw=True)
        raise HeldError(
            f"users write to {release.version} already, and the old tables would lack what they wrote, so they stay;"
            " `pulumi up` again records that"
        )
    if how is Stand.UNKNOWN:
        raise HeldError(
            f"{listed(sorted(balancers.lost))} may let writes through to {release.version} and cannot be asked, so"
            " writes go on waiting on the others; start it, then `pulumi up` again"
        )


def guard(work: Work, old: list[str], routings: dict[str, Routing]) -> None:
    """Raise HeldError unless as many old instances are up everywhere as served before, or nobody left them."""
    if all(set(old) <= set(routing.ready()) and not away(work, routing) for routing in routings.values()):
        return
    missing = work.load_balancers.wait_until_up(old, UP_SECONDS)
    if not missing or len(old) - len(missing) >= int(work.told.figure("capacity_before", len(old))):
        return
    try:
        # The timers must not do later what the guard will not do now.
        work.load_balancers.confirm(work.told.release.previous)
    except StageError as error:
        work.figures["timers"] = str(error)
    seen = "; ".join(f"{name} is down for {listed(where)}" for name, where in missing.items())
    what = f"start it (`evenkeel logs {work.app_servers.by_site[next(iter(missing)).rpartition('-')[0]]}`)"
    raise HeldError(
        f"the old version is not whole ({seen}), so traffic stays where it is; {what}, then `pulumi up` again"
    )


def away(work: Work, routing: Routing) -> list[str]:
    """Return the new version's servers that users are on."""
    return [name for name in work.told.release.new(work.told.release.sites) if name in routing.ready()]


def give_back(work: Work, old: list[str]) -> None:
    """Old ready everywhere before new drains anywhere; then the timers end, because this is what stays."""
    release, balancers = work.told.release, work.load_balancers
    new = release.new(release.sites)
    work.measure(balancers.apply(release.id, states(old, "ready")))
    work.measure(balancers.apply(release.id, states(new, "drain"), thaw=True))
    work.measure(balancers.confirm(release.previous))
    for name, routing in balancers.state().items():
        if routing.ready() != sorted(old):
            raise StageFailedError(f"{name} routes to {listed(routing.ready())} instead of {listed(sorted(old))}")


def clear_away(work: Work) -> None:
    """Stop the new instances, once nothing is in progress on them; one that cannot be stopped is told, no more."""
    release, balancers = work.told.release, work.load_balancers
    new = release.new(release.sites)
    work.figures["cut_off"] = balancers.wait_until_idle(new, IDLE_SECONDS)
    balancers.apply(release.id, states(new, "maint", None))
    answers = work.app_servers.on_sites(release.sites, partial(stop, slot=release.slot, sha256=release.sha256))
    wrong = {site: str(answer) for site, answer in answers.items() if isinstance(answer, StageFailedError)}
    if wrong:
        work.figures["not_stopped"] = wrong


def stop(session: Session, slot: str, sha256: str) -> None:
    """Stop a slot gracefully, if it holds the release's version: an older one may still be warm in it."""
    if show(session)[slot].sha256 == sha256:
        session.run(["evenkeel-slot", "stop", slot], timeout=60)


def remove_tables(work: Work) -> str:
    """Take the mirror down and drop the new tables, once nothing can write to them any more; return words on it.

    With the database or the control host away they stay, mirrored as they are, and the next release removes them.
    """
    data = work.told.data
    if data is None or not work.told.figure("pair"):
        return ""
    try:
        require_all_asked({**work.figures.get("not_stopped", {}), **work.load_balancers.lost})
        tables, why = ready_to_end(work.told.stack, data), f"{work.told.release.id} is rolled back"
        take_down(tables, work.journal.open, data["release"], "target", why)
    except (StageError, SshError, JournalError) as error:
        work.figures["left_over"] = str(error)
        return f"; the new tables are left over ({error}): the next release, or `evenkeel retire`, removes them"
    return f"; the new tables are gone ({in_words(data)} was the pair)"


def first_installation(work: Work) -> str:
    """Nothing served before: stop what was started, so that nothing half-installed answers."""
    release, balancers = work.told.release, work.load_balancers
    balancers.apply(release.id, states(release.new(release.sites), "maint", None))
    balancers.confirm(None)
    work.app_servers.on_sites(release.sites, partial(stop, slot=release.slot, sha256=release.sha256))
    return "nothing served before this first installation, and nothing does now"
