"""`evenkeel follow` performs the releases that the webhook was asked for; `evenkeel webhook sign` signs a request.

The control host cannot run `pulumi up`: state and deploy key are the deployer's. So the webhook leaves requests in the
journal, and this takes them, one at a time, and answers each.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.cli.releases import ask
from scripts.inventory import InventoryError, Role, load, pulumi_command
from scripts.make.steps import run as run_to_end
from scripts.release.journal import whoami
from scripts.ssh import SshError, run
from scripts.webhook.signature import sign

POLL_SECONDS = 2.0
LONGEST_POLL_SECONDS = 30.0
KEY_PATH = "/etc/evenkeel/webhook.key"
# The webhook checks it too; here it is about to become an argument.
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", re.ASCII)

StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="The stack; default: EVENKEEL_STACK, else the selected one."),
]
webhook_app = typer.Typer(no_args_is_help=True, help="Speak with the control host's webhook.")


def register(app: typer.Typer) -> None:
    """Add these commands to `evenkeel`."""
    app.command()(follow)
    app.add_typer(webhook_app, name="webhook")


def follow(
    once: Annotated[bool, typer.Option("--once", help="Perform the request that waits, if any, and end.")] = False,
    stack: StackOption = None,
) -> None:
    """Perform the releases that the webhook was asked for, until Ctrl-C: sets the version and runs `pulumi up`."""
    wait = POLL_SECONDS
    while True:
        try:
            request = take(stack)
            state = perform(request, stack) if request is not None else ""
            wait = POLL_SECONDS
        except (SshError, InventoryError) as error:
            if once:
                raise
            wait = min(wait * 2, LONGEST_POLL_SECONDS)
            # An answer that did not get through: the request comes again, and finds nothing left to change.
            say(f"the journal cannot be asked, next try in {wait:g} s: {error}")
            state = ""
        if once:
            if not state:
                say("no request waits")
            raise typer.Exit(1 if state in ("failed", "refused") else 0)
        if not state:
            time.sleep(wait)


@webhook_app.callback()
def webhook() -> None:
    """Speak with the control host's webhook."""


@webhook_app.command("sign")
def webhook_sign(
    body: Annotated[str, typer.Argument(metavar="BODY", help="The request's body, or - for standard input.")],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="The key; default: the control host is asked.")
    ] = None,
    stack: StackOption = None,
) -> None:
    """Print the three headers of a signed request, one a line, as `curl --header @FILE` reads them."""
    content = sys.stdin.buffer.read() if body == "-" else body.encode()
    for name, value in sign(read_key(key_file, stack), content).headers().items():
        print(f"{name}: {value}")


# --- parts --------------------------------------------------------------------------------------------------------


def take(stack: str | None) -> dict[str, Any] | None:
    """The request to perform: the one that was interrupted, else the oldest that waits."""
    request: dict[str, Any] | None = ask(stack, lambda journal: journal.take(whoami()))
    return request


def perform(request: dict[str, Any], stack: str | None) -> str:
    """Release the wanted version, and leave the answer in the journal; the state it ended in."""
    number, version = int(request["number"]), str(request["version"])
    say(f"request {number} of {request['who']}: version {version}")
    if VERSION.fullmatch(version):
        state, reason = release(version, load(stack).stack)
    else:
        state, reason = "refused", "that is no version"
    say(f"request {number} {state}{f': {reason}' if reason else ''}")
    ask(stack, lambda journal: journal.answer(number, state, reason))
    return state


def release(version: str, stack: str) -> tuple[str, str]:
    """Set the version and bring the stack there; the state and the reason for the answer."""
    pulumi = pulumi_command()
    for command in (
        [pulumi, "config", "set", "version", version, "--stack", stack],
        [pulumi, "up", "--yes", "--skip-preview", "--stack", stack],
    ):
        status = run_to_end(command)
        if status != 0:
            return "failed", f"`pulumi {command[1]}` ended with status {status}"
    return "succeeded", ""


def read_key(key_file: Path | None, stack: str | None) -> bytes:
    """The webhook's key, from a file here or from the control host. It is never printed."""
    if key_file is not None:
        try:
            return key_file.read_bytes().strip()
        except OSError as error:
            raise InventoryError(f"the key {key_file} cannot be read: {error.strerror}") from error
    inventory = load(stack)
    hosts = inventory.with_role(Role.CONTROL)
    if not hosts:
        raise InventoryError(f"stack {inventory.stack} has no control host", "give the key with --key-file")
    return run(inventory.login(hosts[0]), ["cat", KEY_PATH]).stdout.strip().encode()


def say(sentence: str) -> None:
    """One line of progress, to standard error."""
    print(f"evenkeel: {sentence}", file=sys.stderr, flush=True)
