"""What a master keeps: one connection to each host, and programs there that have been asked and may be asked again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.ssh.dialogue import Dialogue
from scripts.ssh.errors import Login
from scripts.ssh.session import DIALOGUE_SECONDS, Command, Session

AGE_SECONDS = DIALOGUE_SECONDS / 2  # the host ends a program that is older than twice that, whatever it is at


@dataclass(eq=False)
class Held:
    """A connection, how many are at it, and whether the last of them is to close it."""

    session: Session
    users: int = 0
    is_given_up: bool = False


class Kept:
    """One host's connection, opened when it is asked for, and anew when it has broken.

    One that has broken for one of its users is closed by the last of them: what one of them meets must not end what
    the others are at.
    """

    def __init__(self, login: Login) -> None:
        self.login = login
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._held: Held | None = None

    def open(self, seconds: float) -> None:
        """Have a connection that answers; raises SshError when there can be none within `seconds`."""
        with self._opening:
            held = self._held
            if held is not None and not held.session.answers():
                self._give_up(held)
                held = None
            if held is None:
                self._held = Held(Session(self.login, seconds))

    @contextlib.contextmanager
    def use(self, seconds: float) -> Iterator[Session]:
        """Have the connection, opened within `seconds` if there is none."""
        held = self._taken()
        while held is None:
            self.open(seconds)
            held = self._taken()
        try:
            yield held.session
        finally:
            if not held.session.is_open:
                self._give_up(held)
            self._leave(held)

    def _taken(self) -> Held | None:
        with self._lock:
            if self._held is not None:
                self._held.users += 1
            return self._held

    def _leave(self, held: Held) -> None:
        with self._lock:
            held.users -= 1
            is_last = held.is_given_up and not held.users
        if is_last:
            held.session.close()

    def _give_up(self, held: Held) -> None:
        """Let nobody else have this connection."""
        with self._lock:
            if self._held is held:
                self._held = None
            held.is_given_up = True
            is_unused = not held.users
        if is_unused:
            held.session.close()


@dataclass(eq=False)
class Program:
    """A program that listens, on which connection, and since when (monotonic seconds)."""

    dialogue: Dialogue
    session: Session
    since: float


class Programs:
    """Programs that listen, each lent to one client at a time; one that has not answered is never lent again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[Login, str], Program] = {}

    @contextlib.contextmanager
    def lend(self, login: Login, session: Session, command: Command) -> Iterator[Callable[[str, float], str]]:
        """Give a way to ask the command's program, which is started unless one waits on this connection."""
        key = (login, command if isinstance(command, str) else "\0".join(command))
        program = self._take(key, session)
        if program is None:
            program = Program(session.converse(command), session, time.monotonic())
        is_well = True

        def ask(line: str, timeout: float) -> str:
            nonlocal is_well
            is_well = False  # whatever happens until there is an answer, somebody else would get it later
            answer = program.dialogue.ask(line, timeout)
            is_well = True
            return answer

        try:
            yield ask
        finally:
            if is_well:
                self._put(key, program)
            else:
                program.dialogue.close()

    def _take(self, key: tuple[Login, str], session: Session) -> Program | None:
        with self._lock:
            program = self._idle.pop(key, None)
        if program is None:
            return None
        if program.session is session and time.monotonic() - program.since < AGE_SECONDS:
            return program
        program.dialogue.close()
        return None

    def _put(self, key: tuple[Login, str], program: Program) -> None:
        with self._lock:
            before = self._idle.get(key)
            self._idle[key] = program
        if before is not None:
            before.dialogue.close()
