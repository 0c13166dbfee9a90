"""What all pictures share. Colours tell strategies apart also for those who see few colours (Okabe and Ito 2008)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
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


def milliseconds_axis(axes: Axes) -> None:
    """Times on a logarithmic axis with whole numbers that people read."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: minor(value))
    axes.tick_params(axis="y", which="minor", labelsize=8, labelcolor=FAINT)
    axes.set_ylabel("ms")
    axes.grid(axis="y", which="major", color="#e5e9ed", linewidth=0.8)
    axes.set_axisbelow(True)


def minor(value: float) -> str:
    """Twos and fives of a decade, the rest unnamed."""
    first = f"{value:e}"[0]
    return f"{value:,.0f}" if first in "25" and value >= 1 else ""


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
