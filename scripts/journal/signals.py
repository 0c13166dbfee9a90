"""Signals from people to a running release: abort at any time, confirm and reject while a gate waits."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from scripts.journal.document import allow, choice, optional_number, optional_text, text
from scripts.journal.errors import Refused
from scripts.journal.transaction import Transaction
from scripts.journal.words import clock_time

KINDS = ("abort", "confirm", "reject")
DONE = {"abort": "aborted", "confirm": "confirmed", "reject": "rejected"}
GATES = ("person", "time")


def signals_of(act: Transaction, release: str) -> list[dict[str, Any]]:
    """[{"kind", "who", "reason", "at"}] of a release, oldest first."""
    query = "SELECT kind, who, reason, at FROM signals WHERE release = ? ORDER BY number"
    return [dict(row) for row in act.rows(query, release)]


def signal(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Leave a signal for the release in progress; its deployer hears it at the next beat.

    The same signal twice is one. The first answer to a gate counts: the other one afterwards is refused.
    """
    allow(asked, "kind", "who", "reason", "id")
    kind, who = choice(asked, "kind", KINDS), text(asked, "who")
    reason, wanted = optional_text(asked, "reason"), optional_text(asked, "id")
    running = in_progress(act, wanted)
    release = str(running["id"])
    earlier = {one["kind"]: one for one in signals_of(act, release)}
    if kind in earlier:
        return {"release": release}
    if kind != "abort":
        refuse_answer(act, running, kind, earlier)
    act.run(
        "INSERT INTO signals (release, kind, who, reason, at) VALUES (?, ?, ?, ?, ?)",
        release,
        kind,
        who,
        reason,
        act.now,
    )
    said = f": {reason}" if reason else ""
    act.event("signal", f"{who} {DONE[kind]} {release}{said}", release, {"kind": kind, "who": who, "reason": reason})
    return {"release": release}


def in_progress(act: Transaction, wanted: str = "") -> sqlite3.Row:
    """The release in progress; refused when there is none, or when it is not the wanted one."""
    row = act.row("SELECT * FROM releases WHERE state = 'in-progress'")
    if row is not None and wanted in ("", row["id"]):
        return row
    if not wanted:
        raise Refused("no release is in progress")
    other = f"; {row['id']} is" if row is not None else ""
    known = act.row("SELECT state FROM releases WHERE id = ?", wanted)
    if known is None:
        raise Refused(f"there is no release {wanted}{other and f'{other} in progress'}")
    raise Refused(f"release {wanted} is not in progress ({known['state']}){other}")


def refuse_answer(act: Transaction, running: sqlite3.Row, kind: str, earlier: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse an answer that no gate waits for, or that contradicts the first one."""
    release = running["id"]
    for other in ("abort", "confirm", "reject"):
        if other in earlier:
            first = earlier[other]
            when = clock_time(first["at"], act.now)
            hint = "; `evenkeel abort` still stops it" if other == "confirm" else ""
            raise Refused(f"release {release} was {DONE[other]} by {first['who']} at {when} already{hint}")
    if running["waiting"] is None:
        raise Refused(f"release {release} does not wait for an answer: {stage_words(act, running)}")


def stage_words(act: Transaction, running: sqlite3.Row) -> str:
    """Where a release is, as far as the journal has heard."""
    if running["stage"]:
        return f"it is in the stage {running['stage']}"
    last = act.row("SELECT stage, verdict FROM stages WHERE release = ? ORDER BY ended DESC, rowid DESC", running["id"])
    if last is None:
        return "it has just begun"
    return f"its last stage was {last['stage']} ({json.loads(last['verdict']).get('state', 'no verdict')})"


def waiting(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Mark that a gate waits; from now on until its verdict, confirm and reject are heard."""
    allow(asked, "id", "gate", "until")
    release, gate, until = text(asked, "id"), choice(asked, "gate", GATES), optional_number(asked, "until")
    running = in_progress(act, release)
    mark = json.dumps({"gate": gate, "until": until})
    if running["waiting"] != mark:
        act.run("UPDATE releases SET waiting = ? WHERE id = ?", mark, release)
        what = "a person (`evenkeel confirm` or `evenkeel reject`)" if gate == "person" else "its time"
        limit = f", until {clock_time(until, act.now)} at the latest" if until is not None else ""
        version = json.loads(running["document"])["version"]
        data = {"gate": gate, "until": until, "version": version}
        act.event("gate", f"release {release} waits for {what}{limit}", release, data)
    return {"waiting": True}
