"""What a check came to: what was lost, resurrected or invented, each named by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from scripts.checker.history import Value


class Wrong(StrEnum):
    """What can be wrong. Lost: an acknowledged effect is not there. Resurrected: what an acknowledged operation took
    away is. Invented: what nobody wrote is. Divided: an operation of which nothing is known is in one table only.
    """

    LOST = "lost"
    RESURRECTED = "resurrected"
    INVENTED = "invented"
    DIVIDED = "divided"


@dataclass(frozen=True)
class Problem:
    """One wrong cell or row (`column` None). `operation` is the number of the one that was to decide, where one was."""

    wrong: Wrong
    where: str
    key: str
    column: str | None
    found: Value
    expected: Value
    operation: int | None
    reason: str

    def __str__(self) -> str:
        place = f"{self.key}" + (f", {self.column}" if self.column else "")
        return f"{self.wrong}: {place} in {self.where}: {self.reason}"


@dataclass(frozen=True)
class Verdict:
    """What a check came to. `keys` were judged in `states`, `cells` counts what was held against the history."""

    operations: Mapping[str, int]
    outcomes: Mapping[str, int]
    states: Sequence[str]
    keys: int
    single_writer_keys: int
    cells: int
    problems: Sequence[Problem] = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong. A run in which nothing was acknowledged, or nothing was read, proves nothing."""
        return not self.problems and self.empty_because is None

    @property
    def empty_because(self) -> str | None:
        """Why this check says nothing, or None."""
        if not self.states:
            return "no table was read"
        lacking = [kind for kind, count in self.operations.items() if not count]
        return f"no acknowledged {', no '.join(lacking)} in the history" if lacking else None

    def count(self, wrong: Wrong) -> int:
        """How many cells or rows are wrong in this way."""
        return sum(problem.wrong is wrong for problem in self.problems)

    def keys_of(self, wrong: Wrong | None = None) -> list[str]:
        """The keys of what is wrong (in this way), each once."""
        return sorted({problem.key for problem in self.problems if wrong in (None, problem.wrong)})

    def summary(self) -> str:
        """One sentence for a person."""
        if self.empty_because:
            return f"the check says nothing: {self.empty_because}"
        counts = ", ".join(f"{self.count(wrong)} {wrong}" for wrong in Wrong)
        total = sum(self.operations.values())
        return f"{counts} after {total} acknowledged writes on {self.keys} rows, in {', '.join(self.states)}"

    def as_document(self, most: int = 100) -> dict[str, Any]:
        """Plain data for JSON, with at most `most` problems and all counts."""
        counts = Counter(problem.wrong for problem in self.problems)
        return {
            "passed": self.passed,
            "summary": self.summary(),
            "acknowledged": dict(self.operations),
            "outcomes": dict(self.outcomes),
            "states": list(self.states),
            "keys": self.keys,
            "single_writer_keys": self.single_writer_keys,
            "cells": self.cells,
            **{str(wrong): counts[wrong] for wrong in Wrong},
            "problems": [asdict(problem) for problem in self.problems[:most]],
        }
