"""Run commands on the stack's hosts over SSH, with the deploy key and each host's pinned key.

The only place outside the engine that knows paramiko. Callers bring `Login`s (from the inventory) and get `Result`s.

Errors, all below `SshError`, which names the host, what went wrong and, as `hint`, what a person can do:

- `UnreachableError`  no TCP connection or no SSH answer in time (`connect_timeout`, times four once it accepted)
- `HostKeyError`      another key than the pinned one answered: nothing was sent to it
- `LoginError`        the host does not take the deploy key
- `DeadlineError`     the command ran longer than its `timeout`; the host has been told to end it too
- `CommandError`      it ended with another status than 0; carries its `Result` (only when `check` is on)
- `OutputError`       it printed more than is kept here: what was read is a part, and a part is never returned

A command is a list of arguments, quoted here, or one string that the remote shell reads as it is.
"""

from __future__ import annotations

import base64
import io
import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import paramiko

Outcome = TypeVar("Outcome")
Command = str | Sequence[str]

CONNECT_SECONDS = 5.0
BUSY_FACTOR = 4
COMMAND_SECONDS = 60.0
OUTPUT_LIMIT = 32 * 1024 * 1024  # bytes of one stream kept
PART = 16 * 1024 * 1024  # bytes of a file read at once; base64 makes four of three

# What goes wrong with a connection is raised, in a sentence; paramiko's threads would print a traceback beside it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Login:
    """How to reach one host. `host_key` is the pinned «ssh-ed25519 AAAA…» line, `private_key` OpenSSH PEM text."""

    name: str
    address: str
    host_key: str
    private_key: str = field(repr=False)
    port: int = 22
    user: str = "root"


@dataclass(frozen=True)
class Result:
    """What a command printed and the status it ended with."""

    stdout: str
    stderr: str
    exit_status: int

    @property
    def ok(self) -> bool:
        """Whether the command ended with status 0."""
        return self.exit_status == 0


class SshError(Exception):
    """Something went wrong between us and one host."""

    def __init__(self, host: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason
        self.hint = hint


class UnreachableError(SshError):
    """No connection."""


class HostKeyError(SshError):
    """The machine that answered is not the one that was set up."""


class LoginError(SshError):
    """The host does not accept the deploy key."""


class DeadlineError(SshError):
    """A command did not end in time."""


class OutputError(SshError):
    """A command printed more than is kept."""


class CommandError(SshError):
    """A command ended with a status other than 0."""

    def __init__(self, host: str, command: str, result: Result) -> None:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()
        reason = f"«{command}» ended with status {result.exit_status}" + (f": {said[-1]}" if said else "")
        super().__init__(host, reason)
        self.result = result


class Session:
    """One SSH connection; a context manager. Commands on it may run one after the other or at the same time."""

    def __init__(self, login: Login, connect_timeout: float = CONNECT_SECONDS) -> None:
        self.login = login
        self._client = connect(login, connect_timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def run(
        self, command: Command, stdin: str | bytes = b"", *, timeout: float = COMMAND_SECONDS, check: bool = True
    ) -> Result:
        """Run a command to its end and return what it printed.

        `timeout` (seconds) holds on both sides: the host kills the command even when the connection is gone.
        Raises `DeadlineError`, `UnreachableError` when the connection breaks, and `CommandError` unless `check` is off.
        """
        text = compose(command)
        try:
            result = self._exchange(text, as_bytes(stdin), timeout)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise UnreachableError(self.login.name, f"the connection broke: {error or 'closed by the host'}") from error
        if check and not result.ok:
            raise CommandError(self.login.name, shorten(text), result)
        return result

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
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise EOFError
        deadline = time.monotonic() + timeout + 1.0  # the host's own limit comes first
        channel = transport.open_session(timeout=min(timeout, CONNECT_SECONDS))
        try:
            channel.settimeout(timeout)
            channel.exec_command(guarded(text, timeout))
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
            if status in (-1, 137) and time.monotonic() > deadline - 1.5:
                raise DeadlineError(self.login.name, f"no end after {timeout:g} s: «{shorten(text)}»")
            if status == -1:
                raise EOFError
            if max(len(stdout), len(stderr)) > OUTPUT_LIMIT:
                raise OutputError(self.login.name, f"«{shorten(text)}» printed more than {OUTPUT_LIMIT >> 20} MiB")
            return Result(decode(stdout), decode(stderr), status)
        finally:
            channel.close()


def run(
    login: Login,
    command: Command,
    stdin: str | bytes = b"",
    *,
    timeout: float = COMMAND_SECONDS,
    check: bool = True,
    connect_timeout: float = CONNECT_SECONDS,
) -> Result:
    """Connect, run one command, disconnect. See `Session.run`."""
    with Session(login, connect_timeout) as session:
        return session.run(command, stdin, timeout=timeout, check=check)


def map_hosts(
    logins: Iterable[Login], action: Callable[[Login], Outcome], workers: int = 32
) -> Mapping[str, Outcome | SshError]:
    """Do the same on many hosts at the same time: host name -> what `action` returned, or the SshError it raised.

    Any other exception is a mistake in `action` and is raised here.
    """

    def attempt(login: Login) -> Outcome | SshError:
        try:
            return action(login)
        except SshError as error:
            return error

    everyone = list(logins)
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(everyone)))) as pool:
        return dict(zip([login.name for login in everyone], pool.map(attempt, everyone), strict=True))


def run_everywhere(
    logins: Iterable[Login], command: Command, stdin: str | bytes = b"", timeout: float = COMMAND_SECONDS
) -> Mapping[str, Result | SshError]:
    """Run one command on many hosts at the same time."""
    return map_hosts(logins, partial(run, command=command, stdin=stdin, timeout=timeout))


def connect(login: Login, timeout: float) -> paramiko.SSHClient:
    """An authenticated connection to the host whose key is pinned, and to no other."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.get_host_keys().add(known_name(login), "ssh-ed25519", parse_host_key(login))
    try:
        client.connect(
            login.address,
            port=login.port,
            username=login.user,
            pkey=parse_private_key(login),
            timeout=timeout,
            # A machine that is there but busy accepts at once and speaks late.
            banner_timeout=BUSY_FACTOR * timeout,
            auth_timeout=BUSY_FACTOR * timeout,
            allow_agent=False,
            look_for_keys=False,
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        raise HostKeyError(
            login.name,
            f"{login.address} answers with another host key than the one pinned in the stack; nothing was sent to it",
            "if the machine was made anew outside Pulumi, run `pulumi up`; otherwise find out who answers there",
        ) from error
    except paramiko.AuthenticationException as error:
        client.close()
        raise LoginError(
            login.name,
            f"{login.address} does not accept the stack's deploy key for {login.user}",
            "run `pulumi up`, which installs it",
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        client.close()
        raise UnreachableError(login.name, f"no SSH at {login.address}: {in_words(error, timeout)}") from error
    return client


def known_name(login: Login) -> str:
    """The name a known_hosts file has for this address and port."""
    return login.address if login.port == 22 else f"[{login.address}]:{login.port}"


def parse_host_key(login: Login) -> paramiko.PKey:
    """The pinned key of a host, from its «ssh-ed25519 AAAA…» line."""
    try:
        kind, encoded = login.host_key.split()[:2]
        if kind != "ssh-ed25519":
            raise ValueError(kind)
        return paramiko.Ed25519Key(data=base64.b64decode(encoded, validate=True))
    except (ValueError, IndexError, paramiko.SSHException) as error:
        raise SshError(login.name, "its pinned host key is not an «ssh-ed25519 …» line") from error


def parse_private_key(login: Login) -> paramiko.PKey:
    """The deploy key; its text never reaches a message."""
    try:
        return paramiko.Ed25519Key.from_private_key(io.StringIO(login.private_key))
    except (ValueError, paramiko.SSHException):
        raise SshError(login.name, "the stack's deploy key is not an OpenSSH ed25519 private key") from None


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
    """Send standard input and its end; a command that stops reading is no error."""
    try:
        channel.sendall(stdin)
        channel.shutdown_write()
    except OSError:
        return


def drain(receive: Callable[[int], bytes], into: bytearray) -> None:
    """Read one stream to its end; beyond the limit it only shows that there was more."""
    try:
        while data := receive(65536):
            if len(into) <= OUTPUT_LIMIT:
                into += data
    except OSError:
        return


def in_words(error: BaseException, timeout: float) -> str:
    """A connection error as a person would say it."""
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "the address is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or "the connection was closed"
