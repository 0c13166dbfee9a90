"""Requests for a release: the webhook leaves them, a follower takes them one at a time and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.journal.document import allow, choice, optional_text, text, whole
from scripts.journal.errors import Refused
from scripts.journal.transaction import Transaction

MOST = 100  # that wait; a sender in a loop must not fill the disk
ANSWERS = ("succeeded", "failed", "refused")


def open_requests(act: Transaction) -> list[dict[str, Any]]:
    """REQ = {"number", "version", "who", "delivery", "at", "state", "taken_by", "reason"}: those without an answer."""
    rows = act.rows("SELECT * FROM requests WHERE state IN ('pending', 'taken') ORDER BY number")
    return [dict(row) for row in rows]


def request(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Leave a request; one that was delivered before keeps its number."""
    allow(asked, "version", "who", "delivery")
    version, who, delivery = text(asked, "version"), text(asked, "who"), optional_text(asked, "delivery") or None
    if delivery and (known := act.row("SELECT number FROM requests WHERE delivery = ?", delivery)):
        return {"request": known["number"]}
    waiting = len(open_requests(act))
    if waiting >= MOST:
        raise Refused(f"{waiting} requests wait for an answer already; is `evenkeel follow` running?")
    number = act.run(
        "INSERT INTO requests (version, who, delivery, at, state) VALUES (?, ?, ?, ?, 'pending')",
        version,
        who,
        delivery,
        act.now,
    )
    data = {"request": number, "version": version, "who": who}
    act.event("requested", f"{who} asks for version {version} (request {number})", data=data)
    return {"request": number}


def take(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Give the taker its unanswered request again (it was interrupted), else the oldest that nobody has."""
    allow(asked, "who")
    who = text(asked, "who")
    found = act.row("SELECT number, state FROM requests WHERE state = 'taken' AND taken_by = ? ORDER BY number", who)
    found = found or act.row("SELECT number, state FROM requests WHERE state = 'pending' ORDER BY number")
    if found is None:
        return {"request": None}
    number = found["number"]
    if found["state"] == "pending":
        act.run("UPDATE requests SET state = 'taken', taken_by = ? WHERE number = ?", who, number)
        act.event("taken", f"{who} took request {number}", data={"request": number, "who": who})
    return {"request": by_number(act, number)}


def answer(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Close a request; the same answer again changes nothing."""
    allow(asked, "request", "state", "reason")
    number, state = whole(asked, "request"), choice(asked, "state", ANSWERS)
    reason = optional_text(asked, "reason")
    there = by_number(act, number)
    if there is None:
        raise Refused(f"there is no request {number}")
    if there["state"] in ANSWERS and there["state"] != state:
        raise Refused(f"request {number} has been answered already: {there['state']}", {"request": there})
    if there["state"] not in ANSWERS:
        act.run("UPDATE requests SET state = ?, reason = ? WHERE number = ?", state, reason, number)
        said = f": {reason}" if reason else ""
        act.event("answered", f"request {number} for {there['version']} {state}{said}", data=by_number(act, number))
    return {"request": by_number(act, number)}


def by_number(act: Transaction, number: int) -> dict[str, Any] | None:
    """One request."""
    row = act.row("SELECT * FROM requests WHERE number = ?", number)
    return dict(row) if row else None
