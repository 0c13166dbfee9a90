"""Several hosts of one role, asked at the same time over connections that are opened once and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from scripts.release.documents import Stack, StackHost
from scripts.release.turns import Turns
from scripts.ssh import Login, Session, SharedSession, SshError, UnreachableError

Answer = TypeVar("Answer")
CONNECT_SECONDS = 3.0
ASK_SECONDS = 20.0
OPENING_SECONDS = 1.0  # the next connection is opened that long after the one before at the latest


def login(stack: Stack, host: StackHost) -> Login:
    """Return how to log in to a host of the stack."""
    return Login(host.name, host.address, host.host_key, stack.deploy_key, slowness=stack.slowness)


class Fleet:
    """Hosts that are asked in parallel. One that cannot be reached is remembered in `lost` and not asked again.

    Only their connections are opened one after another: a login costs a host more than most of what it is asked.
    """

    def __init__(self, stack: Stack, hosts: Iterable[StackHost]) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.lost: dict[str, str] = {}
        self._stack = stack
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()
        self.opening = Turns(OPENING_SECONDS * stack.slowness)

    @property
    def reachable(self) -> list[str]:
        """Names of the hosts that have not been lost."""
        return [name for name in self.hosts if name not in self.lost]

    def session(self, name: str) -> Session:
        """Return the connection to a host, opened if need be."""
        with self._lock:
            known = self._sessions.get(name)
        if known is None:
            with self.opening.turn():
                known = SharedSession(login(self._stack, self.hosts[name]), CONNECT_SECONDS)
            with self._lock:
                self._sessions[name] = known
        return known

    def each(
        self, action: Callable[[str, Session], Answer], names: Iterable[str] | None = None
    ) -> dict[str, Answer | SshError]:
        """Do something on every reachable host (or those named) at once: {host: what it returned, or its SshError}."""
        chosen = list(self.reachable if names is None else names)
        if not chosen:
            return {}

        def attempt(name: str) -> Answer | SshError:
            try:
                session = self.session(name)
            except SshError as error:
                return error
            try:
                return action(name, session)
            except UnreachableError:
                with self._lock:
                    self._sessions.pop(name, None)
            except SshError as error:
                return error
            try:  # a connection may break with nothing wrong at its other end
                return action(name, self.session(name))
            except SshError as error:
                return error

        with ThreadPoolExecutor(len(chosen)) as pool:
            return dict(zip(chosen, pool.map(attempt, chosen), strict=True))

    def forget(self, name: str, error: SshError) -> None:
        """Count a host as lost."""
        self.lost[name] = error.reason


def ask(
    session: Session, command: list[str], document: Mapping[str, Any] | None = None, timeout: float = ASK_SECONDS
) -> Any:
    """Run a host tool that reads and prints JSON."""
    stdin = json.dumps(document) if document is not None else ""
    return json.loads(session.run(command, stdin, timeout=timeout).stdout)
