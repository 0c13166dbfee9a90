"""`evenkeel status --watch`: the stack, and a release while it runs, drawn again and again until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from scripts.cli.facts import Report, Sessions, gather, look_again
from scripts.cli.judgement import judge
from scripts.cli.release_table import Looks, heading, release_lines, shown_release, stage_table, traffic_table
from scripts.cli.table import host_table, verdict_lines
from scripts.cli.view import Problem, View
from scripts.inventory import Inventory

WATCH_SECONDS = 1.0
FULL_LOOK = 4  # every so many looks all hosts are asked; between them, load balancers and the journal


def watch(
    console: Console, inventory: Inventory, reports: Sequence[Report], reload: Callable[[], Inventory]
) -> Sequence[Problem]:
    """Draw until Ctrl-C; return what was wrong at the last look.

    While a release runs the inventory stays: Pulumi writes its state all the time, and asking it takes seconds.
    """
    before: Looks = {}
    sessions: Sessions = {}
    turn = 0
    problems: Sequence[Problem] = judge(inventory, reports)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        try:
            while True:
                view = View(inventory, reports)
                live.update(screenful(view, problems, before, console.width), refresh=True)
                time.sleep(WATCH_SECONDS)
                before = view.traffic or before
                turn += 1
                if turn % FULL_LOOK:
                    reports = look_again(inventory, reports, sessions)
                else:
                    inventory = inventory if view.release else reload()
                    reports = gather(inventory, sessions)
                problems = judge(inventory, reports)
        except KeyboardInterrupt:
            return problems


def screenful(view: View, problems: Sequence[Problem], before: Looks, width: int) -> RenderableType:
    """What is shown: the release first, then traffic, what is wrong, and the hosts."""
    slowest = max((report.seconds for report in view.reports), default=0.0)
    title = f"stack {view.inventory.stack} at {time.strftime('%H:%M:%S')}, slowest host {slowest:.1f} s; Ctrl-C ends"
    sentences = [Text.from_markup(sentence) for sentence in verdict_lines(view.inventory, view.reports, problems)]
    shares: list[RenderableType] = [traffic_table(view, before), ""] if view.traffic else []
    hosts = host_table(view.inventory, view.reports, width)
    return Group(Text(title, style="dim"), "", *release_part(view), *shares, *sentences, "", hosts)


def release_part(view: View) -> list[RenderableType]:
    """The release that runs or has just ended, and what else the journal has to say."""
    parts: list[RenderableType] = [Text.from_markup(line) for line in release_lines(view)]
    release, journal = shown_release(view), view.journal
    if release and journal:
        if release["ended"] is not None:
            parts.insert(0, Text(heading(release, journal["now"])))
        parts += ["", stage_table(release, journal["now"])]
    return [*parts, ""] if parts else []
