"""Freeze: writes wait, and one scan makes the new tables what the old ones are. Reads go on.

Only where no mirror keeps the tables level. From here to the end of `settle` writes are answered with 503; whatever
fails meanwhile lets them through to the old version again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from scripts.journal.words import span
from scripts.release.comparison import differences, in_words
from scripts.release.control_tables import ControlTables
from scripts.release.errors import StageFailedError
from scripts.release.freezing import SINCE, ceiling, expected, require_frozen, require_short
from scripts.release.jobs import follow
from scripts.release.work import Work, poll

RUN = "frozen"
DRAIN_SECONDS = 30.0
LOOK_SECONDS = 0.2


def act(work: Work) -> str:
    """Have writes wait, scan once, and leave them waiting for users to be moved. May be run again."""
    data = work.told.data
    if data is None:
        return "the data does not change"
    tables = ControlTables(work.told.stack, data)
    tables.job("stop", "scan", run=RUN)  # what an earlier freeze has begun proves nothing in this one
    seconds = expected(work, tables)
    work.figures["freeze_expected"] = round(seconds, 1)
    require_short(seconds, work.told.release.plan)
    work.check()
    begin(work, seconds)
    drain(work)
    figures = scan(work, tables)
    require_frozen(work.load_balancers, work.load_balancers.state())
    if differences(figures):
        raise StageFailedError(f"the tables differ though nothing is written: {in_words(figures)}")
    waited = time.time() - float(work.figures[SINCE])
    return (
        f"writes wait, {figures.get('rows', 0)} rows are the same in both tables, {figures.get('levelled', 0)} of them"
        f" since the scan in {span(waited)}"
    )


def begin(work: Work, seconds: float) -> None:
    """Have every load balancer answer writes with 503, its timer armed; one that cannot be reached fails it."""
    release, balancers = work.told.release, work.load_balancers
    before = [routing for routing in balancers.state().values() if routing.is_frozen]
    if balancers.lost:
        require_frozen(balancers, {})
    # A stage that was killed and is run again goes on with the wait that it began.
    since = [float((routing.remembered.get("frozen") or {}).get("at", math.inf)) for routing in before]
    work.figures[SINCE] = min([time.time(), *since])
    work.figures["armed"] = True
    retry = math.ceil(min(max(seconds, 1.0), ceiling(release.plan)))
    work.say(f"writes wait from now on, for about {span(seconds)}; reads go on")
    require_frozen(balancers, balancers.freeze(release.id, retry, int(release.plan["deadman_seconds"])))


def drain(work: Work) -> None:
    """Wait until every write that was let through before has been answered."""
    balancers = work.load_balancers
    left: dict[str, int] = {}

    def look() -> bool:
        routings = balancers.state()
        require_frozen(balancers, routings)
        left.clear()
        left.update({name: routing.writes for name, routing in routings.items() if routing.writes})
        return not left

    if not poll(work, DRAIN_SECONDS, look, LOOK_SECONDS):
        said = ", ".join(f"{count} on {name}" for name, count in left.items())
        raise StageFailedError(f"after {DRAIN_SECONDS:.0f} s writes from before are still under way: {said}")
    work.figures["drained_after"] = round(time.time() - float(work.figures[SINCE]), 2)


def scan(work: Work, tables: ControlTables) -> Mapping[str, Any]:
    """Scan both tables once, as fast as the database takes it, and return what came of it."""
    state = follow(work, tables, "scan", run=RUN, paced=False, afresh=True, deletes=True)
    figures: Mapping[str, Any] = state["figures"]
    work.figures["compared"] = dict(figures)
    return figures
