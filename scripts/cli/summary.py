"""The closing table of `make up`: what there is, where, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scripts.cli.facts import Report
from scripts.cli.view import View
from scripts.inventory import Host, Inventory, Role

DEFAULT_STACK = "dev"  # the Makefile's


def summary(inventory: Inventory, reports: Sequence[Report]) -> RenderableType:
    """Sites and hosts with their addresses, the live version, the URL, the next commands."""
    parts: list[RenderableType] = [site_table(inventory), "", shared_hosts(inventory), ""]
    parts += [Text.from_markup(f"[bold]{name:<9}[/]{value}") for name, value in facts_of(inventory, reports)]
    parts += ["", "Try next:"]
    width = max(len(command) for command, _ in next_steps(inventory))
    parts += [Text(f"  {command:<{width}}  {meaning}") for command, meaning in next_steps(inventory)]
    return Group(*parts)


def site_table(inventory: Inventory) -> Table:
    """A line a site."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in ("site", "load balancer", "application server", "database"):
        table.add_column(heading, no_wrap=True)
    for site in inventory.sites:
        roles = (Role.LOAD_BALANCER, Role.APP_SERVER, Role.DATABASE)
        table.add_row(site, *(address_of(inventory, role, site) for role in roles))
    return table


def address_of(inventory: Inventory, role: Role, site: str) -> str:
    """Name and address of a site's host of a role."""
    return ", ".join(named(host) for host in inventory.with_role(role) if host.site == site) or "-"


def named(host: Host) -> str:
    """A host's name and address."""
    return f"{host.name} {host.address}"


def shared_hosts(inventory: Inventory) -> str:
    """The hosts that belong to all sites."""
    return "for all    " + "   ".join(named(host) for host in inventory.hosts if host.site is None)


def facts_of(inventory: Inventory, reports: Sequence[Report]) -> list[tuple[str, str]]:
    """What a person wants to know first."""
    view = View(inventory, reports)
    live = view.live_versions()
    served = "; ".join(f"{version} at {len(sites)} of {len(inventory.sites)} sites" for version, sites in live.items())
    return [
        ("version", served or f"{inventory.version} ({not_seen(view)})"),
        ("URL", inventory.url),
        ("name", f"{inventory.service}, answered by {' and '.join(inventory.name_servers)}"),
    ]


def not_seen(view: View) -> str:
    """Why no version is seen to serve: because none does, or because those who know could not be asked."""
    silent = [
        report.host.name
        for report in view.reports
        if report.host.role in (Role.LOAD_BALANCER, Role.APP_SERVER) and (report.facts is None or report.facts.unread)
    ]
    if silent:
        return f"whether it serves is not known: {', '.join(silent)} could not be asked"
    return "no load balancer sends to it"


def next_steps(inventory: Inventory) -> list[tuple[str, str]]:
    """Commands worth trying, and what they show."""
    balancer = next(iter(inventory.with_role(Role.LOAD_BALANCER)))
    default = inventory.stack == DEFAULT_STACK
    evenkeel = ".venv/bin/evenkeel" if default else f".venv/bin/evenkeel --stack {inventory.stack}"
    return [
        (f"curl -s {inventory.url}", "the service, through a load balancer"),
        (f"{evenkeel} ssh {balancer.name}", "a shell on a host"),
        (f"{evenkeel} status --watch", "hosts, services, slots, as they change"),
        ("make test", "unit, program and system tests"),
        ("make down" if default else f"make down STACK={inventory.stack}", "remove everything again"),
    ]
