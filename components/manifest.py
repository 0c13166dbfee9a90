"""An artifact's manifest, `evenkeel.toml`, as frozen dataclasses; every bad value is refused by name.

docs/application.md is the reference for the people who write manifests. Pure Python without Pulumi: the program,
the packer (scripts/artifact) and the release's stages read manifests through here, so that they cannot disagree.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.fields import FILE_NAME, ArtifactError, Fields
from components.tables import Migration, Table, read_migrations, read_tables

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
URL_PATH = re.compile(r"/[!-~]*")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
__all__ = ["FILE_NAME", "ArtifactError", "Limits", "Manifest", "SmokeCheck", "Table", "parse_manifest"]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class HttpContract:
    """Where the service listens and answers: the port's environment variable, and three paths."""

    port_variable: str = "PORT"
    health: str = "/health"
    ready: str = "/ready"
    version: str = "/version"


@dataclass(frozen=True)
class Limits:
    """What one running slot may use: memory in MiB, seconds to become ready, seconds to stop gracefully."""

    memory_mb: int
    start_seconds: int
    stop_seconds: int


@dataclass(frozen=True)
class SmokeCheck:
    """One request to a new instance and what its answer must be; checks run in order.

    `body` is sent as JSON unless it is a string, which is sent as it is. `contains` must be part of the answer's
    text; `json` must be part of the answer's JSON (every key given, equal). `capture` keeps values of the answer for
    later paths: {"id": "id"} keeps the answer's field `id` for `/item/{id}`; dots reach into objects and lists. An
    answer that takes longer than `max_ms` is wrong, whatever it says.
    """

    name: str
    method: str
    path: str
    status: int
    body: str | Mapping[str, Any] | None = None
    contains: str | None = None
    json: Mapping[str, Any] | None = None
    capture: Mapping[str, str] = field(default_factory=dict)
    max_ms: int = 2000


@dataclass(frozen=True)
class Manifest:
    """What an artifact says about itself: who it is, how to start it, how to ask it, what it may use, what it needs."""

    name: str
    version: str
    start: tuple[str, ...]
    http: HttpContract
    limits: Limits
    smoke: tuple[SmokeCheck, ...] = ()
    tables: tuple[Table, ...] = ()
    migrations: tuple[Migration, ...] = ()


def parse_manifest(text: str) -> Manifest:
    """Return the manifest that `text`, TOML, holds; raises ArtifactError naming the first key that is wrong."""
    try:
        top = Fields(tomllib.loads(text), "")
    except tomllib.TOMLDecodeError as error:
        raise ArtifactError(f"{FILE_NAME} is not TOML: {error}") from None
    top.refuse_unknown(("name", "version", "start", "http", "limits", "smoke", "tables", "migrations"))
    tables = read_tables(top.tables("tables"))
    return Manifest(
        name=top.matching("name", NAME, "lower-case letters, digits and dashes, such as item-service"),
        version=top.matching("version", VERSION, "a version such as 1.0.0"),
        start=read_start(top),
        http=read_http(Fields(top.of_type("http", dict, "a table [http]", {}), "http")),
        limits=read_limits(Fields(top.of_type("limits", dict, "a table [limits]"), "limits")),
        smoke=read_smoke(top.tables("smoke")),
        tables=tables,
        migrations=read_migrations(top.tables("migrations"), tables),
    )


def read_start(top: Fields) -> tuple[str, ...]:
    """Return the start command, argument by argument."""
    what = 'a list of strings, the program first, such as ["node", "server.js"]'
    start = top.of_type("start", list, what)
    if not start or not all(isinstance(part, str) and part and "\0" not in part for part in start):
        raise top.refuse("start", f"is {start!r}; give {what}")
    return tuple(start)


def read_http(http: Fields) -> HttpContract:
    """Return how the service is reached; every key has a default."""
    http.refuse_unknown(("port_variable", "health", "ready", "version"))
    path = "a path such as /ready"
    return HttpContract(
        port_variable=http.matching("port_variable", VARIABLE, "an environment variable's name", "PORT"),
        health=http.matching("health", URL_PATH, path, "/health"),
        ready=http.matching("ready", URL_PATH, path, "/ready"),
        version=http.matching("version", URL_PATH, path, "/version"),
    )


def read_limits(limits: Fields) -> Limits:
    """Return what a running slot may use."""
    limits.refuse_unknown(("memory_mb", "start_seconds", "stop_seconds"))
    return Limits(
        memory_mb=limits.whole("memory_mb", 8, 1 << 20, "the most memory it may use in MiB"),
        start_seconds=limits.whole("start_seconds", 1, 3600, "the seconds within which it is ready"),
        stop_seconds=limits.whole("stop_seconds", 1, 3600, "the seconds within which it ends after SIGTERM"),
    )


def read_smoke(entries: list[Fields]) -> tuple[SmokeCheck, ...]:
    """Return the smoke checks in order; a path may use only what an earlier check captured."""
    captured: set[str] = set()
    checks: list[SmokeCheck] = []
    for entry in entries:
        check = read_check(entry)
        for used in PLACEHOLDER.findall(check.path):
            if used not in captured:
                raise entry.refuse("path", f"uses {{{used}}}, which no earlier check captures")
        if check.name in {other.name for other in checks}:
            raise entry.refuse("name", f"is {check.name!r}, which another check has already; make it unique")
        captured |= set(check.capture)
        checks.append(check)
    return tuple(checks)


def read_check(entry: Fields) -> SmokeCheck:
    """Return one smoke check."""
    entry.refuse_unknown(("name", "method", "path", "body", "status", "contains", "json", "capture", "max_ms"))
    method = entry.of_type("method", str, f"one of {', '.join(METHODS)}", "GET")
    if method not in METHODS:
        raise entry.refuse("method", f"is {method!r}; give one of {', '.join(METHODS)}")
    capture = entry.of_type("capture", dict, 'a table such as {id = "id"}', {})
    for name, source in capture.items():
        if not VARIABLE.fullmatch(name) or not isinstance(source, str) or not source:
            raise entry.refuse("capture", f"has {name} = {source!r}; give a name and a field of the answer's JSON")
    return SmokeCheck(
        name=entry.matching("name", re.compile(r"\S.{0,99}"), "a short text that tells what is checked"),
        method=method,
        path=entry.matching("path", URL_PATH, "a path such as /item/{id}"),
        status=entry.whole("status", 100, 599, "the expected HTTP status"),
        body=entry.of_type("body", (str, dict), "a table, sent as JSON, or a string", None),
        contains=entry.of_type("contains", str, "a text that the answer must contain", None),
        json=entry.of_type("json", dict, "a table that the answer's JSON must contain", None),
        capture=capture,
        max_ms=entry.whole("max_ms", 1, 5000, "the milliseconds within which it is answered", SmokeCheck.max_ms),
    )
