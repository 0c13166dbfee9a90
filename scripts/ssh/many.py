"""A command on one host or on many at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from scripts.ssh.errors import CONNECT_SECONDS, Login, Result, SshError
from scripts.ssh.session import COMMAND_SECONDS, Command, Session

Outcome = TypeVar("Outcome")


def run(
    login: Login,
    command: Command,
    stdin: str | bytes = b"",
    *,
    timeout: float = COMMAND_SECONDS,
    check: bool = True,
    connect_timeout: float = CONNECT_SECONDS,
) -> Result:
    """Connect, run one command, disconnect. See `Session.run`."""
    with Session(login, connect_timeout) as session:
        return session.run(command, stdin, timeout=timeout, check=check)


def map_hosts(
    logins: Iterable[Login], action: Callable[[Login], Outcome], workers: int = 32
) -> Mapping[str, Outcome | SshError]:
    """Do the same on many hosts at the same time: host name -> what `action` returned, or the SshError it raised.

    Any other exception is a mistake in `action` and is raised here.
    """

    def attempt(login: Login) -> Outcome | SshError:
        try:
            return action(login)
        except SshError as error:
            return error

    everyone = list(logins)
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(everyone)))) as pool:
        return dict(zip([login.name for login in everyone], pool.map(attempt, everyone), strict=True))


def run_everywhere(
    logins: Iterable[Login], command: Command, stdin: str | bytes = b"", timeout: float = COMMAND_SECONDS
) -> Mapping[str, Result | SshError]:
    """Run one command on many hosts at the same time."""
    return map_hosts(logins, partial(run, command=command, stdin=stdin, timeout=timeout))
