"""Pairs of tables that live at once: which release made each, from what, and how far it has come.

A pair is known from before its first table is made until its last one of the two that has had its day is dropped, so
that whatever a killed release, or a database that was away, left over is found by the next one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from scripts.journal.document import allow, choice, nested, sentence, text
from scripts.journal.errors import Refused
from scripts.journal.records import require_record
from scripts.journal.transaction import Transaction

# making: being made and filled; level: mirrored both ways and compared; apart: compared, and the older one lacks
# something; left: users write to the new one alone, the old one is as they left it; dropping: one of the two goes, and
# the mirror may have gone already, so that nothing but dropped comes after it; dropped: gone
STATES = ("making", "level", "apart", "left", "dropping", "dropped")
WORDS = {
    "making": "makes a second table beside {old}",
    "level": "keeps {both} level, both ways",
    "apart": "has found {both} apart",
    "left": "leaves {old} as it is: users write to the new table alone",
    "dropping": "takes down the mirror between {both}",
    "dropped": "has one table again: {both} are no pair any more",
}


def pair(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Record how far a pair has come; `data`, what the release changes, is told when it begins to be made."""
    allow(asked, "id", "state", "data", "reason")
    release, state, why = text(asked, "id"), choice(asked, "state", STATES), sentence(asked, "reason")
    require_record(act, release)
    row = act.row("SELECT * FROM pairs WHERE release = ?", release)
    if row is None and not asked.get("data"):
        raise Refused(f"release {release} has made no tables")
    if row is not None and row["state"] == "dropping" and state not in ("dropping", "dropped"):
        raise Refused(
            f"the tables of {release} are being taken apart, and their mirror may be gone: they are never a pair again;"
            " `evenkeel retire`, or the next release, finishes that"
        )
    data = nested(asked, "data") if asked.get("data") else json.loads(row["data"] if row else "{}")
    if row is None or row["state"] != state:
        act.run(
            "INSERT INTO pairs (release, data, state, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (release) DO UPDATE SET state = excluded.state, at = excluded.at",
            release,
            json.dumps(data, ensure_ascii=False),
            state,
            act.now,
        )
        act.event(f"tables-{state}", words(release, state, data) + (f": {why}" if why else ""), release)
    return {"pair": as_pair(act.rows("SELECT * FROM pairs WHERE release = ?", release)[0])}


def words(release: str, state: str, data: Mapping[str, Any]) -> str:
    """What happened, as a sentence."""
    tables = data.get("tables") or []
    both = ", ".join(f"{table['source']} and {table['target']}" for table in tables) or "its tables"
    old = ", ".join(str(table["source"]) for table in tables) or "the others"
    return f"release {release} {WORDS[state].format(both=both, old=old)}"


def pairs_there(act: Transaction) -> list[dict[str, Any]]:
    """The pairs that are not gone, the newest release's first: {"release", "state", "at", "data"}."""
    rows = act.rows(
        "SELECT pairs.* FROM pairs JOIN releases ON releases.id = pairs.release WHERE pairs.state != 'dropped'"
        " ORDER BY releases.number DESC"
    )
    return [as_pair(row) for row in rows]


def as_pair(row: sqlite3.Row) -> dict[str, Any]:
    """One pair as documents have it."""
    return {"release": row["release"], "state": row["state"], "at": row["at"], "data": json.loads(row["data"])}
