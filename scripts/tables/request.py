"""The data document and the ring as frozen dataclasses; whatever is missing or wrong is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.database.errors import RequestError
from scripts.database.request import NAME, Ring
from scripts.database.request import read_ring as read_ring_alone
from scripts.tables.errors import MisuseError


@dataclass(frozen=True)
class Pair:
    """A regular or static column that lives on: its name and CQL type in the source and in the target table."""

    source: str
    target: str
    source_type: str
    target_type: str


@dataclass(frozen=True)
class Added:
    """A column that only the target has; `default` is None where rows that are copied have none."""

    target: str
    type: str
    default: Any = None


@dataclass(frozen=True)
class TableChange:
    """One table of the release: `source` is the old version's, `target` the new one's (physical names).

    `key` is the whole primary key, `partition` its first part; both tables have the same. `pairs` has no key column.
    """

    name: str
    source: str
    target: str
    key: tuple[str, ...]
    partition: tuple[str, ...]
    source_columns: Mapping[str, str]
    target_columns: Mapping[str, str]
    pairs: tuple[Pair, ...]
    added: tuple[Added, ...] = ()
    dropped: tuple[str, ...] = ()
    statics: tuple[str, ...] = ()

    @property
    def clustering(self) -> tuple[str, ...]:
        """The rest of the key."""
        return self.key[len(self.partition) :]


@dataclass(frozen=True)
class Data:
    """What a release changes; `number` is the release's, `names` physical names by logical ones."""

    keyspace: str
    release: str
    number: int
    mirror: str
    names: Mapping[str, str]
    previous_names: Mapping[str, str]
    tables: tuple[TableChange, ...]
    created: tuple[Mapping[str, Any], ...] = ()


def read_ring(document: Mapping[str, Any]) -> Ring:
    """Return where the ring is, from the key "ring"."""
    return read_ring_alone(value(document, "ring", dict))


def read_data(document: Mapping[str, Any]) -> Data:
    """Return the data document, from the key "data"."""
    data = value(document, "data", dict)
    return Data(
        keyspace=name(data, "keyspace"),
        release=value(data, "release", str),
        number=value(data, "number", int),
        mirror=str(data.get("mirror", "trigger")),
        names=dict(data.get("names", {})),
        previous_names=dict(data.get("previous_names", {})),
        tables=tuple(read_change(table) for table in value(data, "tables", list)),
        created=tuple(data.get("created", ())),
    )


def read_change(table: Mapping[str, Any]) -> TableChange:
    """Return one table of the data document."""
    key, partition = tuple(value(table, "key", list)), tuple(value(table, "partition", list))
    if not partition or key[: len(partition)] != partition:
        raise MisuseError(f"partition {list(partition)} is not the beginning of the key {list(key)}")
    return TableChange(
        name=name(table, "name"),
        source=name(table, "source"),
        target=name(table, "target"),
        key=key,
        partition=partition,
        source_columns=dict(value(table, "source_columns", dict)),
        target_columns=dict(value(table, "target_columns", dict)),
        pairs=tuple(
            Pair(name(pair, "source"), name(pair, "target"), value(pair, "from", str), value(pair, "to", str))
            for pair in value(table, "pairs", list)
        ),
        added=tuple(
            Added(name(added, "target"), value(added, "type", str), added.get("default"))
            for added in table.get("added", ())
        ),
        dropped=tuple(table.get("dropped", ())),
        statics=tuple(table.get("statics", ())),
    )


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
