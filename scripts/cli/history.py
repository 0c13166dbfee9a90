"""How releases and their stages look in a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from scripts.journal.words import span

COLOURS = {
    "succeeded": "green",
    "passed": "green",
    "in-progress": "cyan",
    "failed": "red",
    "held": "red",
    "refused": "red",
    "partial": "yellow",
    "rolled-back": "yellow",
    "superseded": "yellow",
}
Record = Mapping[str, Any]


def release_table(releases: Sequence[Record]) -> Table:
    """One line a release, newest first."""
    table = plain_table("id", "version", "from", "state", "began", "duration", "reason")
    for release in releases:
        table.add_row(
            escape(release["id"]),
            escape(release["version"]),
            escape((release.get("previous") or {}).get("version") or "-"),
            coloured(release["state"]),
            moment(release["began"]),
            duration(release),
            escape(release["reason"]),
        )
    return table


def stage_table(release: Record) -> Table:
    """One line a stage of a release, in the order of their verdicts."""
    table = plain_table("stage", "verdict", "ended", "duration", "reason")
    for stage in release["stages"]:
        seconds = stage.get("seconds")
        table.add_row(
            escape(stage["stage"]),
            coloured(stage["state"]),
            moment(stage["ended"]),
            span(seconds) if isinstance(seconds, int | float) else "-",
            escape(str(stage.get("reason") or "")),
        )
    return table


def release_words(release: Record) -> str:
    """A release in one line, and who said what to it in one line each."""
    previous = (release.get("previous") or {}).get("version")
    came_from = f" from {previous}" if previous else ""
    now = f", in the stage {release['stage']}" if release.get("stage") else ""
    reason = f": {release['reason']}" if release["reason"] else ""
    first = f"{release['id']}: {release['version']}{came_from} into slot {release['slot']}, by {release['who']}, began "
    first += f"{moment(release['began'])}, {release['state'].replace('-', ' ')}{now} after {duration(release)}{reason}"
    said = [
        f"{signal['kind']} by {signal['who']} at {moment(signal['at'])}"
        + (f": {signal['reason']}" if signal["reason"] else "")
        for signal in release["signals"]
    ]
    return "\n".join(escape(line) for line in [first, *said])


def plain_table(*headings: str) -> Table:
    """A table without lines; only the last column may be folded."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading != headings[-1], overflow="fold")
    return table


def coloured(state: str) -> str:
    """A state in its colour."""
    colour = COLOURS.get(state)
    return f"[{colour}]{escape(state)}[/]" if colour else escape(state)


def moment(at: float) -> str:
    """Date and time in this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def duration(release: Record) -> str:
    """How long a release took; so far, while it runs."""
    end = release["ended"] if release["ended"] is not None else time.time()
    return span(end - release["began"])
