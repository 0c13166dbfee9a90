"""Where a user's master for a deploy key is (`scripts.ssh.master`), and its start when there is none."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

SOCKET = "master"
START_SECONDS = 5.0  # of a Python program on a machine that has much to do
HEARD_SECONDS = 10.0  # until a master that is well says that it has heard
ROOT = Path(__file__).resolve().parents[2]
PARTS = ("host", "journal", "ssh", "tables")  # of scripts/, that a master and the programs it keeps are made of
_starting = threading.Lock()
_given_up: set[Path] = set()  # where none could be had: this process asks no more


class NoMasterError(Exception):
    """There is no master, and none could be started, or it does not do its work."""


@contextmanager
def trusting(folder: Path) -> Iterator[None]:
    """Ask a master no more that has not done its work."""
    try:
        yield
    except NoMasterError:
        _given_up.add(folder)
        raise


def folder_for(private_key: str) -> Path:
    """Return where the master for a deploy key has its socket; short, as a socket's path must be."""
    name = hashlib.sha256(private_key.encode() + code()).hexdigest()[:16]
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"evenkeel-{os.geteuid()}-{name}"


@cache
def code() -> bytes:
    """Tell this program from others, and from its earlier state: a master must be of the same."""
    files = sorted(path for part in PARTS for path in (ROOT / "scripts" / part).glob("*.py"))
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return repr((sys.executable, facts)).encode()


def require_own(folder: Path) -> None:
    """Raise `NoMasterError` unless the folder is this user's alone: deploy keys pass through it."""
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise NoMasterError("is in a folder that others may enter")


def require_own_peer(peer: socket.socket) -> None:
    """Raise `NoMasterError` unless this user is at the socket's other end, where the system says (unix(7))."""
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if uid != os.geteuid():
            raise NoMasterError("is another user's")


def knock(folder: Path) -> Connection:
    """Return a connection to the master. Raises `NoMasterError`."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            require_own(folder)
            client.settimeout(HEARD_SECONDS)
            client.connect(str(folder / SOCKET))
            require_own_peer(client)
            client.setblocking(True)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(HEARD_SECONDS), 0))
        except OSError:
            raise NoMasterError("has ended") from None
        return Connection(client.detach())


def reach_master(folder: Path) -> Connection:
    """Return a connection to the master, which is started if need be. Raises `NoMasterError`."""
    with _starting:
        if folder in _given_up:
            raise NoMasterError("was given up")
        with suppress(NoMasterError):
            return knock(folder)
        with trusting(folder):
            return start(folder)


def start(folder: Path) -> Connection:
    """Start a master, which outlives this process, and return a connection to it. Raises `NoMasterError`."""
    command = [sys.executable, "-m", "scripts.ssh.master", str(folder)]
    # Not what Pulumi tells a command about itself, such as the stack's passphrase.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    none = subprocess.DEVNULL
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        require_own(folder)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=none, stdout=none, stderr=none, start_new_session=True
        )
    except OSError as error:
        raise NoMasterError(str(error)) from None
    end, is_over = time.monotonic() + START_SECONDS, False
    while not is_over and time.monotonic() < end:
        is_over = process.poll() is not None  # there may be another one then
        with suppress(NoMasterError):
            return knock(folder)
        time.sleep(0.02)
    raise NoMasterError("did not start")
