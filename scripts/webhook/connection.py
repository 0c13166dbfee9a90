"""One connection's bytes: time-outs for each read and for all of them together, and a close that loses no answer."""

from __future__ import annotations

import contextlib
import io
import socket
import time
from collections.abc import Callable

READ_SECONDS = 5.0
REQUEST_SECONDS = 15.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1024 * 1024


class Connection(io.RawIOBase):
    """A socket as a raw stream. A client that sends a byte now and then is cut off like one that sends none."""

    def __init__(self, sock: socket.socket, read_seconds: float, request_seconds: float) -> None:
        self.sock = sock
        self.read_seconds = read_seconds
        self.deadline = time.monotonic() + request_seconds

    def readable(self) -> bool:
        """It can be read."""
        return True

    def writable(self) -> bool:
        """It can be written."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what has come."""
        return self._in_time(lambda: self.sock.recv_into(buffer))

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of it."""

        def send() -> int:
            self.sock.sendall(data)
            return len(data)

        return self._in_time(send)

    def _in_time(self, action: Callable[[], int]) -> int:
        """Do it within both limits; TimeoutError otherwise."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self.sock.settimeout(min(remaining, self.read_seconds))
        return action()


def close_gently(sock: socket.socket) -> None:
    """End a connection whose client may still be sending: closing at once would reset it before it reads our answer."""
    give_up = time.monotonic() + LINGER_SECONDS
    received = 0
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while received < LINGER_BYTES and (remaining := give_up - time.monotonic()) > 0:
            sock.settimeout(remaining)
            data = sock.recv(65536)
            if not data:
                break
            received += len(data)
    sock.close()
