"""The service's configuration: /etc/evenkeel/webhook.json, and the key beside it that nobody else may read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONFIG = "/etc/evenkeel/webhook.json"
KEY = "/etc/evenkeel/webhook.key"
JOURNAL = "/var/lib/evenkeel/journal.sqlite"
KEY_BYTES = 16
PORT = 8070


class ConfigError(Exception):
    """The service cannot start as it is configured; the message is one sentence."""


@dataclass(frozen=True)
class Target:
    """A URL that is told of events. Such URLs often carry a secret, so no message shows more than `name`."""

    url: str = field(repr=False)

    @property
    def name(self) -> str:
        """The part of the URL that may be shown."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"

    @property
    def fingerprint(self) -> str:
        """What stands for the URL in the database."""
        return hashlib.sha256(self.url.encode()).hexdigest()


@dataclass(frozen=True)
class Config:
    """Where to listen (port 0: any), whom to notify, the shared key, and the journal's file."""

    address: str
    port: int
    targets: tuple[Target, ...]
    key: bytes = field(repr=False)
    journal: Path = Path(JOURNAL)


def load(environment: Mapping[str, str] = os.environ) -> Config:
    """Read both files; their places can be changed by the environment."""
    document = read_document(Path(environment.get("EVENKEEL_WEBHOOK_CONFIG", CONFIG)))
    unknown = sorted(set(document) - {"listen", "notify"})
    if unknown:
        raise ConfigError(f"the configuration has a key that nobody knows: {unknown[0]}")
    address, port = read_listen(document.get("listen", f"0.0.0.0:{PORT}"))
    targets = read_targets(document.get("notify", []))
    key = read_key(Path(environment.get("EVENKEEL_WEBHOOK_KEY", KEY)))
    return Config(address, port, targets, key, Path(environment.get("EVENKEEL_JOURNAL", JOURNAL)))


def read_document(path: Path) -> dict[str, Any]:
    """The configuration file's JSON object."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds no JSON object")
    return document


def read_listen(value: object) -> tuple[str, int]:
    """An ADDRESS:PORT."""
    address, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not address or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"listen must be ADDRESS:PORT, such as 0.0.0.0:{PORT}")
    return address.strip("[]"), int(port)


def read_targets(value: object) -> tuple[Target, ...]:
    """The URLs, each once, in the order they are given."""
    if not isinstance(value, list):
        raise ConfigError("notify must be a list of URLs")
    return tuple(dict.fromkeys(read_target(url, number) for number, url in enumerate(value, 1)))


def read_target(url: object, number: int) -> Target:
    """One URL; a bad one is named by its place, for it may carry a password."""
    try:
        plain = isinstance(url, str) and url.isascii() and url.isprintable() and " " not in url
        parts = urlsplit(url) if isinstance(url, str) and plain else None
        known = parts is not None and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if parts is not None and known and parts.username is None:
            return Target(parts.geturl())
    except ValueError:
        pass
    raise ConfigError(f"notify, entry {number}, must be an http or https URL without user and password")


def read_key(path: Path) -> bytes:
    """The shared key, without the line's end."""
    try:
        key = path.read_bytes().strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError(f"the key {path} can be read by others; its mode must be 0600")
    if len(key) < KEY_BYTES:
        raise ConfigError(f"the key {path} is shorter than {KEY_BYTES} bytes")
    return key
