"""The stages of a release: which there are, in which order, and when each may act. Pure: no Pulumi, no machines.

components/release.py turns them into resources, scripts/release carries them out; both read the order and the guards
here, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

STRATEGIES = ("bluegreen", "canary", "rolling", "halves")
GATES = ("none", "person", "time")
MIRRORS = ("trigger", "scan")
PACES = ("users", "none")
BACKFILL_ROWS = 10  # the fewest rows a second that a copy or a comparison may come down to
FREEZE_SECONDS = 60  # the longest that writes may wait
LAST_LOOK_SECONDS = 240.0  # what settle's comparison has beside the time for its rows


class Kind(StrEnum):
    """What a stage does. `tables`, `backfill` and `verify` act only where the data changes.

    `freeze` acts only where, besides, no mirror keeps the tables level: from it to the end of `settle` writes wait.
    """

    PREFLIGHT = "preflight"
    TABLES = "tables"
    BACKFILL = "backfill"
    VERIFY = "verify"
    INSTALL = "install"
    SMOKE = "smoke"
    GATE = "gate"
    FREEZE = "freeze"
    SHIFT = "shift"
    SETTLE = "settle"
    ROLLBACK = "rollback"
    OUTCOME = "outcome"


SECONDS = {Kind.INSTALL: 180.0, Kind.OUTCOME: 30.0}  # a stage's time, where it is always the same and not 90


class State(StrEnum):
    """How a stage ended. Refused: preflight touched nothing. Held: it changed nothing because it must not."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    REFUSED = "refused"
    HELD = "held"


@dataclass(frozen=True)
class Stage:
    """One step of a release; `group` counts from 1 where the stage is about one group of sites, else 0."""

    kind: Kind
    group: int = 0

    @property
    def name(self) -> str:
        """The stage's name, such as install-1."""
        return f"{self.kind}-{self.group}" if self.group else str(self.kind)


def divide(strategy: str, sites: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the groups of sites that a strategy releases one after another: halves, or every site for itself."""
    if strategy == "rolling":
        return [(site,) for site in sites]
    half = (len(sites) + 1) // 2
    return [tuple(sites[:half]), tuple(sites[half:])]


def order(groups: int) -> tuple[Stage, ...]:
    """Return all stages of a release of that many groups, in order."""
    middle: list[Stage] = []
    for group in range(1, groups + 1):
        middle += [Stage(Kind.INSTALL, group), Stage(Kind.SMOKE, group)]
        if group == 1:
            middle += [Stage(Kind.GATE), Stage(Kind.FREEZE)]
        middle.append(Stage(Kind.SHIFT, group))
    data = (Stage(Kind.TABLES), Stage(Kind.BACKFILL), Stage(Kind.VERIFY))
    return (Stage(Kind.PREFLIGHT), *data, *middle, Stage(Kind.SETTLE), Stage(Kind.ROLLBACK), Stage(Kind.OUTCOME))


def find(name: str, groups: int) -> Stage:
    """Return the stage of that name; raises KeyError if the release has none."""
    for stage in order(groups):
        if stage.name == name:
            return stage
    raise KeyError(name)


def turn(stage: Stage, groups: int) -> int:
    """Return the stage's number in the order: what a load balancer hears from a later stage beats an earlier one's."""
    return order(groups).index(stage)


def bad(earlier: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the first verdict that stops a release, None if there is none."""
    stopping = (State.FAILED, State.REFUSED, State.HELD)
    return next((verdict for verdict in earlier if verdict["state"] in stopping), None)


def reason_to_skip(stage: Stage, earlier: Sequence[Mapping[str, Any]]) -> str:
    """Return why a stage must not act after these verdicts, "" if it may: the guard of every stage."""
    stopped = bad(earlier)
    match stage.kind:
        case Kind.OUTCOME:
            return ""
        case Kind.ROLLBACK:
            if stopped is None:
                return "nothing failed"
            return "nothing was touched" if stopped["state"] == State.REFUSED else ""
        case _:
            return f"{stopped['stage']} {stopped['state']}" if stopped else reason_of_data(stage, earlier)


def reason_of_data(stage: Stage, earlier: Sequence[Mapping[str, Any]]) -> str:
    """Return why a stage has nothing to do because of what becomes of the data, "" if it has."""
    data = next((said["figures"]["data"] for said in earlier if said.get("figures", {}).get("data")), None)
    if stage.group > 1 and waits(data):
        return "all sites go together, so that writes wait once"
    if stage.kind not in (Kind.TABLES, Kind.BACKFILL, Kind.VERIFY, Kind.FREEZE):
        return ""
    if data is None:
        return "the data does not change"
    if not data["tables"] and stage.kind is not Kind.TABLES:
        return "no rows are copied: the tables are new altogether"
    return "the mirror keeps the tables level" if stage.kind is Kind.FREEZE and not waits(data) else ""


def waits(data: Mapping[str, Any] | None) -> bool:
    """Tell whether writes wait in a release that changes the data like this: rows are copied, and nothing mirrors."""
    return data is not None and data.get("mirror") == "scan" and bool(data["tables"])


def reason_to_pass(plan: Mapping[str, Any], *, is_revert: bool) -> str:
    """Return why the gate has nothing to wait for, "" if it has."""
    if is_revert:
        return "a way back waits for nothing"
    return "none is asked for" if plan["gate"] == "none" and not float(plan["bake_seconds"]) else ""


def deadline(stage: Stage, plan: Mapping[str, Any], rows: int | None = None) -> float:
    """Return the wall-clock seconds that a stage may take before it counts as failed.

    `rows` is about how many a data-changing release copies; None where no table is made, compared or dropped.
    """
    limit, waits_for = time_with_data(stage.kind, plan, rows) or time_of(stage, plan)
    return limit * slowness(plan) + waits_for


def time_of(stage: Stage, plan: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds that a stage's own work may take, longer on slow hosts, and those that the plan adds."""
    match stage.kind:
        case Kind.PREFLIGHT:
            return 120.0, float(plan["lock_wait_seconds"])
        case Kind.GATE:
            return 30.0, float(plan["gate_seconds"]) + float(plan["bake_seconds"])
        case Kind.SHIFT if plan["strategy"] == "canary" and stage.group == 1:
            canary = plan["canary"]
            # A step may be watched for up to three times its bake until there are requests enough.
            return 60.0, 3.0 * len(canary["steps"]) * float(canary["bake_seconds"])
    return SECONDS.get(stage.kind, 90.0), 0.0


def time_with_data(kind: Kind, plan: Mapping[str, Any], rows: int | None) -> tuple[float, float] | None:
    """Return the same of a stage that makes, copies, compares or drops tables, or has writes wait; else None."""
    match kind:
        case Kind.TABLES:
            return 300.0, 0.0
        case Kind.BACKFILL | Kind.VERIFY:
            return 600.0, copy_seconds(plan, rows)
        case Kind.FREEZE:
            return 120.0, float(plan.get("freeze_seconds", FREEZE_SECONDS))
        case Kind.SETTLE if rows is not None:
            return 150.0 + LAST_LOOK_SECONDS, copy_seconds(plan, rows)
        case Kind.ROLLBACK if rows is not None:
            return 390.0, 0.0
    return None


def slowness(plan: Mapping[str, Any]) -> int:
    """Return how many times longer than usual what is done on hosts may take; a plan names it where it is not 1."""
    return int(plan.get("slowness", 1))


def copy_seconds(plan: Mapping[str, Any], rows: int | None) -> float:
    """Return how long the slowest copy that the plan puts up with takes."""
    return (rows or 0) / slowest_pace(plan)


def last_look_seconds(plan: Mapping[str, Any], rows: int | None) -> float:
    """Return how long settle may compare: what is left of its time is for all else that it does."""
    return LAST_LOOK_SECONDS * slowness(plan) + copy_seconds(plan, rows)


def slowest_pace(plan: Mapping[str, Any]) -> float:
    """Return the fewest rows a second that a plan lets long work come down to, by which its time is counted."""
    return float(plan.get("backfill_rows", BACKFILL_ROWS))
