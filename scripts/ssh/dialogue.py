"""A program on a host that is asked line by line, and started once for all that it is asked."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from scripts.ssh.errors import DeadlineError, Login, UnreachableError

if TYPE_CHECKING:
    import paramiko

    from scripts.ssh.connection import Connection

LONGEST_LINE = 4 * 2**20


class Dialogue:
    """Asks a program that answers each line with one line. For one caller at a time; after an error it is of no use.

    Starting a program costs more of a small machine's processor than what it is asked. It ends with its standard input.
    """

    def __init__(self, login: Login, channel: paramiko.Channel, connection: Connection) -> None:
        self.host = login.name
        self._patience = login.patience
        self._channel = channel
        self._connection = connection
        self._read = bytearray()

    def ask(self, line: str, timeout: float) -> str:
        """Send a line and return the answer, without its end.

        Raises `DeadlineError` when there is none after `timeout` seconds, times the host's slowness, and
        `UnreachableError` when the program, or the connection, has ended.
        """
        timeout = self._patience(timeout)
        end = time.monotonic() + timeout
        with self._connection.unbroken():
            try:
                self._channel.settimeout(timeout)
                self._channel.sendall(line.encode() + b"\n")
                return self._line(end)
            except TimeoutError as error:
                raise DeadlineError(self.host, f"no answer after {timeout:g} s") from error

    def _line(self, end: float) -> str:
        while b"\n" not in self._read:
            self._channel.settimeout(max(end - time.monotonic(), 0.01))
            received = self._channel.recv(65536)
            if not received or len(self._read) > LONGEST_LINE:
                raise UnreachableError(self.host, "the program that was asked has ended")
            self._read += received
        answer, _, rest = bytes(self._read).partition(b"\n")
        self._read = bytearray(rest)
        return answer.decode("utf-8", "replace")

    def close(self) -> None:
        """End the program."""
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()
