"""The audit: what happened, in order, never changed afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scripts.journal.document import allow, nested, optional_text, text, whole
from scripts.journal.errors import MisuseError
from scripts.journal.transaction import Transaction

# Kinds that the journal itself writes; another program's event must not pass for one of these.
OWN = (
    "started", "resumed", "stage", "gate", "succeeded", "partial", "rolled-back", "failed", "held", "superseded",
    "lock-taken", "lock-released", "lock-broken", "hold", "unhold", "signal", "requested", "taken", "answered",
)  # fmt: skip


def events(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The events after a number."""
    allow(asked, "after", "limit")
    after, limit = whole(asked, "after", 0), whole(asked, "limit", 100, most=10_000)
    found = act.rows("SELECT * FROM events WHERE number > ? ORDER BY number LIMIT ?", after, limit)
    return {"events": [{**dict(row), "data": json.loads(row["data"])} for row in found]}


def note(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Append what another program of this host did."""
    allow(asked, "kind", "text", "release", "data")
    kind = text(asked, "kind")
    if kind in OWN:
        raise MisuseError(f"an event of the kind {kind} is the journal's own")
    data = nested(asked, "data") if asked.get("data") is not None else {}
    return {"number": act.event(kind, text(asked, "text"), optional_text(asked, "release") or None, data)}
