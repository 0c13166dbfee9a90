"""`python -m scripts.ssh.master FOLDER`: keeps connections and programs that listen, for processes of the same user.

A login costs a host more than most of what it is asked, and each stage of a release is a process of its own. So the
first one that talks to hosts starts this, and they all ask over its connections, as OpenSSH's clients do over those of
a master (ssh_config(5), ControlMaster). It ends when it is told to, or has been left alone for a minute; who finds none
connects by itself (`scripts.ssh.sharing`).

Each connection to the socket in the folder, which is its owner's alone, carries pickled tuples, asked and answered in
turn:

    ("open", login, seconds)         connect, unless there is a connection that answers
    ("run", login, seconds, (command, stdin, timeout, check))      connects within `seconds` if need be
    ("converse", login, seconds, command)                          from here on this connection is one program's:
    ("ask", line, timeout)
    ("end",)                         is not answered

are answered at once with ("heard", None), then with ("done", result), ("error", SshError) or ("mistake", sentence),
which is ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from scripts.ssh.errors import Login, SshError
from scripts.ssh.finding import SOCKET, NoMasterError, require_own, require_own_peer
from scripts.ssh.kept import Kept, Programs
from scripts.ssh.session import Command

IDLE_SECONDS = 60.0
LOOK_SECONDS = 0.5
BACKLOG = 64


class Master:
    """Answers on a socket until it has been left alone, or is told to end and nobody is at it any more."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._kept: dict[Login, Kept] = {}
        self._programs = Programs()
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
            except OSError:  # no file can be opened, for example: it passes
                time.sleep(LOOK_SECONDS)
                continue
            with self._lock:
                self._busy += 1
            threading.Thread(target=self._attend, args=(peer,), daemon=True).start()

    def _is_over(self) -> bool:
        with self._lock:
            return not self._busy and (self._ending or time.monotonic() - self._left > IDLE_SECONDS)

    def _attend(self, client: socket.socket) -> None:
        """Answer one connection until its other end is gone."""
        try:
            with contextlib.suppress(EOFError, OSError, NoMasterError):
                client.setblocking(True)
                require_own_peer(client)
                with Connection(client.detach()) as peer:
                    while self._answer(peer, peer.recv()):
                        pass
        finally:
            client.close()
            with self._lock:
                self._busy -= 1
                self._left = time.monotonic()

    def _answer(self, peer: Connection, asked: tuple[Any, ...]) -> bool:
        """Answer once; return whether more may come."""
        self._ending = asked[0] == "end"
        if self._ending:
            return False
        peer.send(("heard", None))
        match asked:
            case "open", Login() as login, seconds:
                reply(peer, partial(self._of(login).open, seconds))
            case "run", Login() as login, seconds, (command, stdin, timeout, check):
                reply(peer, partial(self._run, self._of(login), seconds, (command, stdin, timeout, check)))
            case "converse", Login() as login, seconds, command:
                self._converse(peer, self._of(login), seconds, command)
            case _:
                peer.send(("mistake", f"{asked[0]!r} is not understood"))
        return bool(asked[0] != "converse")

    def _of(self, login: Login) -> Kept:
        with self._lock:
            return self._kept.setdefault(login, Kept(login))

    def _run(self, kept: Kept, seconds: float, order: tuple[Command, str | bytes, float, bool]) -> Any:
        command, stdin, timeout, check = order
        with kept.use(seconds) as session:
            return session.run(command, stdin, timeout=timeout, check=check)

    def _converse(self, peer: Connection, kept: Kept, seconds: float, command: Command) -> None:
        """Give a program to one client, which has it until it goes."""
        lent: list[Callable[[str, float], str]] = []
        with contextlib.ExitStack() as stack:

            def begin() -> None:
                session = stack.enter_context(kept.use(seconds))
                lent.append(stack.enter_context(self._programs.lend(kept.login, session, command)))

            is_well = reply(peer, begin)
            while is_well:
                _, line, timeout = peer.recv()
                peer.send(("heard", None))
                is_well = reply(peer, partial(lent[0], line, timeout))


def reply(peer: Connection, act: Callable[[], Any]) -> bool:
    """Send what `act` returns, or what it raises; return whether it went well."""
    answer: tuple[str, Any]
    try:
        answer = ("done", act())
    except SshError as error:
        answer = ("error", error)
    except Exception as error:  # a mistake of ours must reach who asked
        answer = ("mistake", f"{type(error).__name__}: {error}")
    peer.send(answer)
    return answer[0] == "done"


def main(folder: Path) -> None:
    """Be the master in this folder, unless there is one; a socket that a killed one has left is taken away.

    Whoever holds the lock on the folder is the master. An earlier one may have removed the folder meanwhile.
    """
    os.umask(0o077)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        require_own(folder)
        if os.path.samestat(os.fstat(held), folder.lstat()):
            listen(folder)


def listen(folder: Path) -> None:
    """Serve on a new socket in the folder, and take both away."""
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
