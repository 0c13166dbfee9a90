"""A user's own service, from a TOML file (docs/experiment.md describes every key).

    name = "greeter"
    versions = ["1.0.0", "1.1.0", "1.2.0"]   # released in turn
    failing = "1.3.0-broken"                 # for the scenario «failing»

    [[requests]]
    share = 80
    path = "/greeting/{number}"
    contains = "hello"

    [[levels]]
    name = "usual"
    workers = 50
    rate = 80

A key that is not described is refused, so a typing error cannot hide.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from math import isfinite
from pathlib import Path
from typing import Any

from scripts.experiment.errors import SettingsError
from scripts.experiment.plan import MOST_RATE, MOST_WORKERS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LEVEL_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
TOP = {"name", "versions", "failing", "requests", "levels"}
REQUEST = {"share", "method", "path", "headers", "body", "status", "contains"}
LEVEL = {"name", "workers", "rate"}


@dataclass(frozen=True)
class Service:
    """What is asked of a service and what its versions are. `levels` are {name: (workers, requests per second)}."""

    name: str
    versions: tuple[str, ...]
    failing: str | None
    requests: tuple[Mapping[str, Any], ...]
    levels: Mapping[str, tuple[int, int]]


def read_service(path: Path) -> Service:
    """Read the file. Raises SettingsError with the file, the key and what is wrong with it."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    try:
        return parse_service(document)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None


def parse_service(document: Mapping[str, Any]) -> Service:
    """The service that the document describes. Raises ValueError with one sentence."""
    allow("the file", document, TOP)
    versions = text_list(document, "versions")
    if len(versions) < 2:
        raise ValueError("versions must name two versions or more, which are released in turn")
    requests = [parse_request(number, entry) for number, entry in enumerate(tables(document, "requests"), 1)]
    if not requests:
        raise ValueError("there must be a [[requests]]")
    levels = dict(parse_level(number, entry) for number, entry in enumerate(tables(document, "levels"), 1))
    failing = document.get("failing")
    if failing is not None and not isinstance(failing, str):
        raise ValueError("failing must be a version, such as «2.0.0»")
    refuse_contradictions(requests)
    return Service(text(document, "name", "the file"), versions, failing, tuple(requests), levels)


def parse_request(number: int, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request as load/targets.py takes it."""
    where = f"[[requests]] {number}"
    allow(where, entry, REQUEST)
    method = str(entry.get("method", "GET")).upper()
    if method not in METHODS:
        raise ValueError(f"{where}: method must be one of {', '.join(METHODS)}, not «{method}»")
    path = text(entry, "path", where)
    if not path.startswith("/") or re.search(r"\s", path):
        raise ValueError(f"{where}: path must begin with «/» and have no blanks")
    headers = entry.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError(f"{where}: headers must be a table of texts")
    body, contains = entry.get("body"), entry.get("contains")
    if not isinstance(body, str | dict | list | None):
        raise ValueError(f"{where}: body must be a text, or a table or list that is sent as JSON")
    if not isinstance(contains, str | None):
        raise ValueError(f"{where}: contains must be a text")
    if "{number}" in (contains or "") and "{number}" not in path:
        raise ValueError(
            f"{where}: contains has {{number}} and path has not: answers are told apart by method and path; write it in"
            " path too, or leave it out of contains"
        )
    refuse_no_json(f"{where}: body", body)
    return {
        "share": whole(entry, "share", where, 1, 1000, 1),
        "method": method,
        "path": path,
        "headers": headers,
        "body": body,
        "status": whole(entry, "status", where, 100, 599, 200),
        "contains": contains,
    }


def refuse_no_json(key: str, value: Any) -> None:
    """Refuse what TOML has and JSON has not, dates and endless numbers, by the key that leads to it."""
    if isinstance(value, dict):
        for name, part in value.items():
            refuse_no_json(f"{key}.{name}", part)
    elif isinstance(value, list):
        for number, part in enumerate(value, 1):
            refuse_no_json(f"{key}[{number}]", part)
    elif isinstance(value, date | time) or (isinstance(value, float) and not isfinite(value)):
        raise ValueError(f"{key} is {value}, which JSON cannot hold: write it as a text, in quotes")


def parse_level(number: int, entry: Mapping[str, Any]) -> tuple[str, tuple[int, int]]:
    """A level's name, and its workers and rate."""
    where = f"[[levels]] {number}"
    allow(where, entry, LEVEL)
    name = text(entry, "name", where)
    if not LEVEL_NAME.fullmatch(name):
        raise ValueError(f"{where}: name must be of small letters and digits, a letter first, 20 at the most")
    if re.fullmatch(r"knee\d+", name):
        raise ValueError(f"{where}: name «{name}» is taken by shares of the knee; choose another one")
    return name, (whole(entry, "workers", where, 1, MOST_WORKERS), whole(entry, "rate", where, 1, MOST_RATE))


def refuse_contradictions(requests: list[Mapping[str, Any]]) -> None:
    """One and the same request cannot have two right answers: which one it got could not be told."""
    known: dict[tuple[str, str], tuple[Any, Any]] = {}
    for request in requests:
        key, right = (request["method"], request["path"]), (request["status"], request["contains"])
        if known.setdefault(key, right) != right:
            raise ValueError(f"two [[requests]] are {key[0]} {key[1]} and expect different answers")


def allow(where: str, entry: Mapping[str, Any], keys: set[str]) -> None:
    """Refuse keys that mean nothing."""
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be a table")
    if unknown := sorted(set(entry) - keys):
        raise ValueError(f"{where} has {', '.join(unknown)}; known are {', '.join(sorted(keys))}")


def tables(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of tables."""
    found = document.get(key, [])
    if not isinstance(found, list):
        raise ValueError(f"{key} must be written as [[{key}]]")
    return found


def text(entry: Mapping[str, Any], key: str, where: str) -> str:
    """A text that must be there."""
    found = entry.get(key)
    if not isinstance(found, str) or not found.strip():
        raise ValueError(f"{where}: {key} must be a text")
    return found


def text_list(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts that must be there."""
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(part, str) and part for part in found):
        raise ValueError(f"{key} must be a list of texts")
    return tuple(dict.fromkeys(found))


def whole(  # noqa: PLR0917  # reads as «share from 1 to 1000»
    entry: Mapping[str, Any], key: str, where: str, least: int, most: int, default: int | None = None
) -> int:
    """A whole number between bounds."""
    found = entry.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise ValueError(f"{where}: {key} must be a whole number from {least} to {most}")
    return found
