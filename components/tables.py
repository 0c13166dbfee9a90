"""A manifest's tables, and how each comes from the same table of the version before it; pure Python.

What a manifest can be wrong about by itself is refused here, when it is packed. Whether it fits the tables that are
live is for components/migration.py, in preflight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.fields import Fields
from components.schema import ColumnError, check_columns, check_primary_key

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,47}")
WHOLE = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "varint": 0}  # bits, 0 for any number of them


@dataclass(frozen=True)
class Table:
    """A table of the service: its columns' CQL types, and the primary key, whose first column is the partition key.

    `static` are the columns that a partition has once.
    """

    name: str
    columns: Mapping[str, str]
    primary_key: tuple[str, ...]
    static: tuple[str, ...] = ()

    @property
    def partition(self) -> tuple[str, ...]:
        """The key's columns that tell partitions apart."""
        return self.primary_key[:1]

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain data: {"name", "columns", "primary_key"}, and "static" where there are any."""
        plain = {"name": self.name, "columns": dict(self.columns), "primary_key": list(self.primary_key)}
        return plain | ({"static": list(self.static)} if self.static else {})

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Table:
        """Return a table from what `as_dict` gives, or from a manifest's TOML that was accepted."""
        return Table(plain["name"], dict(plain["columns"]), tuple(plain["primary_key"]), tuple(plain.get("static", ())))


@dataclass(frozen=True)
class Addition:
    """A column that the version before does not have; copied rows get `default`, none where it is None."""

    type: str
    default: str | int | float | bool | None = None


@dataclass(frozen=True)
class Migration:
    """How a table comes from the one of the version before it; `rename` is {old: new}.

    Columns are named as in the new table, dropped ones as in the old.
    """

    table: str
    add: Mapping[str, Addition] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    widen: Mapping[str, str] = field(default_factory=dict)


def plain_type(kind: str) -> str:
    """Return a CQL type as Cassandra writes it: a blank after a comma; `varchar` is another word for text."""
    return re.sub(r"\bvarchar\b", "text", kind.replace(" ", "").lower()).replace(",", ", ")


def read_tables(entries: list[Fields]) -> tuple[Table, ...]:
    """Return the service's tables, their names unique."""
    tables: list[Table] = []
    for entry in entries:
        table = read_table(entry)
        if table.name in {other.name for other in tables}:
            raise entry.refuse("name", f"is {table.name!r}, which another table has already; make it unique")
        tables.append(table)
    return tuple(tables)


def read_table(entry: Fields) -> Table:
    """Return one table whose columns and primary key fit together."""
    entry.refuse_unknown(("name", "columns", "primary_key", "static"))
    name = entry.matching("name", IDENTIFIER, "lower-case letters, digits and underscores, at most 48, such as item")
    columns = entry.of_type("columns", dict, 'a table of column = CQL type, such as {id = "uuid"}')
    key = entry.of_type("primary_key", list, 'a list of columns, such as ["id"]')
    try:
        check_columns(columns)
        check_primary_key(key, columns)
    except ColumnError as error:
        raise entry.refuse(error.key, str(error)) from None
    return Table(name, dict(columns), tuple(key), read_static(entry, columns, key))


def read_static(entry: Fields, columns: Mapping[str, str], key: list[str]) -> tuple[str, ...]:
    """Return the static columns: outside the key, and only where a partition can have several rows."""
    static = entry.of_type("static", list, "a list of columns that a partition has once", [])
    for name in static:
        if name not in columns or name in key:
            raise entry.refuse("static", f"names {name!r}, which is not a column outside the key")
    if static and len(key) < 2:
        raise entry.refuse("static", "needs a primary_key of two columns or more: otherwise each row is a partition")
    return tuple(static)


def read_migrations(entries: list[Fields], tables: tuple[Table, ...]) -> tuple[Migration, ...]:
    """Return the migrations, at most one a table, each of which ends in the table that the manifest describes."""
    migrations: list[Migration] = []
    for entry in entries:
        entry.refuse_unknown(("table", "add", "rename", "drop", "widen"))
        name = entry.of_type("table", str, "the name of one of [[tables]]")
        table = next((table for table in tables if table.name == name), None)
        if table is None:
            raise entry.refuse("table", f"is {name!r}, which is none of [[tables]]; a table that goes is left alone")
        if name in {other.table for other in migrations}:
            raise entry.refuse("table", f"is {name!r}, which has a migration already; put both into one")
        migrations.append(read_migration(entry, table))
    return tuple(migrations)


def read_migration(entry: Fields, table: Table) -> Migration:
    """Return one migration that agrees with its table."""
    migration = Migration(
        table=table.name,
        add=read_additions(entry, table),
        rename=read_names(entry, "rename", 'a table of old = "new"'),
        drop=read_drop(entry),
        widen=read_names(entry, "widen", 'a table of column = "wider type"'),
    )
    refuse_doubled(entry, migration)
    for old, new in migration.rename.items():
        if new not in table.columns or old in table.columns:
            why = "still has the old name" if old in table.columns else "has no column of the new name"
            raise entry.refuse("rename", f"makes {old} {new}, but the table {table.name} in [[tables]] {why}")
    for name in migration.drop:
        if name in table.columns:
            raise entry.refuse("drop", f"names {name}, but the table {table.name} in [[tables]] still has it")
    for name, kind in migration.widen.items():
        if name not in table.columns:
            raise entry.refuse("widen", f"names {name}, which the table {table.name} in [[tables]] does not have")
        if plain_type(kind) != plain_type(table.columns[name]):
            raise entry.refuse("widen", f"makes {name} {kind}, but [[tables]] says it is {table.columns[name]}")
    return migration


def read_names(entry: Fields, key: str, what: str) -> dict[str, str]:
    """Return a TOML table of texts by column."""
    names = entry.of_type(key, dict, what, {})
    for name, value in names.items():
        if not isinstance(value, str):
            raise entry.refuse(key, f"has {name} = {value!r}; give {what}")
    return dict(names)


def read_drop(entry: Fields) -> tuple[str, ...]:
    """Return the columns that go."""
    drop = entry.of_type("drop", list, 'a list of columns, such as ["tags"]', [])
    if not all(isinstance(name, str) for name in drop):
        raise entry.refuse("drop", f'is {drop!r}; give a list of columns, such as ["tags"]')
    return tuple(drop)


def read_additions(entry: Fields, table: Table) -> dict[str, Addition]:
    """Return the columns that are added."""
    what = 'a table such as {category = {type = "text", default = "general"}}; default can be left out'
    additions: dict[str, Addition] = {}
    for name, value in entry.of_type("add", dict, what, {}).items():
        if not isinstance(value, dict) or not isinstance(value.get("type"), str) or value.keys() - {"type", "default"}:
            raise entry.refuse("add", f"has {name} = {value!r}; give {what}")
        if name not in table.columns:
            raise entry.refuse("add", f"names {name}, which the table {table.name} in [[tables]] does not have")
        if plain_type(value["type"]) != plain_type(table.columns[name]):
            raise entry.refuse("add", f"makes {name} {value['type']}, but [[tables]] says it is {table.columns[name]}")
        additions[name] = Addition(plain_type(value["type"]), read_default(entry, table, name, value))
    return additions


def read_default(entry: Fields, table: Table, name: str, value: Mapping[str, Any]) -> Any:
    """Return the default of an added column, None without one."""
    if "default" not in value:
        return None
    kind, default = plain_type(value["type"]), value["default"]
    if name in table.static:
        raise entry.refuse("add", f"gives {name} a default, but it is static; add it without one")
    if "<" in kind:
        raise entry.refuse("add", f"gives {name} a default, but {kind} is no plain value; add it without one")
    if kind not in ("text", "ascii", "boolean", "float", "double", *WHOLE):
        raise entry.refuse(
            "add", f"gives {name} a default, which columns of type {kind} cannot have; add it without one"
        )
    if not is_of(kind, default):
        raise entry.refuse("add", f"gives {name} the default {default!r}, which is no {kind}")
    return float(default) if kind in ("float", "double") else default


def is_of(kind: str, value: object) -> bool:
    """Tell whether a TOML value is one of a CQL type that defaults can have."""
    if kind in ("text", "ascii"):
        return isinstance(value, str) and (kind == "text" or value.isascii())
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind in WHOLE:
        bits = WHOLE[kind]
        return isinstance(value, int) and (not bits or -(1 << bits - 1) <= value < 1 << bits - 1)
    largest = 3.4028234663852886e38 if kind == "float" else math.inf
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= largest


def refuse_doubled(entry: Fields, migration: Migration) -> None:
    """Refuse a migration that names a column twice; a renamed column can be widened under its new name."""
    once = {
        "add": [*migration.add],
        "rename": [*migration.rename, *migration.rename.values()],
        "drop": [*migration.drop],
        "widen": [name for name in migration.widen if name not in migration.rename.values()],
    }
    seen: set[str] = set()
    for key, names in once.items():
        for name in names:
            if name in seen:
                raise entry.refuse(key, f"names {name}, which the migration of {migration.table} names twice")
            seen.add(name)
