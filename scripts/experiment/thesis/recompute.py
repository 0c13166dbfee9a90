"""The thesis's figures computed again from its rows: which come out, which are misprints, which tests they flip.

A table's figure is the mean of its cell's ten rows; a p-value is Student's t-test, two-sided with pooled variance, of a
cell's ten rows against those without a deployment. Misprinted rates count as printed here, as the thesis took them;
`corrected` takes each row's own counts instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from scripts.experiment.statistics.comparison import student
from scripts.experiment.thesis.appendix import (
    Misprint,
    Printed,
    ThesisRun,
    digits,
    misprints,
    printed,
    rounded,
    thesis_runs,
    values,
)

SIGNIFICANT = 0.05
P_TABLES = ("5.1", "5.2", "5.3")
ROW_DECIMALS = 3


@dataclass(frozen=True)
class Check:
    """A printed figure beside what its rows give. `misprint` where that is known to differ."""

    place: str
    printed: str
    gives: str
    misprint: Misprint | None

    @property
    def comes_out(self) -> bool:
        """Whether the rows give what is printed, to the printed digits."""
        return bool(self.printed) and float(self.printed) == float(self.gives)

    @property
    def is_explained(self) -> bool:
        """Whether it comes out, or is a misprint just as it is listed."""
        if self.comes_out:
            return self.misprint is None
        return self.misprint is not None and (self.misprint.printed, self.misprint.gives) == (self.printed, self.gives)


@dataclass(frozen=True)
class PValue:
    """A printed p-value, from the printed rows and from rows whose error rates are corrected."""

    figure: Printed
    from_rows: float
    corrected: float

    @property
    def comes_out(self) -> bool:
        """Whether the printed rows give it to the printed digits."""
        return rounded(self.from_rows, digits(self.figure.text)) == self.figure.text

    @property
    def flips(self) -> bool:
        """Whether the corrected rates change what it says at the level of 0.05."""
        return (float(self.figure.text) < SIGNIFICANT) != (self.corrected < SIGNIFICANT)


def check_row(run: ThesisRun) -> Check:
    """A row's error rate against its own counts. Rates are printed with up to three decimals, zeros left out."""
    place = f"{run.table} run {run.run}"
    gives = rounded(run.value("error_percent", corrected=True), ROW_DECIMALS)
    return Check(place, run.error_percent, gives, misprints().get(place))


def check_mean(figure: Printed) -> Check:
    """An average of the appendix or of Tables 4.1 to 4.3 against the cell's rows, from their own counts."""
    mean = fmean(values(figure.level, figure.scenario, figure.quantity, corrected=True))
    known = misprints().get(figure.place)
    decimals = digits(known.gives) if known else digits(figure.text)
    return Check(figure.place, figure.text, rounded(mean, decimals), known)


def p_value(figure: Printed) -> PValue:
    """One of the 18."""
    with_rows, corrected = (
        student(
            values(figure.level, "none", figure.quantity, corrected),
            values(figure.level, figure.scenario, figure.quantity, corrected),
        )
        for corrected in (False, True)
    )
    return PValue(figure, with_rows, corrected)


def checks() -> list[Check]:
    """Every row and every average: 90 rows, 63 averages of the appendix, 27 figures of Tables 4.1 to 4.3."""
    means = [check_mean(figure) for figure in printed() if figure.table not in P_TABLES]
    return [check_row(run) for run in thesis_runs()] + means


def p_values() -> list[PValue]:
    """The 18 p-values in the order of Tables 5.1 to 5.3."""
    return [p_value(figure) for figure in printed() if figure.table in P_TABLES]


def unused(found: list[Check]) -> list[Misprint]:
    """Misprints that are listed and name no figure."""
    places = {check.place for check in found}
    return [misprint for place, misprint in misprints().items() if place not in places]
