"""What two rows of the two tables differ in, through the release's mapping. Pure; no connection.

Not differences, and counted apart, are the things that two tables that are level may well differ in:

- **unrepresentable**: a value that the source's narrower type cannot hold, where the source then has none;
- **without default**: a row that has no value in a column that was added with a default (deleted and made again by the
  old version while both lived);
- **left over**: a row that only a marker, a default, a column of the new version alone or a dropped column keeps in one
  table. CQL does not show markers; a row that was made by an UPDATE and emptied later stays in the target, where the
  copy gave it a marker.

Cells that expire in a few seconds may be gone from one table already.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from components.data import TableChange
from scripts.tables.cells import Cell, Row, Table
from scripts.tables.wire import decode

TTL_TOLERANCE = 10  # seconds: TTLs are whole seconds, and a copy gives a cell what was left when it was read

INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "varint": 0}
FLOATS = {"float": ">f", "double": ">d"}


class What(StrEnum):
    """How two tables differ in a row."""

    MISSING = "missing"  # in the source, not in the target
    EXTRA = "extra"  # in the target, not in the source
    DIFFERENT = "different"


class Difference(NamedTuple):
    """One of them; `column` is the source's, or None for a whole row."""

    what: What
    column: str | None
    why: str


class Outcome(NamedTuple):
    """What comparing two rows came to; the last three count what is no difference."""

    differences: tuple[Difference, ...] = ()
    unrepresentable: int = 0
    without_default: int = 0
    left_over: int = 0


EQUAL = Outcome()
LEFT_OVER = Outcome(left_over=1)


@dataclass(frozen=True)
class Twin:
    """A column of the source and the one of the target that holds its values."""

    source: str
    target: str
    source_type: str
    target_type: str


@dataclass(frozen=True)
class Mapping:
    """How rows of the source become rows of the target. `defaults`: added columns that rows of the source get."""

    regulars: tuple[Twin, ...]
    statics: tuple[Twin, ...]
    defaults: tuple[str, ...]


def mapping_of(change: TableChange, source: Table) -> Mapping:
    """Return the mapping that the data document describes."""
    static = {column.name for column in source.statics}
    twins = [Twin(pair.source, pair.target, pair.source_type, pair.target_type) for pair in change.pairs]
    return Mapping(
        regulars=tuple(twin for twin in twins if twin.source not in static),
        statics=tuple(twin for twin in twins if twin.source in static),
        defaults=tuple(added.target for added in change.added if added.default is not None),
    )


def compare_rows(source: Row | None, target: Row | None, mapping: Mapping) -> Outcome:
    """Compare a row with its twin; None where a table has no such row."""
    some = source or target
    twins = mapping.statics if some is not None and some.clustering is None else mapping.regulars
    if source is None:
        return _alone_in_target(target, twins) if target is not None else EQUAL
    if target is None:
        return _alone_in_source(source, twins)
    differences, unrepresentable = [], 0
    for twin in twins:
        left, right = source.cells.get(twin.source), target.cells.get(twin.target)
        if left == right and twin.source_type == twin.target_type:
            continue
        if not left and right and not _fits(twin, right):
            unrepresentable += 1
            continue
        why = compare_cells(left or (), right or (), twin)
        if why:
            differences.append(Difference(What.DIFFERENT, twin.source, why))
    lacking = any(column not in target.cells for column in mapping.defaults) if target.clustering is not None else False
    if not differences and not unrepresentable and not lacking:
        return EQUAL
    return Outcome(tuple(differences), unrepresentable, int(lacking))


def _alone_in_target(target: Row, twins: Iterable[Twin]) -> Outcome:
    """A row that only the target has. Without a cell that the source could hold it is no difference."""
    held = [(twin, target.cells[twin.target]) for twin in twins if target.cells.get(twin.target)]
    lasting = [(twin, cells) for twin, cells in held if not _expires_soon(cells)]
    if not held:
        return LEFT_OVER
    if not lasting:
        return EQUAL
    too_large = sum(not _fits(twin, cells) for twin, cells in lasting)
    if too_large == len(lasting):
        return Outcome(unrepresentable=too_large)
    return Outcome((Difference(What.EXTRA, None, "only the new table has this row"),))


def _alone_in_source(source: Row, twins: Iterable[Twin]) -> Outcome:
    """A row that only the source has. Kept by dropped columns alone, it is no difference; by a marker alone, it is."""
    held = [source.cells[twin.source] for twin in twins if source.cells.get(twin.source)]
    if source.cells and not held:
        return LEFT_OVER
    if held and all(_expires_soon(cells) for cells in held):
        return EQUAL
    return Outcome((Difference(What.MISSING, None, "only the old table has this row"),))


def compare_cells(left: tuple[Cell, ...], right: tuple[Cell, ...], twin: Twin) -> str | None:
    """Return what the cells of two columns differ in, or None. A column of one cell has one, a collection many."""
    theirs = {cell.path: cell for cell in right}
    for cell in left:
        other = theirs.pop(cell.path, None)
        why = _compare_cell(cell, other, twin)
        if why:
            return why
    lone = next((cell for cell in theirs.values() if not _expires_soon((cell,))), None)
    return f"the new table has a value, written at {lone.timestamp}, and the old one none" if lone else None


def _compare_cell(cell: Cell, other: Cell | None, twin: Twin) -> str | None:
    if other is None:
        missing = f"the old table has a value, written at {cell.timestamp}, and the new one none"
        return None if _expires_soon((cell,)) else missing
    if cell.timestamp != other.timestamp:
        newer = "old" if cell.timestamp > other.timestamp else "new"
        return f"written at {cell.timestamp} in the old table and at {other.timestamp} in the new: the {newer} is newer"
    if not same_value(cell.value, other.value, twin):
        return f"two values, both written at {cell.timestamp}: {_shown(cell, twin.source_type)} and " + (
            f"{_shown(other, twin.target_type)}; of writes at one time the larger stands, which need not be the same"
            " after a change of type" if twin.source_type != twin.target_type else _shown(other, twin.target_type)
        )  # fmt: skip
    return _compare_ttl(cell.ttl, other.ttl)


def _compare_ttl(left: int | None, right: int | None) -> str | None:
    if left is None and right is None:
        return None
    if left is None or right is None:
        expiring, lasting = ("new", "old") if left is None else ("old", "new")
        return f"it expires in the {expiring} table and not in the {lasting}"
    if abs(left - right) <= TTL_TOLERANCE:
        return None
    return f"it expires in {left} s in the old table and in {right} s in the new"


def same_value(left: bytes, right: bytes, twin: Twin) -> bool:
    """Whether a value of the source and one of the target mean the same."""
    if left == right or twin.source_type == twin.target_type or not left or not right:
        return left == right
    if twin.source_type in INTEGERS and twin.target_type in INTEGERS:
        return _whole(left) == _whole(right)
    if twin.source_type in FLOATS and twin.target_type in FLOATS:
        one, two = _float(left, twin.source_type), _float(right, twin.target_type)
        return one == two or (math.isnan(one) and math.isnan(two))
    return False


def _fits(twin: Twin, cells: tuple[Cell, ...]) -> bool:
    """Whether the source's type can hold what the target holds."""
    return all(fits(cell.value, twin.source_type, twin.target_type) for cell in cells)


def fits(content: bytes, source_type: str, target_type: str) -> bool:
    """Whether a value of the target's type is one of the source's narrower type, too."""
    if source_type == target_type or not content:
        return True
    if source_type in INTEGERS and target_type in INTEGERS:
        bits = INTEGERS[source_type] * 8
        return bits == 0 or -(1 << bits - 1) <= _whole(content) < 1 << bits - 1
    if (source_type, target_type) == ("float", "double"):
        return _fits_float(_float(content, "double"))
    if source_type == "ascii":
        return content.isascii()
    return (source_type, target_type) != ("timeuuid", "uuid") or content[6] >> 4 == 1


def _fits_float(number: float) -> bool:
    try:
        return math.isnan(number) or bool(struct.unpack(">f", struct.pack(">f", number))[0] == number)
    except OverflowError:
        return False


def _whole(content: bytes) -> int:
    return int.from_bytes(content, "big", signed=True)


def _float(content: bytes, kind: str) -> float:
    return float(struct.unpack(FLOATS[kind], content)[0])


def _expires_soon(cells: Iterable[Cell]) -> bool:
    return all(cell.ttl is not None and cell.ttl <= TTL_TOLERANCE for cell in cells)


def _shown(cell: Cell, cql_type: str) -> str:
    text = str(decode(cql_type, cell.value) if cell.path is None else cell.value.hex())
    return text if len(text) <= 40 else f"{text[:40]}…"
