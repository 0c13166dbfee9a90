"""The CQL types that a manifest's tables may use; pure Python.

Counters are refused: a table that releases can copy and mirror cannot have them (Cassandra forbids both custom
timestamps and trigger mutations on counter tables). User-defined types are left out, for the manifest has no place
that would create them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

COLUMN = re.compile(r"[a-z][a-z0-9_]{0,47}")
TOKEN = re.compile(r"[a-z0-9_]+|[<>,]")
NATIVE = frozenset([
    "ascii", "bigint", "blob", "boolean", "date", "decimal", "double", "duration", "float", "inet", "int",
    "smallint", "text", "time", "timestamp", "timeuuid", "tinyint", "uuid", "varchar", "varint",
])  # fmt: skip
ARGUMENTS = {"list": 1, "set": 1, "map": 2, "frozen": 1}
UNORDERED = ("duration",)


class ColumnError(ValueError):
    """A column or key that cannot be; `key` is the manifest's key, the message the rest of the sentence."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def check_columns(columns: Mapping[object, object]) -> None:
    """Refuse bad column names and types that a table of a release cannot have."""
    if not columns:
        raise ColumnError("columns", "is empty; name at least the key's column")
    for name, kind in columns.items():
        if not isinstance(name, str) or not COLUMN.fullmatch(name):
            raise ColumnError("columns", f"names the column {name!r}; use lower-case letters, digits and underscores")
        if not isinstance(kind, str):
            raise ColumnError("columns", f"gives {name} the type {kind!r}; give a CQL type as a string, such as text")
        problem = problem_of(kind)
        if problem:
            raise ColumnError("columns", f"gives {name} the type {kind!r}: {problem}")


def check_primary_key(key: list[object], columns: Mapping[str, str]) -> None:
    """Refuse a primary key that names no column, one twice, or one that Cassandra cannot order."""
    if not key:
        raise ColumnError("primary_key", "is empty; name at least one column")
    for position, column in enumerate(key):
        if not isinstance(column, str) or column not in columns:
            raise ColumnError("primary_key", f"names {column!r}, which is not among the columns")
        if column in key[:position]:
            raise ColumnError("primary_key", f"names {column} twice")
        if columns[column].startswith(("list", "set", "map")) or columns[column] in UNORDERED:
            raise ColumnError("primary_key", f"names {column}, whose type {columns[column]} cannot be part of a key")


def problem_of(kind: str) -> str:
    """Return what is wrong with a CQL type, or "" if nothing is."""
    squeezed = kind.replace(" ", "")
    tokens = TOKEN.findall(squeezed)
    if "".join(tokens) != squeezed:
        return "it is not a CQL type"
    if "counter" in tokens:
        return "tables with counters can be neither copied nor mirrored; use a plain number"
    try:
        rest = take_type(tokens)
    except (IndexError, ValueError) as error:
        return str(error) if isinstance(error, ValueError) else "it ends too early"
    return "it goes on after its end" if rest else ""


def take_type(tokens: list[str], inside: str = "") -> list[str]:
    """Return the tokens after the type that they start with; raises ValueError or IndexError if there is none."""
    name, rest = tokens[0], tokens[1:]
    if name in NATIVE:
        return rest
    if name not in ARGUMENTS:
        raise ValueError(f"{name} is not a CQL type known here")
    if inside and inside != "frozen" and name != "frozen":
        raise ValueError(f"a {name} within a {inside} must be frozen<...>")
    for number in range(ARGUMENTS[name]):
        if rest[0] != ("," if number else "<"):
            raise ValueError(f"{name} needs {ARGUMENTS[name]} type(s) in < >")
        rest = take_type(rest[1:], name)
    if rest[0] != ">":
        raise ValueError(f"{name} needs {ARGUMENTS[name]} type(s) in < >")
    return rest[1:]
