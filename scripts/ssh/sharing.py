"""Connections that processes share, such as the stages of a release: over the master (`scripts.ssh.master`).

Nothing depends on the master but time. It is started by the first who wants a connection; where there is none, it hangs
or has ended, the connection is one's own.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, cast

from scripts.ssh.dialogue import Dialogue
from scripts.ssh.errors import CONNECT_SECONDS, Login, Result, UnreachableError
from scripts.ssh.finding import HEARD_SECONDS, NoMasterError, folder_for, knock, reach_master, trusting
from scripts.ssh.session import COMMAND_SECONDS, Command, Session

AGAIN_SECONDS = 0.2  # until a process that was killed is gone
SPARE_SECONDS = 10.0  # what the master may take longer than what it was told to take
LONGEST_CONNECT = 14  # times the time for a connection: a kept one is tried, then somebody answers, speaks, lets us in


class SharedSession(Session):
    """A connection that the master keeps for all, or, where there is no master, one of its own.

    Like `Session`, and raises what that raises.
    """

    def __init__(self, login: Login, connect_timeout: float = CONNECT_SECONDS) -> None:
        self.login = login
        self._connect_timeout = connect_timeout
        self._folder = folder_for(login.private_key)
        self._lock = threading.Lock()
        self._own: Session | None = None
        self._open()

    @property
    def is_shared(self) -> bool:
        """Whether the connection is the master's."""
        return self._own is None

    @property
    def is_open(self) -> bool:
        """Whether the connection is known to be there; the master opens its own when it is needed."""
        return self._own is None or self._own.is_open

    def close(self) -> None:
        """Close a connection of one's own; leave the master's to others."""
        if self._own is not None:
            self._own.close()

    def answers(self) -> bool:
        """Tell whether the host answers."""
        if self._own is None:
            self._open()
        return self._own is None or self._own.answers()

    def run(
        self, command: Command, stdin: str | bytes = b"", *, timeout: float = COMMAND_SECONDS, check: bool = True
    ) -> Result:
        """Run a command to its end, as `Session.run` does."""
        order = (command, stdin, timeout, check)
        seconds = self._longest() + self.login.patience(timeout + 1.0)
        found = self._ask(("run", self.login, self._connect_timeout, order), seconds)
        if found is None:
            return self._alone.run(command, stdin, timeout=timeout, check=check)
        master, result = found
        master.close()
        return cast(Result, result)

    def converse(self, command: Command) -> Dialogue:
        """Have a program to ask line by line, which may have been started for others before."""
        found = self._ask(("converse", self.login, self._connect_timeout, command), self._longest())
        return self._alone.converse(command) if found is None else SharedDialogue(self.login, found[0])

    @property
    def _alone(self) -> Session:
        assert self._own is not None  # noqa: S101  # for the type checker: `_master` has just returned None
        return self._own

    def _longest(self) -> float:
        return self.login.patience(LONGEST_CONNECT * self._connect_timeout)

    def _open(self) -> None:
        """Connect: over the master, else alone."""
        with self._lock:
            try:
                with reach_master(self._folder) as master, trusting(self._folder):
                    ask(master, ("open", self.login, self._connect_timeout), self._longest())
            except NoMasterError:
                self._own = Session(self.login, self._connect_timeout)

    def _ask(self, asked: tuple[Any, ...], seconds: float) -> tuple[Connection, Any] | None:
        """Return a connection to the master and what it answered there; None where the connection is our own.

        What a master that has just ended did not hear is asked once more, of another.
        """
        for last in (False, True):
            master = self._master()
            if master is None:
                return None
            try:
                return master, tell(self.login.name, master, asked, seconds)
            except UnheardError:
                master.close()
                if last:
                    raise
                time.sleep(AGAIN_SECONDS)
            except BaseException:
                master.close()
                raise
        raise AssertionError

    def _master(self) -> Connection | None:
        """Return a connection to the master, found anew when it has ended; None from when the connection is our own."""
        for last in (False, True):
            if self._own is not None:
                return None
            try:
                return knock(self._folder)
            except NoMasterError:
                if last:
                    raise UnreachableError(self.login.name, "who kept the connection has ended") from None
            self._open()  # nothing was asked yet
        raise AssertionError


class UnheardError(UnreachableError):
    """The master ended before it had heard: nothing has been done."""


class SharedDialogue(Dialogue):
    """A program over the master; when this is closed, or its process ends, the next client may have it."""

    def __init__(self, login: Login, master: Connection) -> None:
        self.host = login.name
        self._patience = login.patience
        self._master = master

    def ask(self, line: str, timeout: float) -> str:
        """Send a line and return the answer, as `Dialogue.ask` does."""
        answer: str = tell(self.host, self._master, ("ask", line, timeout), self._patience(timeout))
        return answer

    def close(self) -> None:
        """Leave the program to others."""
        self._master.close()


def end_sharing(private_key: str) -> None:
    """Let the master for this deploy key end, as soon as nobody is at it."""
    with suppress(NoMasterError, OSError), knock(folder_for(private_key)) as master:
        master.send(("end",))


def tell(host: str, master: Connection, asked: tuple[Any, ...], seconds: float) -> Any:
    """Ask the master for a host; what goes wrong when it has been asked is that host's `UnreachableError`."""
    try:
        return ask(master, asked, seconds)
    except NotHeardError as error:
        raise UnheardError(host, f"who kept the connection {error}") from None
    except NoMasterError as error:
        raise UnreachableError(host, f"who kept the connection {error}") from None


class NotHeardError(NoMasterError):
    """It ended before it said that it had heard, which it says before it does anything."""


def ask(master: Connection, asked: tuple[Any, ...], seconds: float) -> Any:
    """Return what the master answers, or raise the SshError it sends; `NoMasterError` where it is not well."""
    kind = ""
    try:
        master.send(asked)
        for patience in (HEARD_SECONDS, seconds + SPARE_SECONDS):
            if not master.poll(patience):
                raise NoMasterError(f"said nothing for {patience:g} s")
            kind, answer = master.recv()
    except (OSError, EOFError):
        raise (NoMasterError if kind else NotHeardError)("has ended") from None
    if kind == "error":
        raise answer
    if kind == "mistake":
        raise NoMasterError(f"made a mistake: {answer}")
    return answer
