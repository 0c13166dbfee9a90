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

from components.schema import ColumnError, check_columns, check_primary_key

FILE_NAME = "evenkeel.toml"
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,47}")
URL_PATH = re.compile(r"/[!-~]*")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_DEFAULT = object()


class ArtifactError(ValueError):
    """An artifact or manifest that cannot be used; the message is one sentence for the person who made it."""


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
class Table:
    """A table of the service: its columns' CQL types, and the primary key, whose first column is the partition key."""

    name: str
    columns: Mapping[str, str]
    primary_key: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain data: {"name", "columns", "primary_key"}."""
        return {"name": self.name, "columns": dict(self.columns), "primary_key": list(self.primary_key)}


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


class Fields:
    """Typed look-ups in one TOML table; each refuses a bad value by the key's full name, in one sentence."""

    def __init__(self, values: object, where: str) -> None:
        self.where = where
        if not isinstance(values, dict):
            raise ArtifactError(f"{FILE_NAME}: {where} is {values!r}; it must be a table")
        self.values: dict[str, Any] = values

    def refuse(self, key: str, problem: str) -> ArtifactError:
        """Return the error for `key`, for the caller to raise."""
        return ArtifactError(f"{FILE_NAME}: {self.where + '.' if self.where else ''}{key} {problem}")

    def refuse_unknown(self, known: tuple[str, ...]) -> None:
        """Refuse any key that is not in `known`."""
        for key in self.values:
            if key not in known:
                raise self.refuse(key, f"is not a key that this place knows; it knows {', '.join(known)}")

    def of_type(self, key: str, kind: type | tuple[type, ...], what: str, default: Any = NO_DEFAULT) -> Any:
        """Return the value of `key` if it is of `kind` (a bool is no int), or the default where there is none."""
        value = self.values.get(key, default)
        if value is NO_DEFAULT:
            raise self.refuse(key, f"is missing; give {what}")
        wrong_bool = isinstance(value, bool) and kind is int
        if value is not default and (wrong_bool or not isinstance(value, kind)):
            raise self.refuse(key, f"is {value!r}; give {what}")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], what: str, default: Any = NO_DEFAULT) -> str:
        """Return a string of the given form."""
        value: str = self.of_type(key, str, what, default)
        if not pattern.fullmatch(value):
            raise self.refuse(key, f"is {value!r}; give {what}")
        return value

    def whole(self, key: str, low: int, high: int, what: str, default: Any = NO_DEFAULT) -> int:
        """Return a whole number from `low` to `high`."""
        value: int = self.of_type(key, int, what, default)
        if not low <= value <= high:
            raise self.refuse(key, f"is {value}; give {what}, from {low} to {high}")
        return value

    def tables(self, key: str) -> list[Fields]:
        """Return an array of tables, each ready for look-ups; none where the key is absent."""
        values = self.of_type(key, list, f"one or more [[{key}]] tables", [])
        return [Fields(value, f"{key}[{number}]") for number, value in enumerate(values, 1)]


def parse_manifest(text: str) -> Manifest:
    """Return the manifest that `text`, TOML, holds; raises ArtifactError naming the first key that is wrong."""
    try:
        top = Fields(tomllib.loads(text), "")
    except tomllib.TOMLDecodeError as error:
        raise ArtifactError(f"{FILE_NAME} is not TOML: {error}") from None
    top.refuse_unknown(("name", "version", "start", "http", "limits", "smoke", "tables"))
    return Manifest(
        name=top.matching("name", NAME, "lower-case letters, digits and dashes, such as item-service"),
        version=top.matching("version", VERSION, "a version such as 1.0.0"),
        start=read_start(top),
        http=read_http(Fields(top.of_type("http", dict, "a table [http]", {}), "http")),
        limits=read_limits(Fields(top.of_type("limits", dict, "a table [limits]"), "limits")),
        smoke=read_smoke(top.tables("smoke")),
        tables=read_tables(top),
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


def read_tables(top: Fields) -> tuple[Table, ...]:
    """Return the service's tables, their names unique."""
    tables: list[Table] = []
    for entry in top.tables("tables"):
        table = read_table(entry)
        if table.name in {other.name for other in tables}:
            raise entry.refuse("name", f"is {table.name!r}, which another table has already; make it unique")
        tables.append(table)
    return tuple(tables)


def read_table(entry: Fields) -> Table:
    """Return one table whose columns and primary key fit together."""
    entry.refuse_unknown(("name", "columns", "primary_key"))
    name = entry.matching("name", IDENTIFIER, "lower-case letters, digits and underscores, at most 48, such as item")
    columns = entry.of_type("columns", dict, 'a table of column = CQL type, such as {id = "uuid"}')
    key = entry.of_type("primary_key", list, 'a list of columns, such as ["id"]')
    try:
        check_columns(columns)
        check_primary_key(key, columns)
    except ColumnError as error:
        raise entry.refuse(error.key, str(error)) from None
    return Table(name, dict(columns), tuple(key))
