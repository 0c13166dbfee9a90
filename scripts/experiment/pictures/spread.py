"""How runs differ: box plots of each cell's runs; and the share of requests that failed, with its upper bound."""

from __future__ import annotations

from matplotlib.axes import Axes

from scripts.experiment.cells import Cell, Results
from scripts.experiment.pictures.style import (
    COLOURS,
    FAINT,
    INK,
    Picture,
    finish,
    label_of,
    milliseconds_axis,
    new_figure,
    title,
)
from scripts.experiment.plan import Level

FIGURES = {"average_ms": "average", "p99_ms": "99th percentile"}


def box_pictures(results: Results) -> list[Picture]:
    """A picture for each level: average and 99th percentile of each run, by cell."""
    return [boxes(results, level) for level in results.levels]


def boxes(results: Results, level: Level) -> Picture:
    """One level's runs."""
    cells = [cell for cell in results.cells if cell.level == level]
    figure, grid = new_figure(1, len(FIGURES), 11, 3.6)
    for axes, (name, words) in zip(grid[0], FIGURES.items(), strict=True):
        milliseconds_axis(axes, [value for cell in cells for value in cell.values(name)])
        box(axes, cells, name)
        title(axes, f"{words} of a run")
    return finish(
        figure,
        f"runs-{level.name}",
        f"Every run, {level.label} load ({level.rate} requests/s)",
        "A dot is a run; the box holds the middle half of a cell's runs, its line is their median.",
    )


def box(axes: Axes, cells: list[Cell], figure: str) -> None:
    """A box and its dots for each cell."""
    values = [cell.values(figure) for cell in cells]
    drawn = axes.boxplot(values, widths=0.55, showfliers=False, patch_artist=True, medianprops={"color": INK})
    for patch, cell in zip(drawn["boxes"], cells, strict=True):
        patch.set(facecolor=COLOURS.get(cell.strategy, INK), alpha=0.35, edgecolor=INK)
    for place, (cell, runs) in enumerate(zip(cells, values, strict=True), start=1):
        # Dots of one cell side by side, so that equal ones are seen.
        beside = [place + 0.16 * (number / max(1, len(runs) - 1) - 0.5) for number in range(len(runs))]
        axes.scatter(beside, runs, 16, color=COLOURS.get(cell.strategy, INK), zorder=3)
    axes.set_xticks(range(1, len(cells) + 1), [label_of(cell.scenario, cell.strategy) for cell in cells], fontsize=8)


def error_picture(results: Results) -> Picture:
    """Failed requests of every cell, percent, up to the upper bound at 95 %."""
    levels = results.levels
    figure, grid = new_figure(1, len(levels), max(5.0, 4.2 * len(levels)), 3.4)
    for axes, level in zip(grid[0], levels, strict=True):
        cells = [cell for cell in results.cells if cell.level == level]
        for place, cell in enumerate(cells):
            rate = cell.requests
            colour = COLOURS.get(cell.strategy, INK)
            axes.bar(place, 100 * rate.value, width=0.6, color=colour, alpha=0.8)
            axes.plot([place, place], [100 * rate.value, 100 * rate.upper], color=INK, linewidth=1)
            axes.plot(place, 100 * rate.upper, marker="_", color=INK, markersize=10)
            axes.annotate(
                f"{rate.failures:,}", (place, 100 * rate.upper), (0, 5), textcoords="offset points", ha="center",
                fontsize=9, fontweight="bold" if rate.failures else "normal",
            )  # fmt: skip
        axes.set_xticks(range(len(cells)), [label_of(cell.scenario, cell.strategy) for cell in cells], fontsize=7)
        title(axes, f"{level.label} ({level.rate}/s){', saturated' if level.saturated else ''}")
        axes.set_ylabel("failed requests, %")
        axes.set_ylim(0, 120 * max(cell.requests.upper for cell in cells))
        axes.grid(axis="y", color="#e5e9ed")
        axes.set_axisbelow(True)
        axes.tick_params(axis="x", length=0, labelcolor=FAINT if level.saturated else INK)
    return finish(
        figure,
        "errors",
        "Failed requests",
        "Percent of all requests of a cell; the number is how many failed, the line reaches to the rate that 95 % "
        "confidence does not exclude.",
    )
