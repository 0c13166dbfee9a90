"""Locks that a killed update left in the state directory. The embedded engine heals its own; this is for the CLI's.

The Pulumi CLI leaves a killed update's lock to `pulumi cancel`, because it cannot know whether another machine holds
it. In a local state directory it can be known: the lock names the machine and the process.
"""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.make.steps import say


def clear_abandoned_locks(backend: str, stack: str) -> None:
    """Remove the locks of the stack whose process, on this machine, is gone."""
    for path in _locks(backend, stack):
        holder = _holder(path)
        if holder is not None and holder.is_gone:
            path.unlink(missing_ok=True)
            say(f"released the lock of an update that was killed (process {holder.pid})")


def lock_holder(backend: str, stack: str) -> str:
    """Who updates the stack now, or may do so from another machine; empty where nobody does, or it cannot be known."""
    for path in _locks(backend, stack):
        holder = _holder(path)
        if holder is not None and not holder.is_gone:
            return f"process {holder.pid} on {holder.hostname}"
        if holder is None and path.exists():
            return f"the holder of {path}"
    return ""


def _locks(backend: str, stack: str) -> list[Path]:
    """The stack's lock files, where the state is in a directory."""
    address = urlsplit(backend)
    if address.scheme != "file":
        return []
    folder = Path(unquote(address.path)) / ".pulumi" / "locks" / "organization" / "evenkeel" / stack
    return sorted(folder.glob("*.json"))


@dataclass(frozen=True)
class _Holder:
    """Whose a lock is."""

    pid: int
    hostname: str

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine, and no such process runs any more."""
        return self.hostname == socket.gethostname() and not Path(f"/proc/{self.pid}").exists()


def _holder(path: Path) -> _Holder | None:
    """Whom a lock names; None where it cannot be read."""
    try:
        lock = json.loads(path.read_text())
        return _Holder(int(lock["pid"]), str(lock["hostname"]))
    except (OSError, ValueError, KeyError):
        return None


def backend_url(root: Path) -> str:
    """Where the state is: as the environment says, or in the project's directory."""
    return os.environ.get("PULUMI_BACKEND_URL") or f"file://{root / '.evenkeel' / 'state'}"
