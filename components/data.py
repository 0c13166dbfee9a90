"""The data document of a release: what it changes about the tables, as frozen dataclasses and as JSON; pure Python.

components/migration.py makes it in preflight; it travels in preflight's verdict and in the journal, and whoever moves
data works by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def comparable_type(kind: str) -> str:
    """Return a CQL type as it is compared: without blanks; `varchar` is another word for `text`."""
    return kind.replace(" ", "").replace("varchar", "text")


@dataclass(frozen=True)
class Pair:
    """A column outside the key that lives on: its name and CQL type in the source and in the target table."""

    source: str
    target: str
    source_type: str
    target_type: str

    def as_dict(self) -> dict[str, Any]:
        """Return the pair as plain data."""
        return {"source": self.source, "target": self.target, "from": self.source_type, "to": self.target_type}

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Pair:
        """Return the pair that `as_dict` gave."""
        return Pair(plain["source"], plain["target"], plain["from"], plain["to"])


@dataclass(frozen=True)
class Added:
    """A column that only the target has, and what copied rows get in it: nothing where `default` is None."""

    target: str
    type: str
    default: str | int | float | bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the column as plain data."""
        return {"target": self.target, "type": self.type, "default": self.default}

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Added:
        """Return the column that `as_dict` gave."""
        return Added(plain["target"], plain["type"], plain.get("default"))


@dataclass(frozen=True)
class TableChange:
    """One table: `source` is the live version's, `target` the new one's (physical names); the key is the same in both.

    `key` is the whole primary key, `partition` its first part. `pairs` and `dropped` have no key column; `statics` are
    the target's static columns.
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

    @property
    def is_additive(self) -> bool:
        """Whether the old table's files can be taken over as they are: columns come, without values, and none goes."""
        same = all(pair.source == pair.target and pair.source_type == pair.target_type for pair in self.pairs)
        return same and not self.dropped and all(added.default is None for added in self.added)

    def as_dict(self) -> dict[str, Any]:
        """Return the change as plain data."""
        return {
            "name": self.name,
            "source": self.source,
            "target": self.target,
            "key": list(self.key),
            "partition": list(self.partition),
            "source_columns": dict(self.source_columns),
            "target_columns": dict(self.target_columns),
            "pairs": [pair.as_dict() for pair in self.pairs],
            "added": [added.as_dict() for added in self.added],
            "dropped": list(self.dropped),
            "statics": list(self.statics),
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> TableChange:
        """Return the change that `as_dict` gave."""
        return TableChange(
            name=plain["name"],
            source=plain["source"],
            target=plain["target"],
            key=tuple(plain["key"]),
            partition=tuple(plain["partition"]),
            source_columns=dict(plain["source_columns"]),
            target_columns=dict(plain["target_columns"]),
            pairs=tuple(Pair.from_dict(pair) for pair in plain["pairs"]),
            added=tuple(Added.from_dict(added) for added in plain.get("added", ())),
            dropped=tuple(plain.get("dropped", ())),
            statics=tuple(plain.get("statics", ())),
        )


@dataclass(frozen=True)
class Created:
    """A table that the live version does not have: made empty, as `target`."""

    name: str
    target: str
    key: tuple[str, ...]
    partition: tuple[str, ...]
    columns: Mapping[str, str]
    statics: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain data."""
        return {
            "name": self.name,
            "target": self.target,
            "key": list(self.key),
            "partition": list(self.partition),
            "columns": dict(self.columns),
            "statics": list(self.statics),
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Created:
        """Return the table that `as_dict` gave."""
        key, partition = tuple(plain["key"]), tuple(plain["partition"])
        statics = tuple(plain.get("statics", ()))
        return Created(plain["name"], plain["target"], key, partition, dict(plain["columns"]), statics)


@dataclass(frozen=True)
class Data:
    """What a release changes about the data; `names` are the new version's physical names by logical ones."""

    keyspace: str
    release: str
    number: int
    mirror: str
    names: Mapping[str, str]
    previous_names: Mapping[str, str]
    tables: tuple[TableChange, ...]
    created: tuple[Created, ...] = ()

    @property
    def paired(self) -> list[str]:
        """The physical names of the tables that are kept equal, each old one before its new one."""
        return [name for change in self.tables for name in (change.source, change.target)]

    def as_dict(self) -> dict[str, Any]:
        """Return the data document: JSON as it is kept in the journal."""
        return {
            "keyspace": self.keyspace,
            "release": self.release,
            "number": self.number,
            "mirror": self.mirror,
            "names": dict(self.names),
            "previous_names": dict(self.previous_names),
            "tables": [table.as_dict() for table in self.tables],
            "created": [table.as_dict() for table in self.created],
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Data:
        """Return the data that `as_dict` gave."""
        return Data(
            keyspace=plain["keyspace"],
            release=plain["release"],
            number=plain["number"],
            mirror=plain["mirror"],
            names=dict(plain["names"]),
            previous_names=dict(plain["previous_names"]),
            tables=tuple(TableChange.from_dict(table) for table in plain["tables"]),
            created=tuple(Created.from_dict(table) for table in plain.get("created", ())),
        )
