"""REC: a release as the journal knows it, which is its document and what became of it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from scripts.journal.errors import Refused
from scripts.journal.signals import signals_of
from scripts.journal.transaction import Transaction

ADDED = {"state", "reason", "began", "ended", "stage", "waiting", "live", "stages", "signals"}  # to the document


def records(act: Transaction, limit: int) -> list[dict[str, Any]]:
    """The newest releases, newest first."""
    return [as_record(act, row) for row in act.rows("SELECT * FROM releases ORDER BY number DESC LIMIT ?", limit)]


def current_record(act: Transaction) -> dict[str, Any] | None:
    """The release in progress."""
    row = act.row("SELECT * FROM releases WHERE state = 'in-progress'")
    return as_record(act, row) if row else None


def record(act: Transaction, release: str) -> dict[str, Any] | None:
    """The release of this id."""
    row = act.row("SELECT * FROM releases WHERE id = ?", release)
    return as_record(act, row) if row else None


def require_record(act: Transaction, release: str) -> dict[str, Any]:
    """The release of this id; refused when there is none."""
    if found := record(act, release):
        return found
    raise Refused(f"there is no release {release}")


def live_now(act: Transaction) -> dict[str, Any] | None:
    """{"version", "slot", "sha256"} that the newest release to say so left serving."""
    row = act.row("SELECT live FROM releases WHERE live IS NOT NULL ORDER BY ended DESC, number DESC")
    return json.loads(row["live"]) if row else None


def as_record(act: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    """DOC + state, reason, began, ended, stages in the order of their verdicts, signals, where it is, what it left."""
    stages = act.rows("SELECT * FROM stages WHERE release = ? ORDER BY ended, rowid", row["id"])
    document: dict[str, Any] = json.loads(row["document"])
    return document | {
        "state": row["state"],
        "reason": row["reason"],
        "began": row["began"],
        "ended": row["ended"],
        "stage": row["stage"],
        "waiting": json.loads(row["waiting"]) if row["waiting"] else None,
        "live": json.loads(row["live"]) if row["live"] else None,
        "stages": [
            json.loads(stage["verdict"]) | {"began": stage["began"], "ended": stage["ended"]} for stage in stages
        ],
        "signals": signals_of(act, row["id"]),
    }
