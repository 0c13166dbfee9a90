"""How a release that runs looks in a terminal: its stages as they go, and which version has which share of users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from components.stages import order
from scripts.cli.history import coloured, plain_table
from scripts.cli.releases import lock_words
from scripts.cli.traffic import UNSERVED, Traffic, rates
from scripts.cli.view import View
from scripts.journal.words import clock_time, span
from scripts.release import undo
from scripts.release.data import in_words

FRESH_SECONDS = 120.0  # how long a release that has ended is still shown with its stages
Looks = Mapping[str, Traffic]


def release_lines(view: View) -> list[str]:
    """What people should know of releases now, a line each; nothing when nothing goes on."""
    journal = view.journal
    if journal is None:
        return []
    lines = []
    if release := journal["current"]:
        lines.append(escape(heading(release, journal["now"])))
        if waiting := release["waiting"]:
            lines.append(escape(waiting_words(waiting, journal["now"])))
    lines += [escape(pair_words(pair, journal["now"])) for pair in journal.get("pairs") or ()]
    if journal["lock"]:
        lines.append(escape(lock_words(journal["lock"], journal["now"])))
    if hold := journal["hold"]:
        lines.append(
            f"[yellow]on hold[/] by {escape(hold['who'])}: {escape(hold['reason'])}; `evenkeel unhold` lifts it"
        )
    frozen = [name for name, one in view.traffic.items() if one.routing.is_frozen]
    if frozen:
        lines.append(f"[yellow]writes wait[/] (503) on {', '.join(frozen)}; reads go on")
    timers = [f"{name} {timer_words(one)}" for name, one in view.traffic.items() if one.timer]
    return [*lines, "dead-man timers: " + ", ".join(timers)] if timers else lines


PAIRED = {
    "making": "are being made level",
    "level": "are kept level, both ways",
    "apart": "differ: `evenkeel undo` would lose what the older one lacks",
    "left": "are not kept level: users left the older one as it is; `evenkeel retire` drops it",
    "dropping": "are being taken apart, or were when that stopped; the next release or `evenkeel retire` finishes it",
}


def pair_words(pair: Mapping[str, Any], now: float) -> str:
    """Two tables that live at once, in one line."""
    what, since = in_words(pair["data"]), span(now - pair["at"])
    ends = "; `evenkeel retire` ends that" if pair["state"] == "level" else ""
    return f"tables: {what} live at once since {pair['release']} and {PAIRED[pair['state']]}, for {since}{ends}"


def heading(release: Mapping[str, Any], now: float) -> str:
    """A release in one line."""
    came_from = f"{release['previous']['version']} -> " if release["previous"] else ""
    how = "undo" if release.get("origin") == "undo" else release["plan"]["strategy"]
    state = release["state"].replace("-", " ")
    when = f"for {span(now - release['began'])}" if release["ended"] is None else f"{span(now - release['ended'])} ago"
    line = f"{release['id']}: {came_from}{release['version']}, {how}, by {release['who']}, {state} {when}"
    return line + (f": {release['reason']}" if release["reason"] else "")


def waiting_words(waiting: Mapping[str, Any], now: float) -> str:
    """What a gate waits for."""
    until = f" until {clock_time(waiting['until'], now)}" if waiting.get("until") else ""
    what = "`evenkeel confirm` or `evenkeel reject`" if waiting["gate"] == "person" else "its time"
    return f"waits for {what}{until}"


def timer_words(traffic: Traffic) -> str:
    """A timer in a few words."""
    timer = traffic.timer
    if timer is None:
        return ""
    if timer.held:
        return "[red]held[/]"
    return "[red]fired[/]" if timer.fired else f"{max(timer.remaining, 0):.0f} s"


def shown_release(view: View) -> Mapping[str, Any] | None:
    """The release in progress, else one that has just ended."""
    journal = view.journal
    if journal is None:
        return None
    newest: Mapping[str, Any] | None = journal["current"] or next(iter(journal["releases"]), None)
    if newest and (newest["ended"] is None or journal["now"] - newest["ended"] < FRESH_SECONDS):
        return newest
    return None


def stage_table(release: Mapping[str, Any], now: float) -> Table:
    """A line a stage, in order: how it ended, or that it runs, or that its turn comes."""
    table = plain_table("stage", "state", "seconds", "what")
    ended = {stage["stage"]: stage for stage in release["stages"]}
    names = stage_names(release)
    last = max((stage["ended"] for stage in release["stages"]), default=release["began"])
    reached = max((names.index(name) for name in [*ended, release["stage"]] if name in names), default=-1)
    for place, name in enumerate(names):
        said = ended.get(name)
        if said:
            reason = escape(str(said.get("reason") or ""))
            table.add_row(name, coloured(said["state"]), f"{float(said.get('seconds') or 0):.1f}", reason)
        elif name == release["stage"]:
            table.add_row(name, "[cyan]runs[/]", f"{now - last:.1f}", "")
        elif place < reached:  # a stage that has nothing to do does not even tell the journal
            table.add_row(f"[dim]{name}[/]", "[dim]skipped[/]", "", "")
        elif release["ended"] is None:
            table.add_row(f"[dim]{name}[/]", "[dim]to come[/]", "", "")
    return table


def stage_names(release: Mapping[str, Any]) -> list[str]:
    """The stages of a release, in order; `outcome` is not one of the journal's, the release's end is."""
    if release.get("origin") == "undo":
        return [stage.name for stage, _ in undo.STAGES]
    return [stage.name for stage in order(len(release["plan"]["groups"]))[:-1]]


def traffic_table(view: View, before: Looks) -> Table:
    """Which version runs where, its share of the users, and what it answers, since the last look."""
    table = plain_table("version", "slot", "on", "share", "requests/s", "errors/s")
    table.columns[-1].no_wrap = True
    shares, speeds = share_of(view), speed_of(view, before)
    places = sorted(sites_of(view).items(), key=lambda entry: (-shares.get(entry[0], 0.0), entry[0]))
    for (version, slot), sites in places:
        key = (version, slot)
        speed, errors = speeds.get(key, (None, None))
        table.add_row(
            escape(version),
            slot,
            " ".join(sites),
            f"{100 * shares.get(key, 0.0):.0f} %",
            "-" if speed is None else f"{speed:.1f}",
            "-" if errors is None else alarming(errors),
        )
    unserved = speeds.get((UNSERVED, ""), (0.0, 0.0))[1]
    if unserved:
        table.add_row("no server", "", "", "", "", alarming(unserved))
    return table


def alarming(errors: float) -> str:
    """Errors a second, red where there are any."""
    return f"[red]{errors:.1f}[/]" if errors else "0.0"


def sites_of(view: View) -> dict[tuple[str, str], list[str]]:
    """Where each version runs or is routed to: {(version, slot): sites}."""
    found: dict[tuple[str, str], list[str]] = {}
    names = {name for one in view.traffic.values() for name, server in one.routing.servers.items() if server.is_up}
    names |= {name for one in view.traffic.values() for name in one.routing.ready()}
    for name in sorted(names):
        site, _, slot = name.rpartition("-")
        found.setdefault((view.version_in(name), slot), []).append(site)
    return found


def share_of(view: View) -> dict[tuple[str, str], float]:
    """The share of users that each version gets by the weights of its servers, on average over the load balancers."""
    found: dict[tuple[str, str], float] = {}
    serving = [
        {name: server.weight for name, server in one.routing.servers.items() if server.serves}
        for one in view.traffic.values()
    ]
    serving = [weights for weights in serving if weights]
    for weights in serving:
        for name, weight in weights.items():
            key = (view.version_in(name), name.rpartition("-")[2])
            found[key] = found.get(key, 0.0) + weight / sum(weights.values()) / len(serving)
    return found


def speed_of(view: View, before: Looks) -> dict[tuple[str, str], tuple[float, float]]:
    """Requests and errors a second of each version over all load balancers, since the last look."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for balancer, after in view.traffic.items():
        for name, (speed, errors) in rates(before.get(balancer), after).items():
            key = (UNSERVED, "") if name == UNSERVED else (view.version_in(name), name.rpartition("-")[2])
            known = found.get(key, (0.0, 0.0))
            found[key] = (known[0] + speed, known[1] + errors)
    return found
