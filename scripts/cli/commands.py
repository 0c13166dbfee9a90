"""The commands of `evenkeel`, one function each, and how they end.

Exit status: 0 all well; 1 something is wrong with the stack, or a command could not do its work; 2 a mistake on the
command line. `ssh` and `logs` end as the remote command does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from scripts.cli import backfill, experiment, follow, releases, tables, undo
from scripts.cli import watch as watching
from scripts.cli.facts import Report, ask_host, gather
from scripts.cli.judgement import SERVICES, judge
from scripts.cli.release_table import release_lines
from scripts.cli.summary import summary as closing_table
from scripts.cli.table import host_table, verdict_lines
from scripts.cli.terminal import become, log_command, on_terminal, ssh_arguments
from scripts.cli.view import Problem, View
from scripts.inventory import ROOT, Host, Inventory, InventoryError, load
from scripts.ssh import SshError

START_SECONDS = 180.0
PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}

app = typer.Typer(
    name="evenkeel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="The stack; default: EVENKEEL_STACK, else the selected one."),
]
RefreshOption = Annotated[bool, typer.Option("--refresh", help="Ask Pulumi for the hosts again.")]
HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="A host's name, as in `evenkeel status`.")]


def run() -> None:
    """Run the command line; a user's mistake is one sentence on standard error, never a traceback."""
    try:
        app()
    except (InventoryError, SshError) as error:
        hint = f"; {error.hint}" if error.hint else ""
        print(f"evenkeel: {error}{hint}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone: nothing to say, and nobody to say it to
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback()
def choose(stack: StackOption = None) -> None:
    """Look at a running stack, reach its hosts, stop and start them."""
    if stack:
        os.environ["EVENKEEL_STACK"] = stack  # for every command, and for the programs that it starts


@app.command()
def status(
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything the hosts say, as JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C.")] = False,
    refresh: RefreshOption = False,
) -> None:
    """Show hosts, services, slots, versions and health; exit 1 when something is wrong."""
    console = wide_console()
    inventory, reports, problems = look(stack, refresh)
    if watch and not as_json:
        raise typer.Exit(exit_status(watching.watch(console, inventory, reports, lambda: load(stack))))
    if as_json:
        print(json.dumps(as_document(inventory, reports, problems), indent=1))
    else:
        console.print(host_table(inventory, reports, console.width))
        console.print()
        for sentence in release_lines(View(inventory, reports)):
            console.print(sentence, highlight=False, soft_wrap=True)
        for sentence in verdict_lines(inventory, reports, problems):
            console.print(sentence, highlight=False, soft_wrap=True)
    raise typer.Exit(exit_status(problems))


@app.command()
def summary(stack: StackOption = None, refresh: RefreshOption = False) -> None:
    """Show hosts, addresses, live version and URL, and what to try next (the end of `make up`)."""
    console = wide_console()
    inventory, reports, _ = look(stack, refresh)
    console.print(closing_table(inventory, reports), highlight=False, soft_wrap=True)


@app.command(context_settings=PASS_ON)
def ssh(
    name: HostArgument,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="Run this instead of a shell.")
    ] = None,
    stack: StackOption = None,
) -> None:
    """Open a shell on a host, or run a command there and end with its status.

    One word is read by the remote shell («evenkeel ssh lb-a -- 'ls | wc -l'»), several are passed on as they are.
    """
    inventory = load(stack)
    words = [word for number, word in enumerate(command or ()) if number > 0 or word != "--"]
    become(ssh_arguments(inventory, inventory.host(name), words, terminal=on_terminal()))


@app.command()
def logs(
    name: HostArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines as they come, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
    unit: Annotated[
        str | None, typer.Option("--unit", "-u", metavar="U", help="A systemd unit instead of the role's.")
    ] = None,
    stack: StackOption = None,
) -> None:
    """Show the log of a host's service; on a load balancer, HAProxy's access log."""
    inventory = load(stack)
    host = inventory.host(name)
    become(ssh_arguments(inventory, host, log_command(host, unit, lines, follow), terminal=follow and on_terminal()))


@app.command()
def stop(
    names: Annotated[list[str], typer.Argument(metavar="HOST...", help="Hosts to stop.")], stack: StackOption = None
) -> None:
    """Shut hosts down, in an orderly way; they stay so until they are started."""
    inventory = load(stack)
    raise typer.Exit(run_all([inventory.host(name).off for name in names]))


@app.command()
def start(
    names: Annotated[list[str], typer.Argument(metavar="HOST...", help="Hosts to start.")], stack: StackOption = None
) -> None:
    """Start hosts that are shut down, and wait until their services run."""
    inventory = load(stack)
    hosts = [inventory.host(name) for name in names]
    if status := run_all([host.on for host in hosts]):
        raise typer.Exit(status)
    for host in hosts:
        wait_for(inventory, host)


releases.register(app)
follow.register(app)
undo.register(app)
tables.register(app)
backfill.register(app)
experiment.register(app)


# --- parts --------------------------------------------------------------------------------------------------------


def look(stack: str | None, refresh: bool) -> tuple[Inventory, tuple[Report, ...], list[Problem]]:
    """Read the inventory, ask every host, judge. Says on a terminal what it waits for."""
    errors = Console(stderr=True)
    with errors.status("asking Pulumi for the stack's hosts"):
        inventory = load(stack, refresh)
    with errors.status(f"asking {len(inventory.hosts)} hosts of stack {inventory.stack}"):
        reports = gather(inventory)
    return inventory, reports, judge(inventory, reports)


def as_document(inventory: Inventory, reports: Sequence[Report], problems: Sequence[Problem]) -> dict[str, Any]:
    """The status as `--json` prints it: no keys, no secrets."""
    return {
        "ok": exit_status(problems) == 0,
        "stack": inventory.stack,
        "version": inventory.version,
        "url": inventory.url,
        "problems": [asdict(problem) for problem in problems],
        "journal": View(inventory, reports).journal,
        "hosts": [
            {
                "name": report.host.name,
                "role": report.host.role.value,
                "site": report.host.site,
                "address": report.host.address,
                "reachable": report.reachable,
                "error": str(report.error) if report.error else None,
                "seconds": report.seconds,
                "facts": report.facts.raw if report.facts else None,
                "traffic": report.traffic.raw if report.traffic else None,
            }
            for report in reports
        ],
    }


def exit_status(problems: Sequence[Problem]) -> int:
    """1 when something is really wrong."""
    return 1 if any(problem.grave for problem in problems) else 0


def run_all(commands: Sequence[Sequence[str]]) -> int:
    """Run modules of this project, all at once; the worst exit status."""
    started = [subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT) for command in commands]
    return max(process.wait() for process in started)


def wait_for(inventory: Inventory, host: Host) -> None:
    """Wait until a host answers and its services run; says what it waits for."""
    seconds = START_SECONDS * inventory.slowness
    give_up = time.monotonic() + seconds
    with Console(stderr=True).status(f"waiting for {host.name}: SSH") as progress:
        while missing := lacking(ask_host(host, inventory.login(host), inventory)):
            if time.monotonic() > give_up:
                raise InventoryError(
                    f"{host.name} was started, but {missing} after {seconds:g} s", f"`evenkeel logs {host.name}`"
                )
            progress.update(f"waiting for {host.name}: {missing}")
            time.sleep(0.5)
    print(f"{host.name} runs")


def lacking(report: Report) -> str:
    """What a started host lacks, "" when nothing."""
    facts = report.facts
    if facts is None:
        return f"SSH does not answer ({report.error.reason})" if report.error else "SSH does not answer"
    units = [unit for unit in facts.units if unit.enabled or unit.name in SERVICES.get(report.host.role, ())]
    if waiting := [unit.name for unit in units if not unit.running]:
        return f"{', '.join(waiting)} does not run yet"
    if unready := [slot.slot for slot in facts.slots if facts.unit(f"app@{slot.slot}") and not slot.serves]:
        return f"slot {', '.join(unready)} is not ready yet"
    return "Cassandra takes no clients yet" if facts.takes_clients is False else ""


def wide_console() -> Console:
    """A console that does not fold the table when its output goes to a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 160))
