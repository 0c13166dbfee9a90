"""What the machine carries: the search for the knee, with the levels that were measured."""

from __future__ import annotations

import math

from scripts.experiment.pictures.style import ALARM, FAINT, INK, Picture, finish, legend, milliseconds_axis, new_figure
from scripts.experiment.records import Experiment

P99_MS = 300.0  # as `knee` has it


def knee_picture(experiment: Experiment) -> Picture | None:
    """Every rate that was tried with its 99th percentile; None where no knee was looked for."""
    steps = sorted((s for s in experiment.steps if math.isfinite(s.p99_ms)), key=lambda step: step.rate)
    if experiment.knee is None or not steps:
        return None
    figure, grid = new_figure(1, 1, 9, 3.2)
    axes = grid[0][0]
    milliseconds_axis(axes, [*(step.p99_ms for step in steps), P99_MS])
    carried = [step for step in steps if step.rate <= (experiment.knee or 0)]
    beyond = [step for step in steps if step not in carried]
    for some, colour, words in ((carried, "#0072b2", "carried"), (beyond, ALARM, "not carried")):
        axes.scatter([s.rate for s in some], [s.p99_ms for s in some], 30, color=colour, label=words, zorder=3)
    axes.plot([step.rate for step in steps], [step.p99_ms for step in steps], color=FAINT, linewidth=1, zorder=2)
    axes.axhline(P99_MS, color=FAINT, linestyle=":", linewidth=1)
    axes.axvline(experiment.knee, color=INK, linewidth=1.5)
    axes.annotate(f"knee: {experiment.knee:g}/s", (experiment.knee, 1), (4, -10), xycoords=("data", "axes fraction"),
                  textcoords="offset points", fontsize=9)  # fmt: skip
    for level in experiment.levels:
        axes.annotate(level.name, (level.rate, 0), (0, 4), xycoords=("data", "axes fraction"),
                      textcoords="offset points", ha="center", fontsize=8, rotation=90, va="bottom")  # fmt: skip
    axes.set_xlabel("requests per second")
    axes.set_ylabel("99th percentile, ms")
    legend(axes, 2)
    return finish(
        figure,
        "knee",
        "What this machine carries",
        "The knee is the highest rate with a 99th percentile under 300 ms, fewer than 0.1 % failed requests, and 99 % "
        "of the rate answered.",
    )
