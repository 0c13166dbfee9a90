"""A connection on which commands run."""

from __future__ import annotations

import base64
import contextlib
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from scripts.ssh.dialogue import Dialogue
from scripts.ssh.errors import CONNECT_SECONDS, CommandError, DeadlineError, Login, OutputError, Result

if TYPE_CHECKING:
    import paramiko

Command = str | Sequence[str]

COMMAND_SECONDS = 60.0
DIALOGUE_SECONDS = 3600.0
OUTPUT_LIMIT = 32 * 1024 * 1024  # bytes of one stream kept
PART = 16 * 1024 * 1024  # bytes of a file read at once; base64 makes four of three


class Session:
    """One SSH connection; a context manager. Commands on it may run one after the other or at the same time."""

    def __init__(self, login: Login, connect_timeout: float = CONNECT_SECONDS) -> None:
        from scripts.ssh.connection import Connection  # noqa: PLC0415  # it says why

        self.login = login
        self._connection = Connection(login, login.patience(connect_timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def run(
        self, command: Command, stdin: str | bytes = b"", *, timeout: float = COMMAND_SECONDS, check: bool = True
    ) -> Result:
        """Run a command to its end and return what it printed.

        `timeout` (seconds, times the host's slowness) holds on both sides: the host kills the command even when the
        connection is gone.
        Raises `DeadlineError`, `UnreachableError` when the connection breaks, and `CommandError` unless `check` is off.
        """
        text = compose(command)
        with self._connection.unbroken():
            result = self._exchange(text, as_bytes(stdin), self.login.patience(timeout))
        if check and not result.ok:
            raise CommandError(self.login.name, shorten(text), result)
        return result

    def converse(self, command: Command) -> Dialogue:
        """Start a program that is asked line by line; the host ends it after an hour, or when it is left alone.

        Raises `UnreachableError` when the connection is broken.
        """
        with self._connection.unbroken():
            patience = self.login.patience(CONNECT_SECONDS)
            channel = self._connection.begin(guarded(compose(command), DIALOGUE_SECONDS), patience, patience)
        return Dialogue(self.login, channel, self._connection)

    @property
    def is_open(self) -> bool:
        """Whether the connection is known to be there: one to a host that fell silent is, for a while."""
        return self._connection.is_open

    def answers(self) -> bool:
        """Tell whether the host answers over this connection, which it is asked now."""
        return self._connection.answers(self.login.patience(CONNECT_SECONDS))

    def put(self, content: str | bytes, path: str, mode: int = 0o644, timeout: float = COMMAND_SECONDS) -> None:
        """Write a file: under another name first, then moved into place, so that no reader sees half of it."""
        place, new = shlex.quote(path), shlex.quote(f"{path}.new")
        self.run(f"umask 077; cat > {new} && chmod {mode:o} {new} && mv -f {new} {place}", content, timeout=timeout)

    def get(self, path: str, timeout: float = COMMAND_SECONDS) -> str:
        """The text of a file of any size."""
        return self.get_bytes(path, timeout).decode("utf-8", "replace")

    def get_bytes(self, path: str, timeout: float = COMMAND_SECONDS) -> bytes:
        """The bytes that a file of any size has now, read part by part, each within `timeout`.

        Raises `OutputError` where the host gives fewer: a pipe's status says nothing of its first command.
        """
        content, place = bytearray(), shlex.quote(path)
        size = int(self.run(f"wc -c < {place}", timeout=timeout).stdout)
        while (left := size - len(content)) > 0:
            line = f"{{ tail -c +{len(content) + 1} | head -c {min(left, PART)} | base64 -w 0; }} < {place}"
            part = base64.b64decode(self.run(line, timeout=timeout).stdout)
            if not part:
                raise OutputError(self.login.name, f"{path} ended after {len(content)} of {size} bytes")
            content += part
        return bytes(content)

    def _exchange(self, text: str, stdin: bytes, timeout: float) -> Result:
        """Start the command, feed it, and read both of its streams until it ends or the time is over."""
        late = self.login.patience(1.0)
        deadline = time.monotonic() + timeout + late  # the host's own limit comes first
        opening = min(timeout, self.login.patience(CONNECT_SECONDS))
        channel = self._connection.begin(guarded(text, timeout), opening, timeout + late)
        try:
            channel.settimeout(timeout)
            stdout, stderr = bytearray(), bytearray()
            workers = [
                threading.Thread(target=feed, args=(channel, stdin), daemon=True),
                threading.Thread(target=drain, args=(channel.recv, stdout), daemon=True),
                threading.Thread(target=drain, args=(channel.recv_stderr, stderr), daemon=True),
            ]
            for worker in workers:
                worker.start()
            for worker in workers[1:]:
                worker.join(max(deadline - time.monotonic(), 0.0))
            if not channel.status_event.wait(max(deadline - time.monotonic(), 0.0)):
                raise DeadlineError(self.login.name, f"no end after {timeout:g} s: «{shorten(text)}»")
            status = channel.recv_exit_status()
            if status in (-1, 137) and time.monotonic() > deadline - late - 0.5:
                raise DeadlineError(self.login.name, f"no end after {timeout:g} s: «{shorten(text)}»")
            if status == -1:
                raise EOFError
            if max(len(stdout), len(stderr)) > OUTPUT_LIMIT:
                raise OutputError(self.login.name, f"«{shorten(text)}» printed more than {OUTPUT_LIMIT >> 20} MiB")
            return Result(decode(stdout), decode(stderr), status)
        finally:
            channel.close()


def compose(command: Command) -> str:
    """A command as the text the remote shell reads."""
    return command if isinstance(command, str) else shlex.join(command)


def guarded(text: str, timeout: float) -> str:
    """The command under the host's own time limit: a broken connection alone would leave it running."""
    return f"exec timeout -s KILL {timeout:.1f} sh -c {shlex.quote(text)}"


def shorten(text: str, length: int = 80) -> str:
    """The beginning of a command, for messages."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def as_bytes(content: str | bytes) -> bytes:
    """Text as UTF-8."""
    return content.encode() if isinstance(content, str) else content


def decode(content: bytearray) -> str:
    """Output as text; what is not UTF-8 becomes «�»."""
    return content.decode("utf-8", "replace")


def feed(channel: paramiko.Channel, stdin: bytes) -> None:
    """Send standard input and its end; a command that stops reading is no error, nor is a session that was ended."""
    with contextlib.suppress(OSError, EOFError):
        channel.sendall(stdin)
        channel.shutdown_write()


def drain(receive: Callable[[int], bytes], into: bytearray) -> None:
    """Read one stream to its end; beyond the limit it only shows that there was more."""
    try:
        while data := receive(65536):
            if len(into) <= OUTPUT_LIMIT:
                into += data
    except OSError:
        return
