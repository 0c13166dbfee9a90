"""An authenticated connection to the host whose key is pinned: all that knows paramiko.

Loaded when a connection is made and no sooner: it takes half of the start of a program that shares others' connections.
"""

from __future__ import annotations

import base64
import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

from scripts.ssh.errors import HostKeyError, Login, LoginError, SshError, UnreachableError

BUSY_FACTOR = 4
SILENT_MS = 5000  # what was sent and nobody has acknowledged for so long breaks the connection

# What goes wrong with a connection is raised, in a sentence; paramiko's threads would print a traceback beside it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Connection:
    """A connection to one host; each channel on it carries a command. Made as `connect` says, with the same errors."""

    def __init__(self, login: Login, timeout: float) -> None:
        self._login = login
        self._client = connect(login, timeout)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection is known to be there: one to a host that fell silent is, for a while."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def answers(self, seconds: float) -> bool:
        """Tell whether the host answers over this connection, which it is asked now (a few bytes, by the protocol)."""
        transport = self._client.get_transport()
        if transport is None:
            return False

        def ask() -> None:
            with suppress(paramiko.SSHException, OSError, EOFError):
                transport.global_request("keepalive@openssh.com", wait=True)
                answered.set()

        answered = threading.Event()
        threading.Thread(target=ask, daemon=True).start()
        return answered.wait(seconds) and transport.is_active()

    def begin(self, text: str, open_seconds: float, begin_seconds: float) -> paramiko.Channel:
        """Start a command on a channel of its own, and return that.

        Raises EOFError where the connection is not there any more, and what `unbroken` knows where the host does not
        take the channel, or then the command, in time.
        """
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise EOFError
        channel = transport.open_session(timeout=open_seconds)
        late = threading.Timer(begin_seconds, channel.close)  # paramiko waits for ever
        late.daemon = True
        late.start()
        try:
            channel.exec_command(text)
        except BaseException:
            channel.close()
            raise
        finally:
            late.cancel()
        return channel

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Whatever tells that the connection is gone is an `UnreachableError`."""
        try:
            yield
        except (paramiko.SSHException, OSError, EOFError) as error:
            why = error or "closed by the host"
            raise UnreachableError(self._login.name, f"the connection broke: {why}") from error


def connect(login: Login, timeout: float) -> paramiko.SSHClient:
    """An authenticated connection to the host whose key is pinned, and to no other.

    It takes `timeout` seconds at most until somebody is there, and some more for one that is busy to speak.
    """
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.get_host_keys().add(known_name(login), "ssh-ed25519", parse_host_key(login))
    key = parse_private_key(login)
    # A machine that is there but busy accepts at once and speaks late.
    patience = BUSY_FACTOR * timeout
    try:
        client.connect(
            login.address,
            port=login.port,
            username=login.user,
            pkey=key,
            sock=reach(login, timeout),
            timeout=patience,
            banner_timeout=2 * patience,  # or it is a matter of luck which of the two says so, and in which words
            auth_timeout=patience,
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


def reach(login: Login, timeout: float) -> socket.socket:
    """Return an open connection to the host's SSH port, which breaks where the host falls silent: nobody else tells."""
    connection = socket.create_connection((login.address, login.port), timeout)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux (tcp(7))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(login.patience(SILENT_MS)))
    return connection


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


def in_words(error: BaseException, timeout: float) -> str:
    """A connection error as a person would say it."""
    if str(error) == "No existing session":  # paramiko's words for a time-out before there was one
        return f"it accepts connections, and said nothing for {BUSY_FACTOR * timeout:g} s"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "the address is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or "the connection was closed"
