"""A comparison's figures in words. Needs no driver: the deployer says them, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTED = {
    "unrepresentable": "values that the old type cannot hold",
    "without_default": "rows without a value in an added column",
    "left_over": "rows kept by a marker only",
}


def sentence(figures: Mapping[str, Any]) -> str:
    """Say in one sentence what the figures of a comparison come to."""
    rows = f"{figures['rows']:,} rows"
    notes = [f"{figures[name]} {words}" for name, words in NOTED.items() if figures[name]]
    noted = f" ({', '.join(notes)})" if notes else ""
    if not figures["differences"]:
        return f"the two tables are level: {rows} compared{noted}"
    counts = ", ".join(f"{figures[what]} {what}" for what in ("missing", "extra", "different") if figures[what])
    first = figures["examples"][0] if figures["examples"] else None
    return f"{figures['differences']} of {rows} differ ({counts})" + (f"; first: {example(first)}" if first else "")


def example(found: Mapping[str, Any]) -> str:
    """Say in a few words what one example is: table, key, column and why."""
    key = ", ".join(f"{name} {value}" for name, value in found["key"].items())
    column = f", column {found['column']}" if found["column"] else ""
    return f"{found['table']} {key}{column}: {found['why']}"
