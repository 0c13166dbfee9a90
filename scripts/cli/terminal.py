"""The system's ssh client on the stack's hosts: a real terminal, the stack's key, its pinned host keys."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from typing import NoReturn

from scripts.inventory import Host, Inventory, InventoryError, Role

# What a role's host logs, as journalctl's units; none is the whole journal. HAProxy's access log is in its unit's.
LOG_UNITS = {
    Role.LOAD_BALANCER: ("haproxy",),
    Role.APP_SERVER: ("app@blue", "app@green"),
    Role.DATABASE: ("cassandra",),
    Role.NAME_SERVER: ("named",),
    Role.CONTROL: (),
    Role.TEST_RUNNER: (),
}


def ssh_arguments(inventory: Inventory, host: Host, command: Sequence[str] = (), terminal: bool = False) -> list[str]:
    """The ssh command line. One word is left to the remote shell as it is; several are passed on word for word."""
    options = {
        "IdentityFile": str(inventory.key_file),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(inventory.known_hosts_file),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    arguments = ["ssh", "-F", "none", *(["-t"] if terminal else [])]
    for name, value in options.items():
        arguments += ["-o", f"{name}={quote_option(value)}"]
    remote = [command[0] if len(command) == 1 else shlex.join(command)] if command else []
    return [*arguments, f"root@{host.address}", *(["--", *remote] if remote else [])]


def quote_option(value: str) -> str:
    """An option's value as ssh reads it: blanks need quotes, «%» stands for itself when doubled."""
    escaped = value.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped


def log_command(host: Host, unit: str | None, lines: int, follow: bool) -> list[str]:
    """The journalctl command that shows a host's log."""
    units = (unit,) if unit else LOG_UNITS[host.role]
    matches = [argument for name in units for argument in ("--unit", name)]
    follows = ["--follow"] if follow else []
    return ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", *follows, *matches]


def become(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by ssh, so that terminal, signals and exit status are its own."""
    if shutil.which(arguments[0]) is None:
        raise InventoryError(f"there is no `{arguments[0]}` on this machine", "install the package openssh-client")
    sys.stdout.flush()
    os.execvp(arguments[0], list(arguments))  # noqa: S606  # no shell: the point of it


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
