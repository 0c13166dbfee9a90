"""The thesis's figures as they are printed: its appendix run by run, its tables, and what is known to be misprinted.

Typed in from its text: `runs.csv` has Tables A.1 to A.9 (90 runs; decimal commas are points here), `printed.csv`
every other figure: the appendix's line of averages, Tables 4.1 to 4.3 and the p-values of Tables 5.1 to 5.3.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
LEVELS = ("low", "medium", "high")
SCENARIOS = ("none", "successful", "failing")
# The thesis's three questions, each a table of averages and a table of p-values.
QUANTITIES = {"error_percent": ("4.1", "5.1"), "average_ms": ("4.2", "5.2"), "max_ms": ("4.3", "5.3")}


@dataclass(frozen=True)
class ThesisRun:
    """One row of Tables A.1 to A.9. Times in ms, throughput in requests per second; `error_percent` as printed."""

    table: str
    level: str
    scenario: str
    run: int
    requests: int
    average_ms: float
    min_ms: float
    max_ms: float
    throughput: float
    errors: int
    error_percent: str

    def value(self, quantity: str, corrected: bool = False) -> float:
        """A figure of the row; `corrected`: the error rate from the row's own counts, in percent."""
        if quantity == "error_percent" and corrected:
            return 100.0 * self.errors / self.requests
        return float(getattr(self, quantity))


@dataclass(frozen=True)
class Printed:
    """A figure of a table; `text` as printed, empty where the thesis leaves it out."""

    table: str
    level: str
    scenario: str
    quantity: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, in the words of misprints.toml."""
        return f"{self.table} {self.quantity if self.table.startswith('A.') else f'{self.level} {self.scenario}'}"


@dataclass(frozen=True)
class Misprint:
    """What is printed at a place, what the rows give, and what seems to have happened."""

    place: str
    printed: str
    gives: str
    why: str


@cache
def thesis_runs() -> tuple[ThesisRun, ...]:
    """The 90 runs of the appendix, in its order."""
    return tuple(
        ThesisRun(
            row["table"],
            row["level"],
            row["scenario"],
            int(row["run"]),
            int(row["requests"]),
            float(row["average_ms"]),
            float(row["min_ms"]),
            float(row["max_ms"]),
            float(row["throughput"]),
            int(row["errors"]),
            row["error_percent"],
        )
        for row in read("runs.csv")
    )


@cache
def printed() -> tuple[Printed, ...]:
    """The 108 other figures."""
    return tuple(
        Printed(row["table"], row["level"], row["scenario"], row["quantity"], row["printed"])
        for row in read("printed.csv")
    )


@cache
def misprints() -> dict[str, Misprint]:
    """The known misprints by their place."""
    listed = tomllib.loads((HERE / "misprints.toml").read_text("utf-8"))["misprint"]
    return {entry["place"]: Misprint(**entry) for entry in listed}


def values(level: str, scenario: str, quantity: str, corrected: bool = False) -> list[float]:
    """A cell's ten figures, one a run."""
    return [run.value(quantity, corrected) for run in thesis_runs() if (run.level, run.scenario) == (level, scenario)]


def digits(text: str) -> int:
    """How many decimals a printed figure has."""
    return len(text.partition(".")[2])


def rounded(value: float, decimals: int) -> str:
    """A figure with so many decimals, halves up as a spreadsheet does it."""
    # repr first: 0.0245 is meant, not the binary fraction just below it.
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def read(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file beside this one."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
