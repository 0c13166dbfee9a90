"""Run commands on the stack's hosts over SSH, with the deploy key and each host's pinned key.

The only place outside the engine that knows paramiko. Callers bring `Login`s (from the inventory) and get `Result`s.

Errors, all below `SshError`, which names the host, what went wrong and, as `hint`, what a person can do:

- `UnreachableError`  no TCP connection or no SSH answer in time (`connect_timeout`, times four once it accepted)
- `HostKeyError`      another key than the pinned one answered: nothing was sent to it
- `LoginError`        the host does not take the deploy key
- `DeadlineError`     the command ran longer than its `timeout`; the host has been told to end it too
- `CommandError`      it ended with another status than 0; carries its `Result` (only when `check` is on)
- `OutputError`       it printed more than is kept here: what was read is a part, and a part is never returned

A command is a list of arguments, quoted here, or one string that the remote shell reads as it is.
"""

from scripts.ssh.dialogue import Dialogue
from scripts.ssh.errors import (
    CONNECT_SECONDS,
    CommandError,
    DeadlineError,
    HostKeyError,
    Login,
    LoginError,
    OutputError,
    Result,
    SshError,
    UnreachableError,
)
from scripts.ssh.many import map_hosts, run, run_everywhere
from scripts.ssh.session import COMMAND_SECONDS, Command, Session, compose, shorten
from scripts.ssh.sharing import SharedSession, end_sharing

__all__ = [
    "COMMAND_SECONDS",
    "CONNECT_SECONDS",
    "Command",
    "CommandError",
    "DeadlineError",
    "Dialogue",
    "HostKeyError",
    "Login",
    "LoginError",
    "OutputError",
    "Result",
    "Session",
    "SharedSession",
    "SshError",
    "UnreachableError",
    "compose",
    "end_sharing",
    "map_hosts",
    "run",
    "run_everywhere",
    "shorten",
]
