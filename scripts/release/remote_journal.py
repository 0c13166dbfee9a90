"""The journal as a stage uses it: over a connection that is opened when needed, with what is fatal told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scripts.release.documents import Stack
from scripts.release.fleet import CONNECT_SECONDS, login
from scripts.release.journal import LISTEN, Journal
from scripts.release.listening import Listening
from scripts.ssh import DeadlineError, Session, SharedSession, UnreachableError

LEASE_SECONDS = 20.0
BEAT_SECONDS = 2.0
LONGEST_BEAT = 8.0  # well below the lease, and below the time that load balancers wait: they are renewed after a beat


class RemoteJournal:
    """The control host's journal; methods raise SshError if it is away, JournalRefused if it says no."""

    def __init__(self, stack: Stack) -> None:
        hosts = stack.of("control")
        if not hosts:
            raise UnreachableError("control", "the stack has no control host")
        self._login = login(stack, hosts[0])
        self.lease = LEASE_SECONDS * stack.slowness
        self._session: Session | None = None
        self._listening = Listening(LISTEN)

    @property
    def open(self) -> Journal:
        """The journal over an open connection."""
        return Journal(self._connected(), listening=self._listening)

    def twice(self, act: Callable[[Journal], None]) -> None:
        """Do what does no more the second time, and that once more where it was a connection kept open that broke."""
        was_open = self._session is not None
        try:
            return act(self.open)
        except UnreachableError:
            self._session = None
            if not was_open:
                raise
        return act(self.open)

    def _connected(self) -> Session:
        session = self._session
        if session is None:
            session = self._session = SharedSession(self._login, CONNECT_SECONDS)
        return session

    def acquire(self, holder: Mapping[str, str]) -> int:
        """Take the lock; return its token."""
        return self.open.acquire(holder, self.lease)

    def beat(self, token: int, release: str, stage: str) -> Mapping[str, Any]:
        """Renew the lock's lease; return what people have said to this release."""
        try:
            journal = Journal(self._connected(), LONGEST_BEAT, self._listening)
            return journal.beat(token, self.lease, release, stage)
        except (UnreachableError, DeadlineError):
            self._session = None  # the next beat connects anew
            raise
