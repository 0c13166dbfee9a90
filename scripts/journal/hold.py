"""The hold: while it is there, no release begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.journal.document import allow, optional_text, text
from scripts.journal.errors import Refused
from scripts.journal.transaction import Transaction
from scripts.journal.words import clock_time


def current_hold(act: Transaction) -> dict[str, Any] | None:
    """HOLD = {"who", "reason", "since"}, or None."""
    row = act.row("SELECT who, reason, since FROM holds WHERE ended IS NULL")
    return dict(row) if row else None


def held_words(act: Transaction, hold: Mapping[str, Any]) -> str:
    """Who holds since when and why, for sentences."""
    return f"on hold by {hold['who']} since {clock_time(hold['since'], act.now)}: {hold['reason']}"


def hold(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Set it. The same person with the same reason again changes nothing; another one is refused, not overwritten."""
    allow(asked, "who", "reason")
    who, reason = text(asked, "who"), optional_text(asked, "reason")
    if not reason:
        raise Refused("a hold needs a reason, for those who meet it")
    there = current_hold(act)
    if there and (there["who"], there["reason"]) == (who, reason):
        return {"hold": there}
    if there:
        raise Refused(f"releases are already {held_words(act, there)}", {"hold": there})
    act.run("INSERT INTO holds (who, reason, since) VALUES (?, ?, ?)", who, reason, act.now)
    act.event("hold", f"releases are on hold by {who}: {reason}", data={"who": who, "reason": reason})
    return {"hold": current_hold(act)}


def unhold(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Lift it, whoever set it; no hold is no error."""
    allow(asked, "who")
    who, there = text(asked, "who"), current_hold(act)
    if there:
        act.run("UPDATE holds SET ended = ? WHERE ended IS NULL", act.now)
        act.event("unhold", f"{who} lifted the hold of {there['who']} ({there['reason']})", data={"who": who})
    return {"hold": None, "lifted": there}
