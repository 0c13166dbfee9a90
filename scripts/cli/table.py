"""How a stack looks in a terminal: the table of hosts, and the sentences under it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from scripts.cli.facts import Facts, Report, Slot
from scripts.cli.judgement import SERVICES
from scripts.cli.view import Problem, View
from scripts.inventory import Host, Inventory, Role

WIDE = 110  # columns of a terminal from which on every column is shown
COLUMNS = ("host", "role", "site", "address", "ssh", "service", "sees", "memory", "load")
ONLY_WIDE = ("role", "memory", "load")


def host_table(inventory: Inventory, reports: Sequence[Report], width: int = WIDE) -> Table:
    """One line a host; a terminal narrower than WIDE gets what matters most."""
    view = View(inventory, reports)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    lines = [cells(view, report) for report in reports]
    headings = [heading for heading in COLUMNS if width >= WIDE or heading not in ONLY_WIDE]
    for heading in headings:
        right = heading in ("memory", "load")
        table.add_column(heading, no_wrap=heading != "sees", justify="right" if right else "left")
    for line in lines:
        table.add_row(*(line[heading] for heading in headings))
    return table


def cells(view: View, report: Report) -> dict[str, str]:
    """What each column shows of one host."""
    host, facts = report.host, report.facts
    place = {"host": host.name, "role": host.role.value, "site": host.site or "-", "address": host.address}
    if facts is None:
        word = "[red]no facts[/]" if report.reachable else "[red]no answer[/]"
        return dict.fromkeys(COLUMNS, "") | place | {"ssh": word, "service": "-"}
    return place | {
        "ssh": "[green]up[/]",
        "service": services(host, facts),
        "sees": sees(view, host, facts),
        "memory": memory(facts),
        "load": load(facts),
    }


def services(host: Host, facts: Facts) -> str:
    """The units of the host's role and their states."""
    names = SERVICES.get(host.role, ())
    units = [unit for unit in facts.units if unit.name in names or unit.name.startswith("app@")]
    words = [f"[{'green' if unit.running else 'red'}]{unit.name} {escape(unit.detail)}[/]" for unit in units]
    missing = [f"[red]{name} absent[/]" for name in names if facts.unit(name) is None]
    return ", ".join(words + missing) or "-"


def sees(view: View, host: Host, facts: Facts) -> str:
    """What matters of a host beyond its service: traffic, slots, ring or zone."""
    match host.role:
        case Role.LOAD_BALANCER:
            return traffic(view, facts)
        case Role.APP_SERVER:
            return "; ".join(slot_words(view, host, slot) for slot in facts.slots) or "[red]no slot[/]"
        case Role.DATABASE:
            return ring(facts)
        case Role.NAME_SERVER:
            return zone(facts)
        case _:
            return ""


def traffic(view: View, facts: Facts) -> str:
    """Where a load balancer sends requests: the sites a slot, and what is not up."""
    sites = [app.site for app in view.inventory.with_role(Role.APP_SERVER)]
    parts = []
    for slot in ("blue", "green"):
        live = sorted(server.site for server in facts.servers if server.slot == slot and server.takes_traffic)
        if live:
            parts.append(f"{slot}: {' '.join(live)}")
    served = {server.site for server in facts.servers if server.takes_traffic}
    missing = [site for site in sites if site not in served]
    if missing:
        parts.append(f"[red]nothing for {' '.join(map(str, missing))}[/]")
    return ", ".join(parts)


def slot_words(view: View, host: Host, slot: Slot) -> str:
    """One slot: version, whether it is live, and whether it can serve."""
    if slot.installed is None and slot.version is None:
        return f"{slot.slot} empty"
    senders = view.live_slots(host.site or "").get(slot.slot, [])
    asked = len(view.answering(Role.LOAD_BALANCER))
    health = "[green]ready[/]" if slot.serves else f"[{'red' if senders else 'yellow'}]not ready[/]"
    place = f"live {len(senders)}/{asked}" if senders else "idle"
    return f"{slot.slot} {escape(slot.version or slot.installed or '?')} {place} {health}"


def ring(facts: Facts) -> str:
    """A database node's view of the ring."""
    if facts.ring is None:
        return "[red]ring unknown[/]"
    states: dict[str, int] = {}
    for node in facts.ring.nodes:
        states[node.state] = states.get(node.state, 0) + 1
    words = [f"[{'green' if state == 'UN' else 'red'}]{count} {state}[/]" for state, count in sorted(states.items())]
    age = f" ({facts.ring.age:.0f} s ago)" if facts.ring.age >= 5 else ""
    return ", ".join(reversed(words)) + age + ("" if facts.takes_clients else ", [red]no clients[/]")


def zone(facts: Facts) -> str:
    """A name server's serial and how many addresses the service has there."""
    if facts.zone is None:
        return "[red]zone unknown[/]"
    return f"serial {facts.zone.serial}, {len(facts.zone.addresses)} addresses"


def memory(facts: Facts) -> str:
    """Memory in use and allowed, in MiB."""
    if facts.memory_used is None or facts.memory_limit is None:
        return ""
    return f"{facts.memory_used >> 20}/{facts.memory_limit >> 20} MB"


def load(facts: Facts) -> str:
    """The load average of the last minute."""
    return "" if facts.load is None else f"{facts.load:.1f}"


def verdict_lines(inventory: Inventory, reports: Sequence[Report], problems: Sequence[Problem]) -> list[str]:
    """What is wrong, each with its remedy, and a last line that says it all in words."""
    lines = [
        f"{'[red]wrong[/]' if problem.grave else '[yellow]note[/] '}  {escape(problem.text)}"
        f"\n       try: [bold]{escape(problem.remedy)}[/]"
        for problem in problems
    ]
    grave = [problem for problem in problems if problem.grave]
    if grave:
        rest = f" (and {len(grave) - 1} more, above)" if len(grave) > 1 else ""
        lines.append(f"[red]Not well:[/] {escape(grave[0].text)}{rest}. Try: [bold]{escape(grave[0].remedy)}[/]")
        return lines
    versions = ", ".join(sorted(View(inventory, reports).live_versions())) or "none"
    lines.append(
        f"[green]All well:[/] {len(reports)} hosts, version {escape(versions)} serves at {escape(inventory.url)}"
    )
    return lines
