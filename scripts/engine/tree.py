"""A preview's steps as a tree of resources: what changes, and the components it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.engine.state import urn_name, urn_type
from scripts.engine.steps import Op, Step

_PARTS = (Op.CREATE_REPLACEMENT, Op.DELETE_REPLACED)
"""Steps of a replacement; the tree shows it as one."""


@dataclass(frozen=True)
class Row:
    """One line: how far in, and what is in its columns."""

    glyphs: str
    step: Step | None
    urn: str


def tree_rows(steps: list[Step]) -> list[Row]:
    """Changed resources in the order of their registration, each under its parents."""
    parents: dict[str, str] = {}
    shown: dict[str, Step] = {}
    for step in steps:
        parents[step.urn] = step.state.parent
        if step.op is not Op.SAME and not (step.op in _PARTS and step.urn in shown):
            shown[step.urn] = step
    visible: set[str] = set()
    for urn in shown:
        while urn and urn not in visible:
            visible.add(urn)
            urn = parents.get(urn, "")  # noqa: PLW2901 - climbing to the root
    children: dict[str, list[str]] = {}
    for urn in dict.fromkeys(urn for urn in parents if urn in visible):
        parent = parents[urn]
        children.setdefault(parent if parent in visible else "", []).append(urn)
    return list(_rows(children, shown, "", "", ""))


def _rows(children: dict[str, list[str]], shown: dict[str, Step], urn: str, glyphs: str, indent: str) -> Iterator[Row]:
    if urn:
        yield Row(glyphs, shown.get(urn), urn)
    below = children.get(urn, [])
    for number, child in enumerate(below):
        last = number == len(below) - 1
        if urn:
            yield from _rows(
                children, shown, child, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")
            )
        else:
            yield from _rows(children, shown, child, "", "")


def tree_lines(rows: list[Row], words: Callable[[Step], tuple[str, str, str]]) -> Iterator[tuple[str, Row | None]]:
    """Text and row of each line; `words` gives a step's mark (two characters), plan and further information."""
    cells = [("  ", "Type", "Name", "Plan", "")]
    for row in rows:
        mark, plan, more = words(row.step) if row.step is not None else ("  ", "", "")
        cells.append((mark, row.glyphs + urn_type(row.urn), urn_name(row.urn), plan, more))
    widths = [max(len(cell[column]) for cell in cells) for column in range(4)]
    sources: list[Row | None] = [None, *rows]
    for cell, source in zip(cells, sources, strict=True):
        padded = "  ".join(text.ljust(width) for text, width in zip(cell[1:4], widths[1:], strict=True))
        yield f" {cell[0]} {padded}  {cell[4]}".rstrip(), source
