"""How the tables of a new version come from those that are live: the data document of a release, or why there is none.

Pure; the contract between a manifest and everything that moves data. `plan` is called in preflight, before anything is
touched, and its document (`Data.as_dict`) travels in preflight's verdict and in the journal. A migration is cell-local:
the key stays, and each cell of the new table comes from one cell of the old one. Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.data import Added, Created, Data, Pair, TableChange
from components.manifest import Manifest
from components.tables import Migration, Table, plain_type

# Each type with those that hold every one of its values unchanged.
WIDER = {
    "tinyint": ("smallint", "int", "bigint", "varint"),
    "smallint": ("int", "bigint", "varint"),
    "int": ("bigint", "varint"),
    "bigint": ("varint",),
    "float": ("double",),
    "ascii": ("text",),
    "timeuuid": ("uuid",),
}
LONGEST_NAME = 48
MIRRORS = ("trigger", "scan")
FORWARD, REVERSE = "forward", "reverse"
NONE = Migration("")  # of a manifest that does not say how a table comes from the live one


class MigrationError(ValueError):
    """A change of the data that cannot be made; the message is one sentence for the person who wants to release."""


def plan(
    live_tables: Iterable[Table],
    live_names: Mapping[str, str],
    new_manifest: Manifest,
    *,
    release_id: str,
    number: int,
    keyspace: str,
    mirror: str = "trigger",
    taken: Collection[str] = (),
) -> Data | None:
    """Return what the release changes about the data, None where both versions work on the same tables.

    `live_tables` are the live version's as its manifest has them, `live_names` what they are called in the database by
    name (their own names where there is none); `taken` are names of other tables that are in the keyspace. Raises
    MigrationError.
    """
    if mirror not in MIRRORS:
        raise MigrationError(f"the mirror is {mirror!r}; it is one of {', '.join(MIRRORS)}")
    live = {table.name: table for table in live_tables}
    previous = {name: live_names.get(name, name) for name in live}
    migrations = {migration.table: migration for migration in new_manifest.migrations}
    in_use = {*previous.values(), *live_names.values(), *taken}
    names: dict[str, str] = {}
    changes: list[TableChange] = []
    created: list[Created] = []
    for table in new_manifest.tables:
        old = live.get(table.name)
        if old is not None and is_same(old, table):
            names[table.name] = previous[table.name]
            continue
        target = table.name if old is None and table.name not in in_use else numbered(table.name, number)
        if old is None:
            created.append(made_new(table, target))
        else:
            derivation = Derivation(new_manifest.version, old, table, migrations.get(table.name, NONE), mirror)
            changes.append(derivation.change(previous[table.name], target))
        if target in {*in_use, *names.values()}:
            raise MigrationError(f"the table {table.name} would be kept as {target}, and there is a table of that name")
        names[table.name] = target
    if not changes and not created:
        return None
    return Data(keyspace, release_id, number, mirror, names, previous, tuple(changes), tuple(created))


def left_alone(live_tables: Iterable[Table], new_manifest: Manifest) -> tuple[str, ...]:
    """Return the live tables that the new version does not have: a release leaves them as they are."""
    kept = {table.name for table in new_manifest.tables}
    return tuple(table.name for table in live_tables if table.name not in kept)


def is_same(old: Table, new: Table) -> bool:
    """Tell whether two versions can work on one table."""
    return (
        plain_columns(old) == plain_columns(new)
        and old.primary_key == new.primary_key
        and (set(old.static) == set(new.static))
    )


def plain_columns(table: Table) -> dict[str, str]:
    """Return a table's columns in order with their types written one way."""
    return {name: plain_type(kind) for name, kind in table.columns.items()}


def numbered(name: str, number: int) -> str:
    """Return what a table is called in the database that the release of that number makes."""
    physical = f"{name}_r{number}"
    if len(physical) > LONGEST_NAME:
        raise MigrationError(
            f"the table {name} would be kept as {physical}, longer than the {LONGEST_NAME} letters that a name can have"
        )
    return physical


def made_new(table: Table, target: str) -> Created:
    """Return a table that the live version does not have."""
    return Created(table.name, target, table.primary_key, table.partition, plain_columns(table), table.static)


@dataclass(frozen=True)
class Derivation:
    """One table of the new version derived from the live one, by what its manifest's migration says."""

    version: str
    old: Table
    new: Table
    migration: Migration
    mirror: str = "trigger"

    def change(self, source: str, target: str) -> TableChange:
        """Return the change; raises MigrationError where it cannot be made or does not end in the new table."""
        self.require_same_key()
        if self.migration == NONE:
            raise MigrationError(
                f"{self.version} does not say how its table {self.new.name} comes from the live one"
                f" ({self.in_words()}): give it in [[migrations]], or go back with `evenkeel undo`"
            )
        derived = self.derived()
        self.require_agreement(derived)
        old, new, key = plain_columns(self.old), plain_columns(self.new), self.new.primary_key
        change = TableChange(
            name=self.new.name,
            source=source,
            target=target,
            key=key,
            partition=self.new.partition,
            source_columns=old,
            target_columns=new,
            pairs=tuple(Pair(was, name, old[was], new[name]) for name, was in derived.items() if name not in key),
            added=tuple(Added(name, each.type, each.default) for name, each in self.migration.add.items()),
            dropped=self.migration.drop,
            statics=self.new.static,
        )
        self.require_copyable(change)
        return change

    def require_same_key(self) -> None:
        """Refuse another key, another type in it, or counters."""
        old, new = plain_columns(self.old), plain_columns(self.new)
        for name, kind in [*old.items(), *new.items()]:
            if kind == "counter":
                raise MigrationError(f"{self.old.name}.{name} is a counter, which can be neither copied nor mirrored")
        for name in self.migration.drop:
            if name in self.old.primary_key:
                raise MigrationError(
                    f"the migration of {self.old.name} drops {name}, which is part of the primary key:"
                    " make a table of another name"
                )
        before = ", ".join(f"{name} {old[name]}" for name in self.old.primary_key)
        after = ", ".join(f"{name} {new[name]}" for name in self.new.primary_key)
        if before != after:
            raise MigrationError(
                f"the primary key of {self.old.name} would change from ({before}) to ({after}), which no migration can:"
                " make a table of another name"
            )

    def derived(self) -> dict[str, str]:
        """Return {column of the new table: column of the live one} for those that live on, in the live one's order."""
        name, live, migration = self.old.name, self.old.columns, self.migration
        for old, new in migration.rename.items():
            if old not in live:
                raise self.absent("renames", old)
            if new in live:
                raise MigrationError(
                    f"the migration of {name} renames {old} to {new}, but the live table has a column {new} already:"
                    " choose another name"
                )
        for column in migration.drop:
            if column not in live:
                raise self.absent("drops", column)
        for column in migration.add:
            if column in live:
                raise MigrationError(
                    f"the migration of {name} adds {column}, which the live table has already: leave it out"
                )
        derived = {migration.rename.get(column, column): column for column in live if column not in migration.drop}
        for column in migration.widen:
            if column not in derived:
                raise self.absent("widens", column)
        return derived

    def absent(self, verb: str, column: str) -> MigrationError:
        """Return the error for a column that a migration counts on and the live table does not have."""
        return MigrationError(
            f"the migration of {self.old.name} {verb} {column}, which the live table does not have:"
            f" {self.version} comes from another version than the live one, so release that one first,"
            " or go back with `evenkeel undo`"
        )

    def require_agreement(self, derived: Mapping[str, str]) -> None:
        """Refuse unless the live columns and the migration give exactly the new ones."""
        name, old, new = self.old.name, plain_columns(self.old), plain_columns(self.new)
        for column in new:
            if column not in derived and column not in self.migration.add:
                raise MigrationError(
                    f"{name}.{column} is new in {self.version}, but its migration does not say where it comes from:"
                    " name it in add or rename, or release the version between first"
                )
        for column, was in derived.items():
            if column not in new:
                raise MigrationError(
                    f"{name}.{was} is not in {self.version}, but its migration does not say what becomes of it:"
                    " name it in rename or drop, or release the version between first"
                )
            self.require_type(column, old[was], new[column])
            if (was in self.old.static) != (column in self.new.static):
                kind = "static" if column in self.new.static else "regular"
                raise MigrationError(
                    f"{name}.{column} would become {kind}, which no migration can: add a column of another name"
                )

    def require_type(self, column: str, old: str, new: str) -> None:
        """Refuse a type that changes other than by a widening that the migration names."""
        where = f"{self.old.name}.{column}"
        if old == new:
            if column in self.migration.widen:
                raise MigrationError(f"the migration widens {where} to {new}, which it is already: leave it out")
        elif old in WIDER.get(new, ()):
            raise MigrationError(
                f"{where} would be narrowed from {old} to {new}, and values that do not fit would be lost:"
                " keep the type, or add a column of another name"
            )
        elif new not in WIDER.get(old, ()):
            raise MigrationError(
                f"{where} would change from {old} to {new}, which is no known widening:"
                " keep the type, or add a column of another name"
            )
        elif column not in self.migration.widen:
            raise MigrationError(
                f"{where} changes from {old} to {new}, but the migration does not say so: name it in widen"
            )

    def require_copyable(self, change: TableChange) -> None:
        """Refuse lists that are not frozen unless the table's files can be taken over as they are."""
        for pair in change.pairs:
            if pair.source_type.startswith("list<") and self.mirror == "scan":
                raise MigrationError(
                    f"{self.old.name}.{pair.source} is a list that is not frozen, whose elements no scan makes level:"
                    " use a frozen list in a column of another name, or `mirror: trigger`"
                )
            if pair.source_type.startswith("list<") and not change.is_additive:
                raise MigrationError(
                    f"{self.old.name}.{pair.source} is a list that is not frozen, whose elements only an import of"
                    " whole sstables carries over, and that takes a migration that adds columns without default and"
                    " nothing else: split the release, or use a frozen list in a column of another name"
                )

    def in_words(self) -> str:
        """Return how the two tables differ: «summary is new, description is gone, quantity is bigint, not int»."""
        old, new = plain_columns(self.old), plain_columns(self.new)
        both = [name for name in new if name in old]
        return ", ".join([
            *(f"{name} is new" for name in new if name not in old),
            *(f"{name} is gone" for name in old if name not in new),
            *(f"{name} is {new[name]}, not {old[name]}" for name in both if old[name] != new[name]),
            *(f"{name} is static in one only" for name in set(self.old.static) ^ set(self.new.static) if name in both),
        ])  # fmt: skip


def mirror_config(table: TableChange, keyspace: str, direction: str) -> dict[str, Any]:
    """Return what a database node is told to mirror one table of a pair into the other, `forward` or `reverse`.

    Columns that only the mirrored table has are in "dropped"; "defaults" are what rows get that are inserted there.
    """
    if direction not in (FORWARD, REVERSE):
        raise MigrationError(f"the direction is {direction!r}; it is {FORWARD} or {REVERSE}")
    columns = [(pair.source, pair.target, pair.source_type, pair.target_type) for pair in table.pairs]
    if direction == REVERSE:
        columns = [(new, old, new_type, old_type) for old, new, old_type, new_type in columns]
    there, back = (table.source, table.target), (table.target, table.source)
    mirrored, twin = there if direction == FORWARD else back
    defaults = [each for each in table.added if each.default is not None] if direction == FORWARD else []
    return {
        "keyspace": keyspace,
        "table": mirrored,
        "twin": twin,
        "columns": [{"from": a, "to": b, "type": c, "twin_type": d} for a, b, c, d in columns],
        "defaults": [{"column": each.target, "type": each.type, "value": each.default} for each in defaults],
        "dropped": list(table.dropped) if direction == FORWARD else [each.target for each in table.added],
    }
