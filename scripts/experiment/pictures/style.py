"""What all pictures share. Colours tell strategies apart also for those who see few colours (Okabe and Ito 2008)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

MOST_LINEAR = 15  # how many times the least value the greatest may be on a linear axis
INK, FAINT, ALARM = "#1f2933", "#8a94a0", "#c0392b"
COLOURS = {
    None: "#7f8c99",
    "none": "#7f8c99",
    "bluegreen": "#0072b2",
    "halves": "#e69f00",
    "rolling": "#009e73",
    "canary": "#cc79a7",
    "thesis": "#56616c",
}
NAMES = {"bluegreen": "blue-green", "halves": "halves (the thesis's way)", "rolling": "rolling", "canary": "canary"}
SHORT = {"bluegreen": "blue-green", "halves": "halves"}
SCENARIO_NAMES = {
    "none": "no release",
    "successful": "successful",
    "failing": "failing",
    "aa": "no release, again",
    "unchanged": "up without change",
}
# Any: matplotlib types this dictionary by all of its 300 keys. One hash salt: the same figures give the same file.
SETTINGS: Any = {
    "svg.hashsalt": "evenkeel",
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True)
class Picture:
    """A picture: its file's name without ending, what it is called, what it shows in words, and the SVG."""

    name: str
    title: str
    words: str
    svg: str


def new_figure(rows: int, columns: int, width: float, height: float, **axes: Any) -> tuple[Figure, Any]:
    """A figure with a grid of axes (always a two-dimensional array), sizes in inches. Without any global state."""
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **axes)


def finish(figure: Figure, name: str, title: str, words: str) -> Picture:
    """Draw a figure."""
    with rc_context(SETTINGS):
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(name, title, words, text.getvalue())


def milliseconds_axis(axes: Axes, values: Iterable[float]) -> None:
    """Times as these from 0 on, or on a logarithmic axis where they differ too much to be seen side by side."""
    known = [value for value in values if value > 0]
    low, high = min(known, default=1.0), max(known, default=1.0)
    if high < MOST_LINEAR * low:
        axes.set_ylim(0, 1.12 * high)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.6, high * 1.6)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}")
    axes.set_ylabel("ms")
    axes.grid(axis="y", which="major", color="#e5e9ed", linewidth=0.8)
    axes.set_axisbelow(True)


def title(axes: Axes, words: str, pad: float = 6) -> None:
    """What a part of a picture shows."""
    axes.set_title(words, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=pad)


def legend(axes: Axes, columns: int) -> None:
    """What colours mean, at the top."""
    axes.legend(loc="upper left", fontsize=8, ncols=columns, frameon=False, borderaxespad=0.2)


def label_of(scenario: str, strategy: str | None) -> str:
    """A cell's label on an axis, in two lines."""
    return SCENARIO_NAMES[scenario] + (f"\n{SHORT.get(strategy, strategy)}" if strategy else "")


def nothing_here(axes: Axes, words: str) -> None:
    """An empty place that says why it is empty."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=FAINT, wrap=True)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
