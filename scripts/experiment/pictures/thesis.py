"""The thesis's Figures 4.1 to 4.5, drawn from its appendix, beside the same figures of this experiment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TypeVar

from matplotlib.axes import Axes

from scripts.experiment.cells import Results
from scripts.experiment.pictures.style import (
    COLOURS,
    INK,
    SHORT,
    Picture,
    finish,
    legend,
    new_figure,
    nothing_here,
    title,
)
from scripts.experiment.thesis.appendix import LEVELS, SCENARIOS, values

TICKS = {"none": "none", "successful": "success", "failing": "failing"}
ERROR_FIGURES = {"low": "4.1", "medium": "4.2", "high": "4.3"}
TIME_FIGURES = {"4.4": ("average_ms", "average response time"), "4.5": ("max_ms", "longest response time")}
Place = TypeVar("Place")
Series = tuple[str, str, list[float | None]]  # what it is called, its colour, a figure for each place


def thesis_pictures(results: Results) -> list[Picture]:
    """Five pictures: the thesis's figure on the left, ours on the right."""
    return [errors(results, level) for level in LEVELS] + [times(results, number) for number in TIME_FIGURES]


def errors(results: Results, level: str) -> Picture:
    """Figures 4.1 to 4.3: the error rate at one level."""
    number = ERROR_FIGURES[level]
    theirs = [fmean(values(level, scenario, "error_percent", corrected=True)) for scenario in SCENARIOS]
    figure, grid = new_figure(1, 2, 11, 2.9, sharey=True)
    ours = our_series(results, lambda scenario, strategy: our_errors(results, level, scenario, strategy), SCENARIOS)
    bars(grid[0][0], list(TICKS.values()), [("thesis", COLOURS["thesis"], list(theirs))])
    draw_ours(grid[0][1], list(TICKS.values()), ours, f"level «{level}» was not measured in this experiment")
    label(grid[0], number, "failed requests, %")
    grid[0][0].set_ylim(0, 1.2 * max([*theirs, *(value for _, _, each in ours for value in each if value), 0.01]))
    return finish(
        figure,
        f"figure-{number}",
        f"Figure {number}: failed requests at {level} load",
        "Left the thesis (misprinted rates corrected from its own counts), right this experiment.",
    )


def times(results: Results, number: str) -> Picture:
    """Figures 4.4 and 4.5: times at all levels."""
    quantity, words = TIME_FIGURES[number]
    places = [(level, scenario) for level in LEVELS for scenario in SCENARIOS]
    theirs = [fmean(values(level, scenario, quantity)) for level, scenario in places]
    figure, grid = new_figure(1, 2, 11, 3.4, sharey=True)

    def mean_of(place: tuple[str, str], strategy: str | None) -> float | None:
        cell = results.cell(*place, strategy)
        return fmean(cell.values(quantity)) if cell else None

    ours = our_series(results, mean_of, places)
    ticks = [
        f"{TICKS[scenario]}\n{level}" if scenario == "successful" else TICKS[scenario] for level, scenario in places
    ]
    for axes in grid[0]:
        axes.set_yscale("log")
        axes.set_ylim(1, 400_000)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bars(grid[0][0], ticks, [("thesis", COLOURS["thesis"], list(theirs))])
    draw_ours(grid[0][1], ticks, ours, "none of the thesis's levels was measured in this experiment")
    label(grid[0], number, "ms")
    return finish(
        figure,
        f"figure-{number}",
        f"Figure {number}: {words}",
        "Left the thesis, right this experiment; the axis is logarithmic, and the same for both.",
    )


def our_errors(results: Results, level: str, scenario: str, strategy: str | None) -> float | None:
    """The mean of the runs' error rates, percent, as the thesis has it."""
    cell = results.cell(level, scenario, strategy)
    return fmean(cell.values("error_percent")) if cell else None


def our_series(
    results: Results, figure: Callable[[Place, str | None], float | None], places: Sequence[Place]
) -> list[Series]:
    """A series for the runs without a release and one for each strategy; those without any figure are left out."""
    found: list[Series] = []
    for strategy in (None, *results.strategies):
        row = [figure(place, strategy) for place in places]
        if any(value is not None for value in row):
            found.append((SHORT.get(strategy, strategy) if strategy else "no release", COLOURS[strategy], row))
    return found


def draw_ours(axes: Axes, ticks: list[str], series: list[Series], otherwise: str) -> None:
    """Our bars, or why there are none."""
    if not series:
        nothing_here(axes, otherwise)
        return
    bars(axes, ticks, series)
    legend(axes, len(series))


def bars(axes: Axes, ticks: list[str], series: list[Series]) -> None:
    """Bars side by side at each place, each with its figure above."""
    for place in range(len(ticks)):
        there = [(name, colour, row[place]) for name, colour, row in series if row[place] is not None]
        width = 0.8 / max(2, len(there))
        for number, (_, colour, value) in enumerate(there):
            at = place + (number - (len(there) - 1) / 2) * width
            axes.bar(at, value or 0, width * 0.92, color=colour)
            axes.annotate(
                in_words(value or 0), (at, value or 0), (0, 2), textcoords="offset points", ha="center", fontsize=7
            )
    for name, colour, _ in series:
        axes.bar(0, 0, color=colour, label=name)  # for the legend
    axes.set_xticks(range(len(ticks)), ticks, fontsize=8)
    axes.tick_params(axis="x", length=0, labelcolor=INK)


def label(grid: Sequence[Axes], number: str, unit: str) -> None:
    """Titles and unit."""
    title(grid[0], f"thesis, Figure {number}")
    title(grid[1], "this experiment")
    grid[0].set_ylabel(unit)


def in_words(value: float) -> str:
    """A figure with three digits that count."""
    if value == 0:
        return "0"
    return f"{math.floor(value + 0.5):,}" if value >= 100 else f"{value:.3g}"  # halves up, as the thesis has it
