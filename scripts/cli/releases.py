"""Commands that speak with a release through the journal: answer its gate, abort it, hold, the lock, the history."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from scripts.cli.history import release_table, release_words, stage_table
from scripts.inventory import InventoryError, Role, load
from scripts.journal.words import clock_time, span
from scripts.release.journal import Journal, JournalError, JournalRefused, whoami
from scripts.ssh import SshError

Answer = TypeVar("Answer")
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the history.")]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="The stack; default: EVENKEEL_STACK, else the selected one."),
]
lock_app = typer.Typer(no_args_is_help=True, help="Show or break the lock that lets one release run at a time.")


def register(app: typer.Typer) -> None:
    """Add these commands to `evenkeel`."""
    for command in (confirm, reject, abort, hold, unhold, history):
        app.command()(command)
    app.add_typer(lock_app, name="lock")


def confirm(reason: Reason = "", stack: StackOption = None) -> None:
    """Let the release that waits at its gate go on."""
    release = ask(stack, lambda journal: journal.signal("confirm", whoami(), reason))
    print(f"{release} is confirmed and goes on")


def reject(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the history.")],
    stack: StackOption = None,
) -> None:
    """Turn down the release that waits at its gate; it rolls back."""
    require_reason(reason)
    release = ask(stack, lambda journal: journal.signal("reject", whoami(), reason))
    print(f"{release} is rejected and rolls back")


def abort(reason: Reason = "", stack: StackOption = None) -> None:
    """Stop the release in progress, whatever stage it is in; it rolls back."""
    release = ask(stack, lambda journal: journal.signal("abort", whoami(), reason))
    print(f"{release} is told to abort and rolls back; `evenkeel history {release}` shows how it goes")


def hold(
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why, for those who meet the hold.")],
    stack: StackOption = None,
) -> None:
    """Let no release begin until `evenkeel unhold`; one in progress goes on."""
    require_reason(reason)
    there = ask(stack, lambda journal: journal.hold(whoami(), reason))
    print(f"releases are on hold by {there['who']}: {there['reason']}")


def unhold(stack: StackOption = None) -> None:
    """Let releases begin again."""
    lifted = ask(stack, lambda journal: journal.unhold(whoami()))
    print(f"the hold of {lifted['who']} is lifted ({lifted['reason']})" if lifted else "there was no hold")


@lock_app.command("show")
def lock_show(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False, stack: StackOption = None
) -> None:
    """Show who holds the lock, for what, since when, and whether the holder still renews it."""
    state = ask(stack, lambda journal: journal.read(limit=1))
    print(json.dumps(state["lock"], indent=1) if as_json else lock_words(state["lock"], state["now"]))


@lock_app.command("break")
def lock_break(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stack: StackOption = None,
) -> None:
    """Take the lock from its holder. A holder that still lives finds out within seconds and stops."""
    require_reason(reason)
    state = ask(stack, lambda journal: journal.read(limit=1))
    if state["lock"] is None:
        print("nobody holds the lock")
        return
    if not yes:
        print(lock_words(state["lock"], state["now"]))
        typer.confirm("Break it?", abort=True)
    broken = ask(stack, lambda journal: journal.break_lock(whoami(), reason))
    print(
        f"the lock of {broken['who']} for {broken['purpose']} is broken" if broken else "nobody holds the lock any more"
    )


def history(
    release: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this release's stages.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many of the last releases.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything the journal says, as JSON.")] = False,
    stack: StackOption = None,
) -> None:
    """Show the last releases: from, to, how each ended, how long it took; or the stages of one."""
    releases = ask(stack, lambda journal: journal.history(limit, release))
    console = Console()
    console = console if console.is_terminal else Console(width=max(console.width, 200))
    if as_json:
        print(json.dumps({"releases": releases}, indent=1))
    elif not releases:
        print("no release yet")
    elif release:
        console.print(release_words(releases[0]), highlight=False, soft_wrap=True)
        console.print(stage_table(releases[0]))
    else:
        console.print(release_table(releases))


# --- parts --------------------------------------------------------------------------------------------------------


def ask(stack: str | None, question: Callable[[Journal], Answer]) -> Answer:
    """Ask the journal of the stack's control host; its refusal ends the command with one sentence."""
    inventory = load(stack)
    hosts = inventory.with_role(Role.CONTROL)
    if not hosts:
        raise InventoryError(f"stack {inventory.stack} has no control host, so no journal", "run `pulumi up`")
    try:
        return question(Journal(inventory.login(hosts[0])))
    except SshError as error:
        error.hint = error.hint or f"the journal is there; try `evenkeel start {error.host}`"
        raise
    except JournalError as error:
        kind = "" if isinstance(error, JournalRefused) else "the journal failed: "
        hint = f"; {error.hint}" if error.hint else ""
        print(f"evenkeel: {kind}{error}{hint}", file=sys.stderr)
        raise typer.Exit(1) from error


def require_reason(reason: str) -> None:
    """Refuse blanks where a reason is asked for."""
    if not reason.strip():
        raise typer.BadParameter("the reason is empty")


def lock_words(lock: dict[str, Any] | None, now: float) -> str:
    """The lock in one sentence."""
    if lock is None:
        return "nobody holds the lock"
    version = f" ({lock['version']})" if lock["version"] else ""
    left = lock["expires"] - now
    lease = f"its lease ends in {span(left)}" if left > 0 else f"its lease has expired {span(-left)} ago"
    return (
        f"the lock is held by {lock['who']} since {clock_time(lock['since'], now)} (for {span(lock['age_seconds'])}) "
        f"for {lock['purpose']}{version}, renewed {span(now - lock['renewed'])} ago, token {lock['token']}; {lease}"
    )
