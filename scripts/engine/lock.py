"""One update of a stack at a time: lock files like the CLI's, `.pulumi/locks/organization/PROJECT/STACK/ID.json`.

A lock of this engine, made on this host by a process that is gone, is taken over: the stack of a killed update can be
brought up again at once. Locks of the CLI, or of other hosts, are only ever removed by `cancel`.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.engine.backend import Backend, write_durably
from scripts.engine.errors import LockedError

_OURS = "evenkeel"
"""Member of a lock file that tells this engine's locks; the CLI ignores it."""


@dataclass(frozen=True)
class Lock:
    """A lock file's content."""

    path: Path
    pid: int
    username: str
    hostname: str
    timestamp: str
    start: str
    """What distinguishes this process from a later one with the same pid; empty in the CLI's locks."""

    @property
    def abandoned(self) -> bool:
        """Whether this engine made it, here, and its process is gone."""
        return bool(self.start) and self.hostname == socket.gethostname() and _process_start(self.pid) != self.start

    def describe(self) -> str:
        """The CLI's line about a lock."""
        return f"  file://{self.path}: created by {self.username}@{self.hostname} (pid {self.pid}) at {self.timestamp}"


def _process_start(pid: int) -> str:
    """Boot id and start time of a process, or "" when there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except (OSError, IndexError):
        return ""
    return "" if fields[0] in ("Z", "X") else f"{boot}:{fields[19]}"


def _read(path: Path) -> Lock | None:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Lock(
            path=path,
            pid=int(raw["pid"]),
            username=str(raw["username"]),
            hostname=str(raw["hostname"]),
            timestamp=str(raw["timestamp"]),
            start=str(raw.get(_OURS, "")),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError):
        return Lock(path, 0, "unknown", "unknown", "an unknown time", "")


def list_locks(backend: Backend, stack: str) -> list[Lock]:
    """All locks of a stack."""
    paths = sorted(backend.lock_directory(stack).glob("*.json"))
    return [lock for lock in map(_read, paths) if lock is not None]


def cancel_locks(backend: Backend, stack: str) -> int:
    """Remove all locks of a stack; returns how many there were."""
    locks = list_locks(backend, stack)
    for lock in locks:
        lock.path.unlink(missing_ok=True)
    return len(locks)


def _refuse(locks: list[Lock]) -> None:
    if locks:
        lines = "\n".join(lock.describe() for lock in locks)
        raise LockedError(
            f"the stack is currently locked by {len(locks)} lock(s). Either wait for the other process(es) to end "
            f"or delete the lock file with `pulumi cancel`.\n{lines}"
        )


def _write_own(directory: Path) -> Path:
    own = directory / f"{uuid.uuid4()}.json"
    content = {
        "pid": os.getpid(),
        "username": pwd.getpwuid(os.getuid()).pw_name,
        "hostname": socket.gethostname(),
        "timestamp": datetime.now().astimezone().isoformat(),
        _OURS: _process_start(os.getpid()),
    }
    write_durably(own, json.dumps(content))
    return own


@contextmanager
def hold_lock(backend: Backend, stack: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the stack's lock; LockedError names who else holds it. `say` is told of a take-over."""
    directory = backend.lock_directory(stack)
    for lock in list_locks(backend, stack):
        if lock.abandoned:
            lock.path.unlink(missing_ok=True)
            say(f"Taking over the lock of an update that ended without releasing it (pid {lock.pid}).")
    _refuse(list_locks(backend, stack))
    own = _write_own(directory)
    try:
        _refuse([lock for lock in list_locks(backend, stack) if lock.path != own])
        yield
    finally:
        own.unlink(missing_ok=True)
