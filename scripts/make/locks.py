"""Locks that a killed update left in the state directory. The embedded engine heals its own; this is for the CLI's.

The Pulumi CLI leaves a killed update's lock to `pulumi cancel`, because it cannot know whether another machine holds
it. In a local state directory it can be known: the lock names the machine and the process.
"""

import json
import os
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.make.steps import say


def clear_abandoned_locks(backend: str, stack: str) -> None:
    """Remove the locks of the stack whose process, on this machine, is gone."""
    for path in _locks(backend, stack):
        holder = _gone_holder(path)
        if holder is not None:
            path.unlink(missing_ok=True)
            say(f"released the lock of an update that was killed (process {holder})")


def lock_holder(backend: str, stack: str) -> str:
    """Who updates the stack now, or may do so from another machine; empty where nobody does, or it cannot be known."""
    for path in _locks(backend, stack):
        if _gone_holder(path) is None and path.exists():
            return _holder(path)
    return ""


def _locks(backend: str, stack: str) -> list[Path]:
    """The stack's lock files, where the state is in a directory."""
    address = urlsplit(backend)
    if address.scheme != "file":
        return []
    folder = Path(unquote(address.path)) / ".pulumi" / "locks" / "organization" / "evenkeel" / stack
    return sorted(folder.glob("*.json"))


def _holder(path: Path) -> str:
    try:
        lock = json.loads(path.read_text())
        return f"process {int(lock['pid'])} on {lock['hostname']}"
    except (OSError, ValueError, KeyError):
        return f"the holder of {path}"


def _gone_holder(path: Path) -> int | None:
    """The process id in a lock of this machine, if no such process runs any more."""
    try:
        lock = json.loads(path.read_text())
        pid, hostname = int(lock["pid"]), str(lock["hostname"])
    except (OSError, ValueError, KeyError):
        return None
    return pid if hostname == socket.gethostname() and not Path(f"/proc/{pid}").exists() else None


def backend_url(root: Path) -> str:
    """Where the state is: as the environment says, or in the project's directory."""
    return os.environ.get("PULUMI_BACKEND_URL") or f"file://{root / '.evenkeel' / 'state'}"
