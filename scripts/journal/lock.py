"""The lock: a lease that its holder renews, and a token that rises with every holder.

Whoever holds it acts with its token; a holder that was taken over or broken finds out at its next beat, and load
balancers refuse its older token meanwhile (fencing). An expired lease stays its holder's until someone else wants it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from scripts.journal.document import allow, nested, number, optional_text, text, whole
from scripts.journal.errors import Refused
from scripts.journal.hold import current_hold
from scripts.journal.signals import signals_of
from scripts.journal.transaction import Transaction
from scripts.journal.words import clock_time, span

CURRENT = "SELECT * FROM locks WHERE ended IS NULL"


def current_lock(act: Transaction) -> dict[str, Any] | None:
    """LOCK of who holds it, even when the lease has expired; None when nobody does."""
    row = act.row(CURRENT)
    return as_lock(act, row) if row else None


def as_lock(act: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    """LOCK as documents have it; the nonce stays inside: it is what proves a holder."""
    lock = {key: row[key] for key in ("token", "who", "purpose", "version", "since", "renewed", "expires")}
    return lock | {"age_seconds": round(act.now - row["since"], 3)}


def holder_words(act: Transaction, lock: Mapping[str, Any] | sqlite3.Row) -> str:
    """Who has it since when and for what, for sentences."""
    version = f" ({lock['version']})" if lock["version"] else ""
    return f"{lock['who']} since {clock_time(lock['since'], act.now)} for {lock['purpose']}{version}"


def acquire(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take the lock if nobody has it, the lease has expired, or it is this very holder's (the same nonce)."""
    allow(asked, "holder", "lease_seconds")
    holder, lease = nested(asked, "holder"), number(asked, "lease_seconds")
    allow(holder, "who", "purpose", "version", "nonce")
    who, purpose, nonce = text(holder, "who"), text(holder, "purpose"), text(holder, "nonce")
    version = optional_text(holder, "version") or None
    there, note = act.row(CURRENT), ""
    if there and there["nonce"] == nonce:
        renew(act, lease)
        return held(act)
    if there:
        ago = span(act.now - there["renewed"])
        if act.now < there["expires"]:
            sentence = f"the lock is held by {holder_words(act, there)}, renewed {ago} ago"
            raise Refused(sentence, {"lock": as_lock(act, there)})
        note = f", over from {holder_words(act, there)}, who let it expire (renewed {ago} ago)"
        end(act, f"taken over by {who}, because the lease had expired")
    token = act.run(
        "INSERT INTO locks (nonce, who, purpose, version, since, renewed, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
        nonce,
        who,
        purpose,
        version,
        act.now,
        act.now,
        act.now + lease,
    )
    data = {"token": token, "who": who, "purpose": purpose, "from": there["token"] if there else None}
    act.event("lock-taken", f"{who} took the lock for {purpose}{note}", data=data)
    return held(act)


def beat(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Renew the lease, and hear what people want meanwhile; refused once the lock has another holder or none."""
    allow(asked, "token", "lease_seconds", "release", "stage")
    token, lease = whole(asked, "token"), number(asked, "lease_seconds")
    release, stage = optional_text(asked, "release"), optional_text(asked, "stage")
    require(act, token)
    renew(act, lease)
    if release and stage:
        act.run("UPDATE releases SET stage = ? WHERE id = ? AND state = 'in-progress'", stage, release)
    return {"lock": current_lock(act), "signals": signals_of(act, release), "hold": current_hold(act)}


def release(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Give the lock back; false when it is not this token's any more."""
    allow(asked, "token")
    token, there = whole(asked, "token"), act.row(CURRENT)
    if there is None or there["token"] != token:
        return {"released": False}
    end(act, "released")
    act.event("lock-released", f"{there['who']} released the lock", data={"token": token})
    return {"released": True}


def break_(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take the lock away from its holder, for a reason that stays in the audit."""
    allow(asked, "who", "reason")
    who, reason = text(asked, "who"), optional_text(asked, "reason")
    if not reason:
        raise Refused("breaking the lock needs a reason; it stays in the audit")
    broken = current_lock(act)
    if broken:
        end(act, f"broken by {who}: {reason}")
        sentence = f"{who} broke the lock of {holder_words(act, broken)}: {reason}"
        act.event("lock-broken", sentence, data={"who": who, "reason": reason, "lock": broken})
    return {"broken": broken}


def require(act: Transaction, token: int, unexpired: bool = False) -> None:
    """Refuse a token that is not the lock's, and tell its holder what became of it."""
    there = act.row(CURRENT)
    if there is None or there["token"] != token:
        raise Refused(lost_words(act, token), {"lock": as_lock(act, there) if there else None})
    if unexpired and act.now >= there["expires"]:
        late = span(act.now - there["expires"])
        raise Refused(f"the lease of token {token} expired {late} ago; renew it first", {"lock": as_lock(act, there)})


def lost_words(act: Transaction, token: int) -> str:
    """What became of a token, as a sentence."""
    gone = act.row("SELECT * FROM locks WHERE token = ?", token)
    if gone is None:
        return f"token {token} was never the lock's"
    return f"token {token} is not the lock's any more: {gone['ending']} at {clock_time(gone['ended'], act.now)}"


def renew(act: Transaction, lease: float) -> None:
    """Let the current lease begin anew."""
    act.run("UPDATE locks SET renewed = ?, expires = ? WHERE ended IS NULL", act.now, act.now + lease)


def end(act: Transaction, ending: str) -> None:
    """Nobody holds the lock from here on."""
    act.run("UPDATE locks SET ended = ?, ending = ? WHERE ended IS NULL", act.now, ending)


def held(act: Transaction) -> dict[str, Any]:
    """The answer to the holder."""
    lock = current_lock(act) or {}
    return {"token": lock["token"], "lock": lock}
