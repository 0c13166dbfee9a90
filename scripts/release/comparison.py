"""The two tables of a release held against each other: a job run to its end, its result in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scripts.release.control_tables import ControlTables
from scripts.release.jobs import Users, follow, gives_way
from scripts.release.work import Work

Figures = Mapping[str, Any]


def compare(work: Work, tables: ControlTables, run: str, *, repair: bool = False, seconds: float = math.inf) -> Figures:
    """Compare all tables afresh and return what came of it; `repair` copies ranges that differ once more.

    Raises UnfinishedError where it is not done after `seconds`.
    """
    users = heard_users(work)
    more = {"run": run, "paced": users is not None, "afresh": True, "repair": repair}
    state = follow(work, tables, "compare", users, seconds, **more)
    figures: Figures = state["figures"]
    work.figures["compared"] = dict(figures)
    return figures


def heard_users(work: Work) -> Users | None:
    """Return the users that a job gives way to; None where it does not."""
    return Users(work.load_balancers, work.told.figure("users_p99_ms")) if gives_way(work) else None


def differences(figures: Figures) -> int:
    """Return how many rows differ; what the old version cannot hold is none."""
    return sum(int(figures.get(key, 0)) for key in ("missing", "extra", "different"))


def in_words(figures: Figures) -> str:
    """Return what differs, with the first example, in words."""
    parts = [f"{figures[key]} {key}" for key in ("missing", "extra", "different") if figures.get(key)]
    examples = figures.get("examples") or []
    first = ""
    if examples:
        one = examples[0]
        key = ", ".join(f"{name} {value}" for name, value in one["key"].items())
        column = f", {one['column']}" if one.get("column") else ""
        first = f", such as {key}{column}: {one['why']}"
    return f"{', '.join(parts) or 'nothing'} of {figures.get('rows', 0)} rows{first}"
