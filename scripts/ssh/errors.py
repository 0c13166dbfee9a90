"""Who is logged in to, what a command came to, and what can go wrong."""

from __future__ import annotations

import copyreg
from dataclasses import dataclass, field
from typing import Any

CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Login:
    """How to reach one host. `host_key` is the pinned «ssh-ed25519 AAAA…» line, `private_key` OpenSSH PEM text.

    `slowness` is how many times longer than usual the host may take: sessions wait so much longer, whatever time they
    are given.
    """

    name: str
    address: str
    host_key: str
    private_key: str = field(repr=False)
    port: int = 22
    user: str = "root"
    slowness: int = 1

    def patience(self, seconds: float) -> float:
        """Return what a time that is meant for a usual host is for this one."""
        return seconds * self.slowness

    def slowness_arguments(self) -> list[str]:
        """Return what a program of ours on this host is told, so that its limits are as long; usually nothing."""
        return [f"--slowness={self.slowness}"] if self.slowness > 1 else []


@dataclass(frozen=True)
class Result:
    """What a command printed and the status it ended with."""

    stdout: str
    stderr: str
    exit_status: int

    @property
    def ok(self) -> bool:
        """Whether the command ended with status 0."""
        return self.exit_status == 0


class SshError(Exception):
    """Something went wrong between us and one host."""

    def __init__(self, host: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be sent to another process: the text is made of the arguments, and is not them."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class UnreachableError(SshError):
    """No connection."""


class HostKeyError(SshError):
    """The machine that answered is not the one that was set up."""


class LoginError(SshError):
    """The host does not accept the deploy key."""


class DeadlineError(SshError):
    """A command did not end in time."""


class OutputError(SshError):
    """A command printed more than is kept."""


class CommandError(SshError):
    """A command ended with a status other than 0."""

    def __init__(self, host: str, command: str, result: Result) -> None:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()
        reason = f"«{command}» ended with status {result.exit_status}" + (f": {said[-1]}" if said else "")
        super().__init__(host, reason)
        self.result = result
