"""What the machine carries: the search for the knee; and what many releases leave behind on its hosts."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from scripts.experiment.pictures.style import (
    ALARM,
    FAINT,
    INK,
    Picture,
    finish,
    legend,
    milliseconds_axis,
    new_figure,
    title,
)
from scripts.experiment.records import Experiment
from scripts.experiment.soak import LEAST_BYTES, read_series

P99_MS = 300.0  # as `knee` has it
MIB = 2**20
KINDS = {"memory": "memory of a host", "disk": "disk of a host"}
NAMED = 4  # the hosts whose lines are named: those that grew most


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
        axes.annotate(level.label, (level.rate, 0), (0, 4), xycoords=("data", "axes fraction"),
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


def soak_picture(samples: Path) -> Picture:
    """Memory and disk of every host over the releases of a soak, as what was added since the first sample."""
    figure, grid = new_figure(1, 2, 11, 3.2)
    series = read_series(samples)
    for axes, (kind, words) in zip(grid[0], KINDS.items(), strict=True):
        hosts = {host: values for (host, service, what), values in series.items() if what == kind and not service}
        added = {
            host: ([*sorted(values)], [(values[n] - values[min(values)]) / MIB for n in sorted(values)])
            for host, values in hosts.items()
        }
        most = sorted(added, key=lambda host: added[host][1][-1], reverse=True)[:NAMED]
        for host, (releases, mebibytes) in added.items():
            axes.plot(
                releases, mebibytes, linewidth=1.6 if host in most else 0.8, alpha=1 if host in most else 0.4,
                color=None if host in most else FAINT, label=host if host in most else None,
            )  # fmt: skip
        title(axes, words)
        axes.set_xlabel("releases before")
        axes.set_ylabel("MiB added")
        axes.axhline(0, color=FAINT, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        highest = max((max(mebibytes) for _, mebibytes in added.values()), default=0.0)
        axes.set_ylim(top=max(LEAST_BYTES / MIB, 1.15 * highest))  # so that what does not count looks small
        if added:
            axes.legend(fontsize=8, frameon=False, ncols=NAMED)
    return finish(
        figure,
        "soak",
        "What releases leave behind",
        "A line is a host, counted from its first sample; the ones that grew most are named.",
    )
