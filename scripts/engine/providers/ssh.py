"""SSH connections as pulumi-command dials them: retries with back-off, pinned host keys, proxies."""

from __future__ import annotations

import base64
import io
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from scripts.engine.errors import ProviderError
from scripts.engine.providers.context import Cancellation

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what goes wrong is told as the command's error
_FIRST_DELAY = 0.1
_BACKOFF = 1.5
_LONGEST_DELAY = 5.0
_HANDSHAKE_SECONDS = 30.0
_Result = TypeVar("_Result")
_Log = Callable[[str], None]


def dial(connection: dict[str, Any], cancellation: Cancellation, log: _Log) -> paramiko.Transport:
    """An authenticated connection, perhaps through a proxy. ProviderError when all attempts failed."""
    _check_keys(connection)
    limit = int(connection.get("dialErrorLimit", 10))
    proxy = connection.get("proxy")
    if not proxy:
        return _retry("Dial", limit, cancellation, log, lambda: _open(connection, _tcp(connection)))
    try:
        _check_keys(proxy)
        first_limit = int(proxy.get("dialErrorLimit", 10))
        bastion = _retry("Dial proxy", first_limit, cancellation, log, lambda: _open(proxy, _tcp(proxy)))
        return _retry("Dial", limit, cancellation, log, lambda: _open(connection, _through(bastion, connection)))
    except ProviderError as error:
        raise ProviderError(f"proxy: {error}") from error


def _retry(what: str, limit: int, cancellation: Cancellation, log: _Log, attempt: Callable[[], _Result]) -> _Result:
    """Try up to limit + 1 times (-1: for ever); any error of dialling counts, a wrong host key too."""
    delay, failures = _FIRST_DELAY, 0
    while True:
        if cancellation.requested:
            raise ProviderError("the update was cancelled")
        try:
            return attempt()
        except (OSError, EOFError, paramiko.SSHException, ProviderError) as error:
            if limit > -1 and failures + 1 > limit:
                raise ProviderError(f"after {failures} failed attempts: {_reason(error)}") from error
            failures += 1
            log(f"{what} {failures}/{'inf' if limit == -1 else limit} failed: retrying")
        cancellation.wait(delay)
        delay = min(delay * _BACKOFF, _LONGEST_DELAY)


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "ssh: handshake failed: EOF"
    return str(error) or type(error).__name__


def _tcp(connection: dict[str, Any]) -> socket.socket:
    timeout = int(connection.get("perDialTimeout", 15))
    host, port = connection["host"], int(connection.get("port", 22))
    try:
        opened = socket.create_connection((host, port), timeout=timeout or None)
    except OSError as error:
        raise ProviderError(f"dial tcp {host}:{port}: connect: {(error.strerror or str(error)).lower()}") from error
    opened.settimeout(None)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 6)):
        opened.setsockopt(socket.IPPROTO_TCP, option, seconds)  # a host that vanishes is noticed within a minute
    return opened


def _through(bastion: paramiko.Transport, connection: dict[str, Any]) -> paramiko.Channel:
    return bastion.open_channel("direct-tcpip", (connection["host"], int(connection.get("port", 22))), ("127.0.0.1", 0))


def _open(connection: dict[str, Any], sock: socket.socket | paramiko.Channel) -> paramiko.Transport:
    """Handshake, check of the host key, authentication."""
    transport = paramiko.Transport(sock)
    transport.daemon = True
    try:
        expected = _host_key(connection)
        if expected is not None:
            transport.get_security_options().key_types = _host_key_types(expected[0])
        transport.start_client(timeout=_HANDSHAKE_SECONDS)
        actual = transport.get_remote_server_key()
        if expected is not None and actual.get_base64() != expected[1]:
            raise ProviderError("ssh: handshake failed: ssh: host key mismatch")
        _authenticate(transport, connection)
    except BaseException:
        transport.close()
        raise
    return transport


def _host_key(connection: dict[str, Any]) -> tuple[str, str] | None:
    """Type and base64 of the expected host key, or None when any is accepted."""
    text = connection.get("hostKey")
    if not text:
        return None
    words = text.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
        matches = blob[4 : 4 + int.from_bytes(blob[:4], "big")] == words[0].encode()
    except (IndexError, ValueError):
        matches = False
    if not matches:
        raise ProviderError("failed to parse host key: ssh: no key found; write it as in a .pub file")
    return words[0], words[1]


def _host_key_types(kind: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _check_keys(connection: dict[str, Any]) -> None:
    """Refuse at once, without dialling, what can never work."""
    _host_key(connection)
    _private_key(connection)


def _private_key(connection: dict[str, Any]) -> paramiko.PKey | None:
    text = connection.get("privateKey")
    if not text:
        return None
    kinds: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
    for kind in kinds:
        try:
            return kind.from_private_key(io.StringIO(text), password=connection.get("privateKeyPassword"))
        except paramiko.PasswordRequiredException:
            raise ProviderError("ssh: this private key is passphrase protected") from None
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise ProviderError("ssh: no key found: the connection's privateKey is not a private key, or its password is wrong")


def _authenticate(transport: paramiko.Transport, connection: dict[str, Any]) -> None:
    """Offer the private key, the agent's keys, the password, in this order."""
    user = connection.get("user", "root")
    tried = ["none"]
    key = _private_key(connection)
    for candidate in [*([key] if key else []), *_agent_keys(connection)]:
        tried.append("publickey")
        try:
            transport.auth_publickey(user, candidate)
        except paramiko.AuthenticationException:
            continue
        if transport.is_authenticated():
            return
    if connection.get("password"):
        tried.append("password")
        with suppress(paramiko.AuthenticationException):
            transport.auth_password(user, connection["password"])
        if transport.is_authenticated():
            return
    methods = " ".join(dict.fromkeys(tried))
    raise ProviderError(
        f"ssh: handshake failed: ssh: unable to authenticate, attempted methods [{methods}], "
        "no supported methods remain"
    )


def _agent_keys(connection: dict[str, Any]) -> list[paramiko.PKey]:
    path = connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK")
    if not path or path != os.environ.get("SSH_AUTH_SOCK"):
        return []
    return list(paramiko.Agent().get_keys())


def request_environment(channel: Any, name: str, value: str) -> bool:
    """Set a variable of the session and hear whether the server accepted it (paramiko's own call does not ask)."""
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("env")
    message.add_boolean(True)
    message.add_string(name)
    message.add_string(value)
    channel._event_pending()
    channel.transport._send_user_message(message)
    try:
        channel._wait_for_event()
    except paramiko.SSHException:
        return False
    return True
