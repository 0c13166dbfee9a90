"""`evenkeel undo`: the question, the way, and how it ended. What is done is in scripts/release/undo.py."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from scripts.cli.history import moment, plain_table
from scripts.cli.releases import StackOption, ask
from scripts.inventory import Inventory, Role, load
from scripts.release import undo as way
from scripts.release import undo_alone
from scripts.release.app_servers import AppServers
from scripts.release.documents import Stack, StackHost
from scripts.release.errors import StageError
from scripts.ssh import SshError

ROLES = (Role.LOAD_BALANCER, Role.APP_SERVER, Role.DATABASE, Role.CONTROL, Role.TEST_RUNNER)
INTERRUPTED = (
    "evenkeel: interrupted: if users had begun to move, the load balancers' timers take them back in `deadmanSeconds`, "
    "and if all had moved, they stay, and another `evenkeel undo` records it; see `evenkeel status`"
)
RELEASES = 200  # how far back a version counts as one that has served


def register(app: typer.Typer) -> None:
    """Add the command to `evenkeel`."""
    app.command()(undo)


def undo(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="The version to go back to.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long for another's lock.")
    ] = 0,
    without_journal: Annotated[
        bool, typer.Option("--without-journal", help="The control host is away: move users without recording it.")
    ] = False,
    stack: StackOption = None,
) -> None:
    """Move users back at once to the version that served before and still runs in the other slot.

    No install, no Pulumi. Without VERSION it shows which versions are warm and asks. Exit status 1 when users are not
    on that version afterwards, or not everywhere.
    """
    inventory = load(stack)
    machines = as_stack(inventory)
    try:
        if without_journal:
            go_alone(machines, version, yes)
        else:
            go(stack, machines, version, yes, wait)
    except StageError as error:
        print(f"evenkeel: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def go(name: str | None, machines: Stack, version: str | None, yes: bool, wait: float) -> None:
    """Look, ask, go back, tell."""
    try:
        known = ask(name, lambda journal: journal.read(RELEASES))
    except SshError as error:
        error.hint += "; `evenkeel undo --without-journal` moves users all the same"
        raise
    app_servers = AppServers(machines)
    sites = list(app_servers.by_site)
    ways = way.ways_back(known, way.running_on(app_servers.slots(sites)))
    chosen = way.choose(ways, known, version)
    if version is None:
        show(known, ways)
    if version is None and not yes:
        typer.confirm(f"Move all users from {chosen.live.version} back to {chosen.target.version}?", abort=True)
    document = way.compose(known, chosen, sites, wait)
    try:
        ended = way.perform(machines, document)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        raise
    lines = [ended.reason] if ended.state == "refused" else ended.lines(document["id"])
    for line in lines:
        print(line if ended.state == "succeeded" else f"evenkeel: {line}", file=output(ended.state == "succeeded"))
    raise typer.Exit(0 if ended.state == "succeeded" else 1)


def go_alone(machines: Stack, version: str | None, yes: bool) -> None:
    """The same by what the load balancers know."""
    move = undo_alone.plan(machines, version)
    print(
        "evenkeel: without the journal there is no lock and no record: make sure that nobody releases now; once the "
        f"control host answers, `evenkeel undo {move.target.version}` records it: run that before any `pulumi up`",
        file=sys.stderr,
    )
    if not yes:
        typer.confirm(f"Move all users from {move.live.version} back to {move.target.version}?", abort=True)
    said = undo_alone.go(machines, move)
    print(f"{said}; not recorded in the journal")


def show(known: dict[str, Any], ways: list[way.WayBack]) -> None:
    """Print the versions that are warm and have served, and what is live."""
    table = plain_table("version", "slot", "sites", "served until release")
    live = known["live"]
    table.add_row(live["version"], live["slot"], "-", "live now")
    for one in ways:
        table.add_row(one.target.version, one.target.slot, " ".join(one.sites), last_word(known, one))
    Console().print(table)


def last_word(known: dict[str, Any], one: way.WayBack) -> str:
    """Return which release took over from a version, and when."""
    after = [r for r in known["releases"] if r["live"] and (r["previous"] or {}).get("sha256") == one.target.sha256]
    return f"{after[0]['id']}, {moment(after[0]['ended'])}" if after else ""


def output(is_well: bool) -> Any:
    """Return where the last words go."""
    return sys.stdout if is_well else sys.stderr


def as_stack(inventory: Inventory) -> Stack:
    """Return the stack's machines as the stages know them."""
    hosts = tuple(
        StackHost(host.name, host.role.value, host.site, host.address, host.host_key)
        for host in inventory.hosts
        if host.role in ROLES
    )
    return Stack(inventory.stack, inventory.service, hosts, inventory.deploy_key, inventory.ring, inventory.slowness)
