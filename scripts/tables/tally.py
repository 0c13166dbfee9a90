"""What comparing two tables came to: counts, examples, and the ranges that differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.tables.difference import Outcome
from scripts.tables.tokens import TokenRange

MOST_EXAMPLES = 20
MOST_RANGES = 100
COUNTED = (
    "rows", "missing", "extra", "different", "unrepresentable", "without_default", "left_over", "looked_again",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One row that differs, for a person: key and column by the source's names."""

    table: str
    key: Mapping[str, str]
    column: str | None
    what: str
    why: str


@dataclass
class Tally:
    """What comparing came to so far. `ranges` are those in which a difference was left, by the source table's name."""

    rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    unrepresentable: int = 0
    without_default: int = 0
    left_over: int = 0
    looked_again: int = 0
    examples: list[Example] = field(default_factory=list)
    ranges: list[tuple[str, TokenRange]] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """How many rows differ."""
        return self.missing + self.extra + self.different

    def add(self, other: Tally) -> None:
        """Count another tally's in."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples += other.examples[: MOST_EXAMPLES - len(self.examples)]
        self.ranges += other.ranges

    def count(self, outcome: Outcome) -> None:
        """Count one row's outcome in."""
        if outcome.differences:
            what = outcome.differences[0].what
            setattr(self, what, getattr(self, what) + 1)
        self.unrepresentable += outcome.unrepresentable
        self.without_default += outcome.without_default
        self.left_over += outcome.left_over

    def figures(self) -> dict[str, Any]:
        """Plain data for a verdict."""
        return {
            **{name: getattr(self, name) for name in COUNTED},
            "differences": self.differences,
            "examples": [
                {"table": one.table, "key": dict(one.key), "column": one.column, "what": one.what, "why": one.why}
                for one in self.examples
            ],
            "ranges_differing": len(self.ranges),
            "first_ranges": [[table, tokens.start, tokens.end] for table, tokens in self.ranges[:MOST_RANGES]],
        }
