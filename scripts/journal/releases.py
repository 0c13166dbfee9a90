"""Releases: how each began, the verdict of every stage, how it ended. At most one is in progress."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scripts.journal.document import allow, choice, nested, optional_number, optional_text, sentence, text, whole
from scripts.journal.errors import MisuseError, Refused
from scripts.journal.hold import current_hold, held_words
from scripts.journal.lock import current_lock, require
from scripts.journal.pairs import pairs_there
from scripts.journal.records import ADDED, current_record, live_now, record, records, require_record
from scripts.journal.requests import open_requests
from scripts.journal.transaction import Transaction
from scripts.journal.words import span

ENDS = ("succeeded", "partial", "rolled-back", "failed", "held")
STATES = ("passed", "failed", "skipped", "refused", "held")
LIMIT = 20
STEP_SECONDS = 0.001  # between the ends of two releases, where the clock does not tell them apart
MOST = 1000


def read(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a deployer decides by, at one moment."""
    allow(asked, "limit")
    return {
        "releases": records(act, whole(asked, "limit", LIMIT, MOST)),
        "current": current_record(act),
        "live": live_now(act),
        "pairs": pairs_there(act),
        "lock": current_lock(act),
        "hold": current_hold(act),
        "requests": open_requests(act),
        "now": act.now,
    }


def history(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The newest releases, or the one of this id."""
    allow(asked, "limit", "id")
    if release := optional_text(asked, "id"):
        return {"releases": [require_record(act, release)]}
    return {"releases": records(act, whole(asked, "limit", LIMIT, MOST))}


def begin(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Record that a release begins, or that the one in progress goes on under a new token.

    A release in progress that is another one is superseded: its deployer has lost the lock, or we would not be here.
    A hold stops what begins, never what goes on: half a release is no state to stay in.
    """
    allow(asked, "release", "token")
    document, token = nested(asked, "release"), whole(asked, "token")
    release = check_document(document)
    require(act, token, unexpired=True)
    known = record(act, release)
    if known and known["state"] == "in-progress":
        resume(act, release, token)
    elif known:
        raise Refused(f"release {release} has ended already: {known['state']}; begin another", {"release": known})
    else:
        start(act, document, token)
    return {"release": record(act, release)}


def check_document(document: Mapping[str, Any]) -> str:
    """The id of a release document; what the journal itself uses of it must be there."""
    for key in ("id", "version", "sha256", "slot", "who"):
        text(document, key)
    whole(document, "number")
    if clash := sorted(ADDED & set(document)):
        raise MisuseError(f"release has {', '.join(clash)}, which are the journal's to say")
    return text(document, "id")


def resume(act: Transaction, release: str, token: int) -> None:
    """Let the release in progress go on; only a new holder of the lock is news."""
    row = act.row("SELECT token FROM releases WHERE id = ?", release)
    if row is not None and row["token"] != token:
        act.run("UPDATE releases SET token = ?, stage = NULL WHERE id = ?", token, release)
        act.event("resumed", f"release {release} goes on after an interruption", release, {"token": token})


def start(act: Transaction, document: Mapping[str, Any], token: int) -> None:
    """Record a new release in progress."""
    release, hold = str(document["id"]), current_hold(act)
    if hold and not document.get("revert"):
        raise Refused(f"releases are {held_words(act, hold)}", {"hold": hold})
    if other := current_record(act):
        reason = f"release {release} began before it had ended"
        close(act, other["id"], "superseded", reason)
        act.event("superseded", f"release {other['id']} is superseded: {reason}", other["id"], {"by": release})
    act.run(
        "INSERT INTO releases (id, document, state, token, began) VALUES (?, ?, 'in-progress', ?, ?)",
        release,
        json.dumps(document, ensure_ascii=False),
        token,
        act.now,
    )
    previous = document.get("previous") or {}
    came_from = f" from {previous['version']}" if previous.get("version") else ""
    began = f"release {release} began: {document['version']}{came_from} into slot {document['slot']}"
    act.event("started", f"{began}, by {document['who']}", release, facts_of(document))


def facts_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of a release, for those who are notified."""
    previous = document.get("previous") or {}
    return {
        "version": document["version"],
        "previous": previous.get("version"),
        "slot": document["slot"],
        "who": document["who"],
        "revert": bool(document.get("revert")),
    }


def verdict(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Record a stage's verdict; a later one of the same stage takes its place, the event of the first stays."""
    allow(asked, "id", "verdict", "began")
    release, said, began = text(asked, "id"), nested(asked, "verdict"), optional_number(asked, "began")
    check_verdict(said)
    known = require_record(act, release)
    if known["state"] == "superseded":
        raise Refused(f"release {release} was superseded: {known['reason']}", {"release": known})
    write_verdict(act, release, said, began)
    return {"recorded": True}


def check_verdict(said: Mapping[str, Any]) -> None:
    """Refuse a verdict without a stage or a state."""
    text(said, "stage")
    choice(said, "state", STATES)


def write_verdict(
    act: Transaction, release: str, said: Mapping[str, Any], began: float | None, ended: float | None = None
) -> None:
    """One verdict into the record, with its event; the gate's ends its waiting."""
    stage, new = str(said["stage"]), json.dumps(said, ensure_ascii=False, sort_keys=True)
    there = act.row("SELECT verdict FROM stages WHERE release = ? AND stage = ?", release, stage)
    if there and there["verdict"] == new:
        return
    act.run(
        "INSERT INTO stages (release, stage, verdict, began, ended) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (release, stage) DO UPDATE SET verdict = excluded.verdict, ended = excluded.ended,"
        " began = coalesce(excluded.began, began)",
        release,
        stage,
        new,
        began,
        act.now if ended is None else ended,
    )
    act.run("UPDATE releases SET stage = NULL WHERE id = ? AND stage = ?", release, stage)
    if stage == "gate":
        act.run("UPDATE releases SET waiting = NULL WHERE id = ?", release)
    reason = sentence(said, "reason")
    act.event("stage", f"{release} {stage}: {said['state']}" + (f", {reason}" if reason else ""), release, said)


def finish(act: Transaction, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Record how a release ended; a held or failed one may end again, once it is known what became of it.

    `earlier` are verdicts that could not be recorded when they were reached; those the journal has stay as they are.
    """
    allow(asked, "id", "state", "reason", "live", "earlier")
    release, state = text(asked, "id"), choice(asked, "state", ENDS)
    reason, live = sentence(asked, "reason"), nested(asked, "live") if asked.get("live") else None
    known = require_record(act, release)
    if known["state"] == state:
        return {"release": known}
    if known["state"] not in ("in-progress", "held", "failed"):
        raise Refused(f"release {release} has ended already: {known['state']}", {"release": known})
    add_earlier(act, release, asked.get("earlier") or [], {stage["stage"] for stage in known["stages"]})
    close(act, release, state, reason, live)
    took = span(act.now - known["began"])
    said = f"release {release} {state.replace('-', ' ')} after {took}" + (f": {reason}" if reason else "")
    data = facts_of(known) | {"reason": reason, "live": live, "seconds": round(act.now - known["began"], 1)}
    act.event(state, said, release, data)
    return {"release": record(act, release)}


def add_earlier(act: Transaction, release: str, earlier: object, recorded: set[str]) -> None:
    """Record the verdicts that are not there yet."""
    if not isinstance(earlier, list) or not all(isinstance(said, dict) for said in earlier):
        raise MisuseError("earlier must be a list of verdicts")
    for said in earlier:
        check_verdict(said)
        if said["stage"] not in recorded:
            write_verdict(act, release, said, None, reached(said))


def reached(said: Mapping[str, Any]) -> float | None:
    """When a verdict was reached, by the deployer's clock: the only one that saw it."""
    try:
        at = datetime.fromisoformat(str(said.get("at")))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def close(act: Transaction, release: str, state: str, reason: str, live: Mapping[str, Any] | None = None) -> None:
    """Nothing of this release is in progress from here on.

    It ends after all others, also where the clock was set back: what ended last says what is live.
    """
    newest = act.row("SELECT max(ended) AS ended FROM releases WHERE id != ?", release)
    latest = newest["ended"] if newest and newest["ended"] is not None else 0.0
    act.run(
        "UPDATE releases SET state = ?, reason = ?, ended = ?, live = coalesce(?, live), waiting = NULL, stage = NULL"
        " WHERE id = ?",
        state,
        reason,
        max(act.now, latest + STEP_SECONDS),
        json.dumps(live) if live else None,
        release,
    )
