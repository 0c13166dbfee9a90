"""Response time over a run, second by second, with the release's stages shaded and failed requests marked."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from scripts.experiment.cells import Cell, Results
from scripts.experiment.pictures.style import (
    ALARM,
    COLOURS,
    FAINT,
    INK,
    NAMES,
    SCENARIO_NAMES,
    Picture,
    finish,
    legend,
    milliseconds_axis,
    new_figure,
    nothing_here,
    title,
)
from scripts.experiment.plan import RELEASES, Level
from scripts.experiment.records import Stage
from scripts.experiment.reduce import RunSummary

SHADES = ("#eef3f8", "#dde7f0")
UNDO = "#f7ddd9"
NARROW = 0.03  # of the picture's width: a stage that is narrower has no room for its name


def timeline_pictures(results: Results) -> list[Picture]:
    """A picture for each level that has releases: a row a scenario, a column a strategy."""
    return [
        timeline(results, level)
        for level in results.levels
        if any(cell.level == level and cell.is_release for cell in results.cells)
    ]


def timeline(results: Results, level: Level) -> Picture:
    """The median run of each cell of a level."""
    scenarios = [s for s in RELEASES if any(results.cell(level.name, s, each) for each in results.strategies)]
    strategies = results.strategies
    figure, grid = new_figure(
        len(scenarios), len(strategies), 6.2 * len(strategies), 3.2 * len(scenarios), sharex=True, sharey=True
    )
    baseline = results.baseline(level.name)
    usual = baseline.typical_ms("p50_ms") if baseline else None
    summaries = shown(results, level)
    length = max(summary.timeline[-1].at + 1 for summary in summaries)
    for row, scenario in enumerate(scenarios):
        for column, strategy in enumerate(strategies):
            axes = grid[row][column]
            cell = results.cell(level.name, scenario, strategy)
            if cell is None:
                nothing_here(axes, "not measured")
                continue
            draw(axes, cell, usual, length)
            title(axes, f"{SCENARIO_NAMES[scenario]} release, {NAMES.get(strategy, strategy)}", pad=34)
    for axes in grid[-1]:
        axes.set_xlabel("seconds from the beginning of the run")
    legend(grid[0][0], 3)
    grid[0][0].set_xlim(0, length)
    milliseconds_axis(grid[0][0], extent(summaries))
    saturated = ": more than this machine carries" if level.saturated else ""
    return finish(
        figure,
        f"timeline-{level.name}",
        f"Response time over a run, {level.label} load ({level.rate} requests/s{saturated})",
        "For each strategy the run whose average is the median one: median and 99th percentile of each second, the "
        "release's stages shaded, failed requests as red marks at the bottom.",
    )


def shown(results: Results, level: Level) -> list[RunSummary]:
    """The runs that a level's picture shows."""
    return [cell.median_run.summary for cell in results.cells if cell.level == level and cell.is_release]


def extent(summaries: Sequence[RunSummary]) -> list[float]:
    """All times of these runs, which share one axis."""
    seconds = [second for summary in summaries for second in summary.timeline]
    return [time for second in seconds for time in (second.p50_ms, second.p99_ms) if time]


def draw(axes: Axes, cell: Cell, usual: float | None, length: float) -> None:
    """One run, in a picture of so many seconds."""
    measured = cell.median_run
    summary, colour = measured.summary, COLOURS.get(cell.strategy, INK)
    seconds = [second for second in summary.timeline if second.requests]
    at = [second.at + 0.5 for second in seconds]
    if measured.run.release:
        for number, stage in enumerate(measured.run.release.stages):
            shade(axes, stage, number, summary.started, length)
    if usual is not None:
        axes.axhline(usual, color=FAINT, linewidth=1, linestyle="--", label="median without a release")
    axes.plot(
        at, [second.p99_ms or 0.0 for second in seconds], color=colour, linewidth=1, alpha=0.55, label="99th percentile"
    )
    axes.plot(at, [second.p50_ms or 0.0 for second in seconds], color=colour, linewidth=2, label="median")
    failed = [(second.at + 0.5, second.failed) for second in seconds if second.failed]
    if failed:
        axes.scatter(
            [moment for moment, _ in failed], [0.03] * len(failed), [18 + 6 * count**0.5 for _, count in failed],
            marker="x", color=ALARM, transform=axes.get_xaxis_transform(), label="failed requests", zorder=5,
        )  # fmt: skip


def shade(axes: Axes, stage: Stage, number: int, started: float, length: float) -> None:
    """A stage's time, with its name above if there is room."""
    begin = stage.started - started
    end = (stage.ended or stage.started) - started
    colour = UNDO if stage.name == "rollback" else SHADES[number % 2]
    axes.axvspan(begin, end, color=colour, linewidth=0, zorder=0)
    if end - begin >= NARROW * length:
        axes.text(
            (begin + end) / 2, 1.01, stage.name, transform=axes.get_xaxis_transform(), rotation=35, fontsize=7,
            ha="left", va="bottom", color=INK, rotation_mode="anchor",
        )  # fmt: skip
