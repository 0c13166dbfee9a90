"""Long work on the control host as a stage sees it: started or joined, followed to its end, told how users fare.

The work is a unit of its own there and outlives the stage. What stops it is the rollback, or its own end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from components.stages import slowest_pace
from scripts.journal.words import span
from scripts.release.control_tables import ControlTables
from scripts.release.errors import StageFailedError
from scripts.release.load_balancers import LoadBalancers
from scripts.release.users import slowest
from scripts.release.work import Work
from scripts.ssh import SshError

LOOK_SECONDS, LONGEST_LOOK_SECONDS, LOOK_SHARE = 1.0, 5.5, 0.1
ROUND_SECONDS, BETWEEN_SECONDS = 22.0, 5.5  # with what asking takes, 24 and 6
TELL_SECONDS = 5.0
WINDOW_SECONDS = 24.0
MOST_STARTS = 5
MOST_UNANSWERED = 10
RUNS = (("backfill", ""), ("compare", "verify"), ("compare", "settle"), ("scan", "live"), ("scan", "frozen"))
Answer = dict[str, Any]


class UnfinishedError(StageFailedError):
    """A job was not done in the time that it had."""


class Users:
    """How users fare against the time before a copy, which is to hear it.

    Load balancers are asked one after another, six seconds apart, for all that they logged since they were last
    asked: all of them at once, or more often, on one machine with the rest, is what users would feel more than a copy.
    """

    def __init__(self, balancers: LoadBalancers, before_ms: float | None) -> None:
        self.balancers, self.before_ms = balancers, before_ms
        self.worst_ms: float | None = None
        self._next = self._told = 0.0
        self._turn = 0
        self._logged: dict[str, tuple[float, Mapping[str, Any]]] = {}

    def look(self) -> dict[str, dict[str, float]]:
        """Look, when it is time again; return {"users": {"p99_ms", "p99_before_ms"}} to tell, {} when it is not time.

        Without users, or a time before, there is nothing to give way to: 0 ms.
        """
        if time.monotonic() < self._next:
            return {}
        now = self._ask()
        if now is not None:
            self.before_ms = now if self.before_ms is None else self.before_ms
            self.worst_ms = max(now, self.worst_ms or 0.0)
        if time.monotonic() < self._told + BETWEEN_SECONDS:
            return {}
        self._told = time.monotonic()
        return {"users": {"p99_ms": now or 0.0, "p99_before_ms": self.before_ms or 0.0}}

    def _ask(self) -> float | None:
        """Ask the next load balancer; return what it and the others lately said."""
        names, began = self.balancers.reachable, time.monotonic()
        self._next = began + min(ROUND_SECONDS / max(len(names), 1), BETWEEN_SECONDS)
        for name, servers in self.balancers.samples(WINDOW_SECONDS, names[self._turn : self._turn + 1]).items():
            self._logged[name] = (began, servers)
        self._turn = (self._turn + 1) % max(len(names), 1)
        return slowest(servers for asked, servers in self._logged.values() if began - asked < WINDOW_SECONDS * 1.5)


def gives_way(work: Work) -> bool:
    """Return whether a release's long work is slowed by users' times, which it has to hear then."""
    return bool(work.told.release.plan.get("backfill_pace", "users") == "users")


def follow(
    work: Work,
    tables: ControlTables,
    kind: str,
    users: Users | None = None,
    seconds: float = math.inf,
    **more: Any,
) -> Answer:
    """Start a job or join it, follow it until it is done, and return its last state.

    It is told of `users` in passing. A control host that is away is waited for, as long as the stage may go on without
    its journal; a job that was killed goes on from where it was. Raises StageFailedError with the job's reason, and
    UnfinishedError where it is not done after `seconds`; it runs on then.
    """
    work.figures["job"] = state = begin(work, tables, kind, **more)
    starts, done_before, told, began = 1, -1, 0.0, time.monotonic()
    while state["state"] != "done":
        if state["state"] in ("failed", "absent"):
            if starts >= MOST_STARTS or state["ranges_done"] <= done_before:
                raise StageFailedError(f"the {kind} ended: {state['reason'] or 'nobody knows why'}")
            work.say(f"the {kind} ended ({state['reason'] or 'nobody knows why'}) and is started again")
            starts, done_before = starts + 1, state["ranges_done"]
            state = begin(work, tables, kind, **more)
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            work.say(progress(kind, state))
        if time.monotonic() - began > seconds:
            raise UnfinishedError(f"not done after {span(seconds)} ({progress(kind, state)})")
        work.pause(until_next_look(state, time.monotonic() - began))
        state = look(work, tables, kind, state, users, **more)
        work.figures["job"] = state
    work.say(progress(kind, state))
    return state


def until_next_look(state: Answer, watched: float) -> float:
    """Return how many seconds a job may be left alone: each look is work where the job runs.

    A share of what is left, and where nobody can say that, of the seconds that it has been `watched`.
    """
    left = state.get("left_seconds")
    return max(LOOK_SECONDS, min((watched if left is None else left) * LOOK_SHARE, LONGEST_LOOK_SECONDS))


def begin(work: Work, tables: ControlTables, kind: str, **more: Any) -> Answer:
    """Start the job, or join the one that runs. Its slowest pace is the one by which the stage's time is counted."""
    work.check()
    return tables.job("start", kind, slowest=slowest_pace(work.told.release.plan), **more)


def look(
    work: Work, tables: ControlTables, kind: str, before: Answer, users: Users | None = None, **more: Any
) -> Answer:
    """Return the job's state, which hears of users; the one from before where the control host does not answer."""
    try:
        asked = {key: more[key] for key in ("run",) if key in more} | (users.look() if users else {})
        found = tables.job("state", kind, **asked)
        work.figures.pop("unanswered", None)
        return found
    except StageFailedError as error:
        work.figures["unanswered"] = int(work.figures.get("unanswered", 0)) + 1
        if work.figures["unanswered"] > MOST_UNANSWERED:
            raise
        work.say(f"how the {kind} is could not be asked: {error}")
        return before
    except SshError as error:
        work.say(f"the control host does not answer ({error.reason}); the {kind} goes on by itself")
        return before


def progress(kind: str, state: Mapping[str, Any]) -> str:
    """Return how far a job is, in a line for a person."""
    share = f"{100 * state['ranges_done'] / state['ranges']:.0f} %" if state["ranges"] else "0 %"
    line = f"{kind}: {share}, {state['rows']} rows"
    if state["state"] == "running":
        left = state.get("left_seconds")
        line += f", {state['rate']:.0f} rows/s" + (f", {span(left)} left" if left is not None else "")
    return f"{line}; {state['reason']}" if state.get("reason") else line


def stop_all(tables: ControlTables) -> None:
    """Stop whatever long work of a release runs."""
    for kind, run in RUNS:
        tables.job("stop", kind, **({"run": run} if run else {}))
