"""What a data document means: which tables a version works on, what the mirror is told, which of a pair is old.

Pure. A data document («DATA») is made in preflight by components/migration.py; see there for its form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.data import TableChange
from components.migration import FORWARD, REVERSE, mirror_config
from scripts.release.documents import Version

Data = Mapping[str, Any]


def configs(data: Data) -> list[dict[str, Any]]:
    """Return the mirror's configurations, one a table and direction, as `evenkeel-mirror configure` takes them."""
    changes = [TableChange.from_dict(table) for table in data["tables"]]
    return [
        mirror_config(change, data["keyspace"], direction) for change in changes for direction in (FORWARD, REVERSE)
    ]


def qualified(data: Data) -> list[str]:
    """Return the tables of a pair as «keyspace.table»."""
    return [f"{data['keyspace']}.{table[side]}" for table in data["tables"] for side in ("source", "target")]


def physical(names: Mapping[str, str], logical: str) -> str:
    """Return what a table is called in the database."""
    return names.get(logical, logical)


def old_side(data: Data, names: Mapping[str, str]) -> str:
    """Return which of a pair's tables the version with these names does not use: source, target, or "" for neither.

    «source» also where there is no table to copy: what was made new altogether is the new version's.
    """
    uses = {physical(names, table["name"]) for table in data["tables"]}
    if not data["tables"]:
        created = {physical(data["names"], made["name"]) for made in data.get("created", ())}
        return "source" if created & set(names.values()) else "target"
    for side, other in (("source", "target"), ("target", "source")):
        if uses == {table[other] for table in data["tables"]}:
            return side
    return ""


def tables_on(data: Data, side: str) -> dict[str, str]:
    """Return {logical: physical} of one side's tables; what was made new altogether is on the target's."""
    made = {table["name"]: table["target"] for table in data.get("created", ())} if side == "target" else {}
    return {table["name"]: table[side] for table in data["tables"]} | made


def in_words(data: Data) -> str:
    """Return a pair in a few words: «item and item_r7»."""
    return ", ".join(f"{table['source']} and {table['target']}" for table in data["tables"]) or "no tables"


def pair_between(pairs: Sequence[Mapping[str, Any]], one: Version, other: Version) -> Mapping[str, Any] | None:
    """Return the pair whose two tables are these two versions', None if there is none."""
    for pair in pairs:
        tables = pair["data"]["tables"]
        sides = [{physical(version.tables, table["name"]) for table in tables} for version in (one, other)]
        found = [{table[side] for table in tables} for side in ("source", "target")]
        if tables and sides in (found, found[::-1]):
            return pair
    return None


def left_words(target: str, live: str) -> str:
    """Return why there is no way back to a version after a release for which writes waited."""
    return (
        f"the tables of {target} are as they were when users left them (`mirror: scan`), so going back would lose what"
        f" was written to those of {live} since; release a version whose migration leads on from {live}"
    )


def share_tables(one: Version, other: Version) -> bool:
    """Tell whether two versions work on the same tables."""
    logical = {*one.tables, *other.tables}
    return all(physical(one.tables, name) == physical(other.tables, name) for name in logical)
