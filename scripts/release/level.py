"""May users be moved between two tables by routing alone? Not by the journal's word only: the database is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.release.control_tables import ControlTables
from scripts.release.data import in_words
from scripts.release.documents import Stack, listed
from scripts.release.errors import RefusedError


def require_mirrored(stack: Stack, data: Mapping[str, Any]) -> None:
    """Refuse where a table has no mirror, whatever the journal says: the other one lacks what is written to it."""
    without = sorted(name for name, has in ControlTables(stack, data).mirrored()["tables"].items() if not has)
    if without:
        raise RefusedError(
            f"{listed(without)} {'has' if len(without) == 1 else 'have'} no mirror any more, though {in_words(data)}"
            " count as level, so users would lose what was written since; `evenkeel compare` shows what, `evenkeel"
            " retire` ends the pair"
        )
