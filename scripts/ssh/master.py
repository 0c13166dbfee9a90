"""`python -m scripts.ssh.master FOLDER`: keeps connections and programs that listen, for processes of the same user.

A login costs a host more than most of what it is asked, and each stage of a release is a process of its own. So the
first one that talks to hosts starts this, and they all ask over its connections, as OpenSSH's clients do over those of
a master (ssh_config(5), ControlMaster). It ends when it is told to, or has been left alone for a minute; who finds none
connects by itself.

Each connection to the socket in the folder, which is its owner's alone, carries pickled tuples, asked and answered in
turn:

    ("open", login, seconds)                    ("done", None)    connected, if need be anew; a kept one is tried first
    ("run", login, (command, stdin, seconds, check))  ("done", Result)
    ("converse", login, command)                ("done", None)    from here on this connection is one program's:
    ("ask", line, seconds)                      ("done", answer)
    ("end",)                                    ("done", None)

or ("error", SshError).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from scripts.ssh.dialogue import Dialogue
from scripts.ssh.errors import Login, SshError, UnreachableError
from scripts.ssh.session import Command, Session
from scripts.ssh.sharing import SOCKET

IDLE_SECONDS = 60.0
LOOK_SECONDS = 0.5
BACKLOG = 64
Key = tuple[Login, str]


class Kept:
    """One host's connection, opened when it is asked for, and opened anew when it has broken."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self._lock = threading.Lock()
        self._session: Session | None = None

    def open(self, seconds: float) -> Session:
        """Return a connection that works: one that was kept has answered just now. Raises SshError."""
        with self._lock:
            if self._session is None or not self._session.answers():
                self._close()
                self._session = Session(self.login, seconds)
            return self._session

    def use(self) -> Session:
        """Return the connection that was opened. Raises `UnreachableError` when it has broken since."""
        session = self._session
        if session is None:
            raise UnreachableError(self.login.name, "the connection broke")
        return session

    def drop(self, session: Session) -> None:
        """Forget a connection that broke, unless another has taken its place."""
        with self._lock:
            if self._session is session:
                self._close()

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None


class Master:
    """Answers on a socket until it has been left alone, or is told to end and nobody is at it any more."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._kept: dict[Login, Kept] = {}
        self._idle: dict[Key, tuple[Session, Dialogue]] = {}
        self._busy = 0
        self._left = time.monotonic()
        self._ending = False

    def serve(self) -> None:
        """Answer whoever connects, each in a thread."""
        self._listener.settimeout(LOOK_SECONDS)
        while not self._is_over():
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                continue
            peer.setblocking(True)
            with self._lock:
                self._busy += 1
            threading.Thread(target=self._attend, args=(Connection(peer.detach()),), daemon=True).start()

    def _is_over(self) -> bool:
        with self._lock:
            return not self._busy and (self._ending or time.monotonic() - self._left > IDLE_SECONDS)

    def _attend(self, peer: Connection) -> None:
        """Answer one connection until its other end is gone."""
        try:
            with contextlib.suppress(EOFError, OSError), peer:
                while True:
                    self._answer(peer, peer.recv())
        finally:
            with self._lock:
                self._busy -= 1
                self._left = time.monotonic()

    def _answer(self, peer: Connection, asked: tuple[Any, ...]) -> None:
        match asked:
            case "open", Login() as login, seconds:
                reply(peer, partial(self._open, login, seconds))
            case "run", Login() as login, (command, stdin, seconds, check):
                reply(peer, partial(self._run, login, command, stdin, seconds, check))
            case "converse", Login() as login, command:
                self._converse(peer, login, command)
            case ("end",):
                self._ending = True
                peer.send(("done", None))
            case _:
                raise EOFError

    def _of(self, login: Login) -> Kept:
        with self._lock:
            return self._kept.setdefault(login, Kept(login))

    def _open(self, login: Login, seconds: float) -> None:
        self._of(login).open(seconds)

    def _run(self, login: Login, command: Command, stdin: str | bytes, seconds: float, check: bool) -> Any:
        with self._on(login) as session:
            return session.run(command, stdin, timeout=seconds, check=check)

    @contextlib.contextmanager
    def _on(self, login: Login) -> Iterator[Session]:
        """Give the host's connection, which is dropped where it turns out to be broken."""
        kept = self._of(login)
        session = kept.use()
        try:
            yield session
        except UnreachableError:
            kept.drop(session)
            raise

    def _converse(self, peer: Connection, login: Login, command: Command) -> None:
        """Give a program to one client, which has it until it goes; a healthy one is kept for the next."""
        key = (login, command if isinstance(command, str) else " ".join(command))
        found: list[tuple[Session, Dialogue]] = []

        def begin() -> None:
            with self._on(login) as session:
                found.append((session, self._take(key, session) or session.converse(command)))

        if not reply(peer, begin):
            return
        session, dialogue = found[0]
        is_well = True
        try:
            while is_well:
                _, line, seconds = peer.recv()
                is_well = reply(peer, partial(dialogue.ask, line, seconds))
        finally:
            self._put(key, session, dialogue) if is_well else dialogue.close()

    def _take(self, key: Key, session: Session) -> Dialogue | None:
        """Return the program that was kept, if it runs over this connection."""
        with self._lock:
            started_on, dialogue = self._idle.pop(key, (None, None))
        return dialogue if started_on is session else None

    def _put(self, key: Key, session: Session, dialogue: Dialogue) -> None:
        with self._lock:
            more = self._idle.setdefault(key, (session, dialogue))[1] is not dialogue
        if more:
            dialogue.close()


def reply(peer: Connection, act: Callable[[], Any]) -> bool:
    """Send what `act` returns, or the SshError it raises; return whether it went well."""
    answer: tuple[str, Any]
    try:
        answer = ("done", act())
    except SshError as error:
        answer = ("error", error)
    except Exception as error:  # a mistake of ours must reach who asked, who connects by itself then
        answer = ("error", UnreachableError("the master", f"{type(error).__name__}: {error}"))
    peer.send(answer)
    return answer[0] == "done"


def main(folder: Path) -> None:
    """Be the master in this folder, unless there is one; a socket that a killed one has left is taken away."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    path = folder / SOCKET
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(BACKLOG)
        try:
            Master(listener).serve()
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
