"""The data document and the ring as frozen dataclasses; whatever is missing or wrong is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.data import Data, TableChange
from scripts.database.errors import RequestError
from scripts.database.request import NAME, Ring
from scripts.database.request import read_ring as read_ring_alone
from scripts.tables.errors import MisuseError

DEFAULTS: Mapping[str, Any] = {"mirror": "trigger", "names": {}, "previous_names": {}}


def read_ring(document: Mapping[str, Any]) -> Ring:
    """Return where the ring is, from the key "ring"."""
    return read_ring_alone(value(document, "ring", dict))


def read_data(document: Mapping[str, Any]) -> Data:
    """Return the data document, from the key "data"."""
    data = value(document, "data", dict)
    name(data, "keyspace")
    value(data, "release", str)
    value(data, "number", int)
    for table in value(data, "tables", list):
        check_change(table)
    return Data.from_dict({**DEFAULTS, **data})


def read_change(table: Mapping[str, Any]) -> TableChange:
    """Return one table of the data document."""
    check_change(table)
    return TableChange.from_dict(table)


def check_change(table: Mapping[str, Any]) -> None:
    """Raise MisuseError or RequestError, naming it, where something of a table is missing or wrong."""
    key, partition = value(table, "key", list), value(table, "partition", list)
    if not partition or key[: len(partition)] != partition:
        raise MisuseError(f"partition {partition} is not the beginning of the key {key}")
    for part in ("name", "source", "target"):
        name(table, part)
    for part in ("source_columns", "target_columns"):
        value(table, part, dict)
    for pair in value(table, "pairs", list):
        for part in ("source", "target"):
            name(pair, part)
        for part in ("from", "to"):
            value(pair, part, str)
    for added in table.get("added", ()):
        name(added, "target")
        value(added, "type", str)


def value(document: Mapping[str, Any], key: str, kind: type) -> Any:
    """Return a value of the wanted kind."""
    found = document.get(key)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise MisuseError(f"{key} must be a {kind.__name__}, not a {type(found).__name__}")
    return found


def name(document: Mapping[str, Any], key: str) -> str:
    """Return a name that may stand in a CQL statement as it is."""
    found: str = value(document, key, str)
    if not NAME.match(found):
        raise RequestError(f"{key} is {found!r}; it must be a name of lower-case letters, digits and _")
    return found
