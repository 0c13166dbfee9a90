"""What is asked for: the JSON document on standard input as frozen dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.database.errors import RequestError

NAME = re.compile(r"^[a-z][a-z0-9_]{0,47}$")
DATACENTER = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,47}$")
TYPE = re.compile(r"^[a-z][a-z0-9_<>, ]*$")


@dataclass(frozen=True)
class TableSpec:
    """A table: columns with their CQL types in order; the key's first column is the partition key.

    `static` are the columns that a partition has once.
    """

    name: str
    columns: Mapping[str, str]
    primary_key: tuple[str, ...]
    static: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ring:
    """Where the ring is: the addresses of its nodes, the datacenter they are in, and how long to wait for them.

    `slowness` is how many times longer than usual they may take over a single request.
    """

    contact_points: tuple[str, ...]
    datacenter: str
    admin_password: str = field(repr=False)
    port: int = 9042
    deadline_seconds: float = 300.0
    slowness: int = 1


@dataclass(frozen=True)
class Request:
    """The wanted state. `seed_rows` rows are put into the first table when they were not before."""

    ring: Ring
    app_password: str = field(repr=False)
    keyspace: str
    replication_factor: int
    tables: tuple[TableSpec, ...]
    seed_rows: int


def read_ring(document: Mapping[str, Any]) -> Ring:
    """Return where the ring is; RequestError names a missing or wrong value."""
    points = _value(document, "contact_points", list)
    if not points or not all(isinstance(point, str) and point for point in points):
        raise RequestError("contact_points must be a list of at least one node's address")
    return Ring(
        contact_points=tuple(points),
        datacenter=_name(document, "datacenter", DATACENTER),
        admin_password=_text(document, "admin_password"),
        port=_whole(document, "port", 1, 65_535, 9042),
        deadline_seconds=float(_whole(document, "deadline_seconds", 1, 604_800, 300)),
        slowness=_whole(document, "slowness", 1, 60, 1),
    )


def read_request(document: Mapping[str, Any]) -> Request:
    """Return the wanted state; RequestError names a missing or wrong value."""
    ring = read_ring(document)
    factor = _whole(document, "replication_factor", 1, 50)
    if factor > len(ring.contact_points):
        nodes = len(ring.contact_points)
        raise RequestError(f"replication_factor is {factor}, but there are {nodes} nodes; set it to {nodes} or less")
    tables = tuple(read_table(table) for table in _value(document, "tables", list))
    names = [table.name for table in tables]
    if len(set(names)) < len(names):
        raise RequestError(f"a table is named twice: {', '.join(names)}")
    rows = _whole(document, "seed_rows", 0, 100_000_000, 0)
    if rows and not tables:
        raise RequestError("seed_rows is set, but there is no table to put the rows into")
    app_password = _text(document, "app_password")
    return Request(ring, app_password, _name(document, "keyspace", NAME), factor, tables, rows)


def read_table(document: object) -> TableSpec:
    """Return one table of the manifest, as {"name", "columns", "primary_key"}, "static" too where there is any."""
    if not isinstance(document, Mapping):
        raise RequestError(f"a table is {document!r}; it must be an object")
    name = _name(document, "name", NAME)
    columns = _value(document, "columns", dict)
    for column, kind in columns.items():
        if not (NAME.match(column) and isinstance(kind, str) and TYPE.match(kind)):
            raise RequestError(f"table {name}: column {column!r} of type {kind!r} is not lower-case CQL")
    key = _value(document, "primary_key", list)
    missing = [column for column in key if column not in columns]
    if not key or missing:
        raise RequestError(f"table {name}: primary_key must name its columns, and {missing or 'it is empty'}")
    static = document.get("static", [])
    if not isinstance(static, list) or any(column not in columns or column in key for column in static):
        raise RequestError(f"table {name}: static is {static!r}; it must name columns outside the key")
    return TableSpec(name, dict(columns), tuple(key), tuple(static))


def _value(document: Mapping[str, Any], key: str, kind: type) -> Any:
    if not isinstance(document.get(key), kind):
        raise RequestError(f"{key} is {document.get(key)!r}; it must be a {kind.__name__}")
    return document[key]


def _text(document: Mapping[str, Any], key: str) -> str:
    """Return a text that is not empty; a secret, so a bad value is not repeated."""
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise RequestError(f"{key} is missing; it must be a text that is not empty")
    return value


def _name(document: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not pattern.match(value):
        raise RequestError(f"{key} is {value!r}; it must be a name of letters, digits and _, at most 48 of them")
    return value


def _whole(document: Mapping[str, Any], key: str, least: int, most: int, default: int | None = None) -> int:
    value = document.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RequestError(f"{key} is {value!r}; it must be a whole number from {least} to {most}")
    return value
