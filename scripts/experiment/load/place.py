"""Where a load is made: a folder of its own on the test runner, which is gone when the load has been judged."""

from __future__ import annotations

import shlex
import uuid
from typing import Protocol

from scripts.ssh import Login, Result, Session


class Place(Protocol):
    """A folder on a machine that has vegeta, Python and the service in reach."""

    def put(self, name: str, content: str) -> None:
        """Write a file into the folder."""

    def run(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        """Run a line of shell in the folder."""

    def read(self, name: str, timeout: float = 60) -> bytes:
        """The bytes of a file in the folder."""

    def leave(self) -> None:
        """Remove the folder; nothing of the load is left."""


class HostPlace:
    """A folder on a host, over one SSH connection."""

    def __init__(self, login: Login) -> None:
        self._folder = f"/tmp/evenkeel-load-{uuid.uuid4().hex[:12]}"  # noqa: S108 - on the host; made by us, 0700
        self._session = Session(login, 20)
        self._session.run(["mkdir", "-m", "700", self._folder])

    def put(self, name: str, content: str) -> None:
        """Write a file into the folder."""
        self._session.put(content, f"{self._folder}/{name}")

    def run(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        """Run a line of shell in the folder."""
        command = f"cd {shlex.quote(self._folder)} && {{ {line}; }}"
        return self._session.run(command, stdin, timeout=timeout, check=check)

    def read(self, name: str, timeout: float = 60) -> bytes:
        """The bytes of a file in the folder."""
        return self._session.get_bytes(f"{self._folder}/{name}", timeout)

    def leave(self) -> None:
        """Remove the folder, and end the connection."""
        try:
            self._session.run(["rm", "-rf", self._folder], check=False)
        finally:
            self._session.close()
