"""Settle: everything is on the new version; check it from the load balancers' and the users' seats, then confirm."""

from __future__ import annotations

import time

from components.stages import last_look_seconds, waits
from scripts.journal.words import span
from scripts.release.apart import NOT_LEVEL
from scripts.release.app_servers import failed
from scripts.release.comparison import compare, differences, in_words
from scripts.release.control_tables import ControlTables
from scripts.release.data import in_words as words_of
from scripts.release.data import share_tables
from scripts.release.documents import listed
from scripts.release.errors import StageError, StageFailedError
from scripts.release.fleet import Fleet
from scripts.release.freezing import BEYOND, SINCE, require_frozen
from scripts.release.jobs import UnfinishedError
from scripts.release.journal import JournalError
from scripts.release.load_balancers import Routing, states
from scripts.release.retire import retire
from scripts.release.stages.install import versions_of
from scripts.release.stages.shift import old_of
from scripts.release.work import Work
from scripts.ssh import CommandError, Session, SshError

IDLE_SECONDS = 10.0
UP_SECONDS = 5.0
SERVING_SECONDS = 15
RUN = "settle"


def act(work: Work) -> str:
    """Verify, confirm, and tell what could not be reached."""
    release, balancers = work.told.release, work.load_balancers
    sites = [site for site in release.sites if site not in work.told.left_out]
    new, old = release.new(sites), old_of(work, release.sites)
    routings = bring_along(work, new, old, balancers.state())
    work.measure(routings)
    require_only(new, routings)
    if old:
        work.figures["still_on_old"] = balancers.wait_until_idle(old, IDLE_SECONDS, routings)
    see_as_users(work)
    said = final_look(work)
    work.check()
    if waits(work.told.data):
        said += let_through(work)
    else:
        work.measure(balancers.confirm(work.told.target, alone=NOT_LEVEL in work.figures))
    work.figures["confirmed"] = True
    if balancers.lost:
        work.figures["unreachable"] = dict(balancers.lost)
    said += end_older_pairs(work)
    return f"{release.version} serves from {listed(sites)}, confirmed on {listed(balancers.reachable)}{said}"


def let_through(work: Work) -> str:
    """Confirm, and only where every load balancer has done so let writes through, to the new version; words on it."""
    release, balancers, data = work.told.release, work.load_balancers, work.told.data
    require_frozen(balancers, balancers.state())
    require_frozen(balancers, balancers.confirm(work.told.target, alone=True))
    work.journal.open.pair(str(data["release"]) if data else "", "left")
    work.check()
    work.figures[BEYOND] = True  # from here on nothing may go back
    work.measure(balancers.apply(release.id, {}, thaw=True))
    waited = time.time() - float(work.told.figure(SINCE) or time.time())
    work.figures["frozen_seconds"] = round(waited, 1)
    return f", writes waited {span(waited)}"


def final_look(work: Work) -> str:
    """Compare the two tables once more, now that users write to the new one; return words on it.

    Rows that only the old table has are lost to users: back to it. Otherwise the old one lags, which users do not
    meet: going back would cost what it lacks, so the release stays, and says so. A comparison that takes too long finds
    nothing against the release either: the tables were the same before users moved, and are mirrored both ways.
    """
    data = work.told.data
    if data is None or not data["tables"] or waits(data):
        return ""  # nothing to compare, or compared while nothing is written
    tables = ControlTables(work.told.stack, data)
    seconds = last_look_seconds(work.told.release.plan, work.told.figure("data_rows"))
    try:
        figures = compare(work, tables, RUN, seconds=seconds)
    except UnfinishedError as error:
        return give_up_looking(work, tables, error)
    if not differences(figures):
        return f", {figures.get('rows', 0)} rows are the same in both tables"
    if int(figures.get("missing", 0)) == differences(figures):
        raise StageFailedError(f"the new tables lack rows of the old ones: {in_words(figures)}")
    work.figures[NOT_LEVEL] = in_words(figures)
    work.journal.open.pair(str(data["release"]), "apart")
    return f", but the old tables differ: {in_words(figures)}"


def give_up_looking(work: Work, tables: ControlTables, error: UnfinishedError) -> str:
    """End a comparison that takes too long, if the control host can be reached; return words on it."""
    work.figures["not_compared"] = str(error)
    try:
        tables.job("stop", "compare", run=RUN)
    except (StageFailedError, SshError) as why:
        work.say(f"the comparison could not be stopped and ends by itself: {why}")
    return f", but the last comparison was {error}; `evenkeel compare` looks again"


def end_older_pairs(work: Work) -> str:
    """Drop what an earlier release left beside the tables that this one goes on with; return words on it.

    Not on a way back, whose other way must stay open, nor where this release has moved between the two.
    """
    release = work.told.release
    previous = release.previous
    if work.told.data or release.is_revert or previous is None or not share_tables(work.told.target, previous):
        return ""
    if previous.sha256 == release.sha256:
        return ""
    ended: list[str] = []
    try:
        for pair in release.pairs:
            work.say(f"ending the pair {words_of(pair['data'])} of {pair['release']}")
            why = f"{release.id} has succeeded"
            said = retire(work.told.stack, work.journal.open, pair, work.told.tables, work.load_balancers, why=why)
            ended.append(f"; {said}")
    except (StageError, SshError, JournalError) as error:
        work.figures["left_over"] = str(error)
        ended.append(f"; an older pair of tables is left over ({error})")
    return "".join(ended)


def bring_along(work: Work, new: list[str], old: list[str], routings: dict[str, Routing]) -> dict[str, Routing]:
    """Give a load balancer that was away, and is back, what it has missed; return what all route then."""
    release, balancers = work.told.release, work.load_balancers
    back = sorted(set(work.told.lost) & set(routings))
    if not back:
        return routings
    work.say(f"{listed(back)} can be reached again")
    work.figures["back"] = back
    balancers.wait_until_up(new, UP_SECONDS)
    routings = balancers.apply(release.id, states(new, "ready"), versions=versions_of(release))
    return balancers.apply(release.id, states(old, "drain")) if old else routings


def require_only(new: list[str], routings: dict[str, Routing]) -> None:
    """Fail unless every load balancer sends users to the new version's instances, and to nothing else."""
    for name, routing in routings.items():
        if routing.ready() != sorted(new):
            raise StageFailedError(f"{name} routes to {listed(routing.ready())} instead of {listed(sorted(new))}")
        down = [server for server in new if not routing.servers[server].is_up]
        if down:
            raise StageFailedError(f"{name} sees {listed(down)} down")


def see_as_users(work: Work) -> None:
    """Ask the service by its name from the test runner; a runner that is away is reported and no reason to stop."""
    stack = work.told.stack
    path = str(work.told.release.plan.get("ready_path", "/ready"))
    runner = Fleet(stack, stack.of("runner"))
    addresses = [host.address for host in stack.of("lb") if host.name not in work.load_balancers.lost]
    if len(addresses) < len(stack.of("lb")):
        return  # the name still leads to the lost load balancer too; the outcome tells of it
    command = ["evenkeel-serving", str(SERVING_SECONDS * stack.slowness), path, stack.service, *addresses]

    def ask(_: str, session: Session) -> str:
        return session.run(command, timeout=30).stdout

    for name, answer in runner.each(ask).items():
        work.figures["seen_by_users"] = not isinstance(answer, SshError)
        if isinstance(answer, CommandError):
            raise StageFailedError(f"users do not get the service: {failed(answer)}")
        if isinstance(answer, SshError):
            work.say(f"{name} could not look at the service as users do: {answer.reason}")
