"""The journal as a stage uses it: over a connection that is opened when needed, with what is fatal told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.release.documents import Stack
from scripts.release.fleet import CONNECT_SECONDS, login
from scripts.release.journal import LISTEN, Journal
from scripts.release.listening import Listening
from scripts.ssh import Session, UnreachableError

LEASE_SECONDS = 20.0
BEAT_SECONDS = 2.0


class RemoteJournal:
    """The control host's journal; methods raise SshError if it is away, JournalRefused if it says no."""

    def __init__(self, stack: Stack) -> None:
        hosts = stack.of("control")
        if not hosts:
            raise UnreachableError("control", "the stack has no control host")
        self._login = login(stack, hosts[0])
        self._session: Session | None = None
        self._listening = Listening(LISTEN)

    @property
    def open(self) -> Journal:
        """The journal over an open connection."""
        if self._session is None:
            self._session = Session(self._login, CONNECT_SECONDS)
        return Journal(self._session, listening=self._listening)

    def acquire(self, holder: Mapping[str, str]) -> int:
        """Take the lock; return its token."""
        return self.open.acquire(holder, LEASE_SECONDS)

    def beat(self, token: int, release: str, stage: str) -> Mapping[str, Any]:
        """Renew the lock's lease; return what people have said to this release."""
        try:
            return self.open.beat(token, LEASE_SECONDS, release, stage)
        except UnreachableError:
            self._session = None  # the next beat connects anew
            raise
