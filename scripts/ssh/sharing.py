"""Connections that the stages of a release share, each a process of its own: over the master (`scripts.ssh.master`).

`shared` finds this user's master for a deploy key, or starts it; where it cannot be had, or is gone, the connection is
one of the caller's own. Nothing depends on the master but time.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from scripts.ssh.connection import CONNECT_SECONDS
from scripts.ssh.dialogue import Dialogue
from scripts.ssh.errors import Login, Result, UnreachableError
from scripts.ssh.session import COMMAND_SECONDS, Command, Session

SOCKET = "master"
START_SECONDS = 5.0  # of a Python program on a machine that has much to do
LONGEST_CONNECT = 13  # times the time for a connection: until somebody is there, speaks, and has let us in
SPARE_SECONDS = 10.0  # what the master may take longer than what it was told to take
ROOT = Path(__file__).resolve().parents[2]
_starting = threading.Lock()
_gone: set[Path] = set()  # where none could be started: this process asks no more


class NoMasterError(Exception):
    """There is no master, and none could be started."""


def shared(login: Login, connect_timeout: float = CONNECT_SECONDS) -> Session:
    """Return a connection to the host, over the master where there is one. Raises `SshError` as `Session` does."""
    try:
        return SharedSession(login, connect_timeout)
    except NoMasterError:
        return Session(login, connect_timeout)


def end_sharing(private_key: str) -> None:
    """Let the master for this deploy key end, as soon as nobody is at it."""
    with suppress(NoMasterError, OSError, EOFError), knock(folder_for(private_key)) as master:
        master.send(("end",))
        master.recv()


class SharedSession(Session):
    """A connection that the master keeps. Raises `NoMasterError` when there is no master."""

    def __init__(self, login: Login, connect_timeout: float = CONNECT_SECONDS) -> None:
        self.login = login
        with reach_master(folder_for(login.private_key)) as master:
            self._ask(master, ("open", login, connect_timeout), login.patience(LONGEST_CONNECT * connect_timeout))

    def close(self) -> None:
        """Leave the connection to others."""

    def run(
        self, command: Command, stdin: str | bytes = b"", *, timeout: float = COMMAND_SECONDS, check: bool = True
    ) -> Result:
        """Run a command to its end, as `Session.run` does."""
        with self._master() as master:
            asked = ("run", self.login, (command, stdin, timeout, check))
            result: Result = self._ask(master, asked, self.login.patience(timeout))
            return result

    def converse(self, command: Command) -> Dialogue:
        """Have a program to ask line by line, which may have been started for others before."""
        master = self._master()
        try:
            self._ask(master, ("converse", self.login, command), self.login.patience(CONNECT_SECONDS))
        except BaseException:
            master.close()
            raise
        return SharedDialogue(self.login, master)

    def answers(self) -> bool:
        """Tell whether the host answers: the master asks it whenever a connection is opened."""
        return True

    def _master(self) -> Connection:
        try:
            return knock(folder_for(self.login.private_key))
        except NoMasterError:
            raise UnreachableError(self.login.name, "who kept the connection has ended") from None

    def _ask(self, master: Connection, asked: tuple[Any, ...], seconds: float) -> Any:
        return ask(self.login.name, master, asked, seconds)


class SharedDialogue(Dialogue):
    """A program over the master; when this is closed, or its process ends, the next client may have it."""

    def __init__(self, login: Login, master: Connection) -> None:
        self.host = login.name
        self._patience = login.patience
        self._master = master

    def ask(self, line: str, timeout: float) -> str:
        """Send a line and return the answer, as `Dialogue.ask` does."""
        answer: str = ask(self.host, self._master, ("ask", line, timeout), self._patience(timeout))
        return answer

    def close(self) -> None:
        """Leave the program to others."""
        self._master.close()


def ask(host: str, master: Connection, asked: tuple[Any, ...], seconds: float) -> Any:
    """Return what the master answers. Raises the SshError it sends, and `UnreachableError` when it says nothing."""
    try:
        master.send(asked)
        if not master.poll(seconds + SPARE_SECONDS):
            raise UnreachableError(host, f"who keeps the connection said nothing for {seconds + SPARE_SECONDS:g} s")
        kind, answer = master.recv()
    except (OSError, EOFError):
        raise UnreachableError(host, "who kept the connection has ended") from None
    if kind == "error":
        raise answer
    return answer


def folder_for(private_key: str) -> Path:
    """Return where the master for a deploy key has its socket; short, as a socket's path must be."""
    name = hashlib.sha256(private_key.encode()).hexdigest()[:16]
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"evenkeel-{os.geteuid()}-{name}"


def knock(folder: Path) -> Connection:
    """Return a connection to the master. Raises `NoMasterError`, also for a folder that is not this user's alone."""
    try:
        require_own(folder)
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(folder / SOCKET))
        except OSError:
            client.close()
            raise
        return Connection(client.detach())
    except OSError:
        raise NoMasterError from None


def require_own(folder: Path) -> None:
    """Raise `NoMasterError` unless the folder is this user's alone: deploy keys pass through it."""
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise NoMasterError


def reach_master(folder: Path) -> Connection:
    """Return a connection to the master, which is started if need be. Raises `NoMasterError`."""
    with _starting:
        if folder in _gone:
            raise NoMasterError
        with suppress(NoMasterError):
            return knock(folder)
        try:
            return start(folder)
        except (NoMasterError, OSError):
            _gone.add(folder)
            raise NoMasterError from None


def start(folder: Path) -> Connection:
    """Start a master, which outlives this process, and return a connection to it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    require_own(folder)
    command = [sys.executable, "-m", "scripts.ssh.master", str(folder)]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    found = wait_for(lambda: knock(folder), lambda: process.poll() is not None)
    if found is None:
        raise NoMasterError
    return found


def wait_for(look: Callable[[], Connection], is_over: Callable[[], bool]) -> Connection | None:
    """Look until there is a connection; None when there will be none, or the time is over."""
    end_at = time.monotonic() + START_SECONDS
    while time.monotonic() < end_at:
        last = is_over()
        with suppress(NoMasterError):
            return look()
        if last:
            return None
        time.sleep(0.02)
    return None
