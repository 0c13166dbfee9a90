"""What an authentic request asks for: a release, or an answer to a gate. Bodies are read strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scripts.journal.store import Store
from scripts.webhook.refusal import RefusedRequestError

VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z.-]{1,64})?", re.ASCII)
RELEASE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,127}")
REASON_LENGTH = 500
ANSWERS = ("confirm", "reject")


def read_body(body: bytes) -> dict[str, Any]:
    """The body's JSON object. Refuses doubled keys and what only Python takes for JSON."""
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise RefusedRequestError(400, "the body is not valid JSON") from None
    if not isinstance(document, dict):
        raise RefusedRequestError(400, "the body is not a JSON object")
    return document


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def no_constant(name: str) -> float:
    """NaN and its like are no JSON."""
    raise ValueError(name)


def expect_keys(document: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Refuse missing keys, unknown keys, and values that are not text."""
    for name in required:
        if name not in document:
            raise RefusedRequestError(400, f"the key «{name}» is missing")
    for name, value in document.items():
        if name not in (*required, *optional):
            raise RefusedRequestError(400, f"the key «{name[:40]}» is unknown")
        if not isinstance(value, str):
            raise RefusedRequestError(400, f"the value of «{name}» is not text")


def ask_release(journal: Store, document: dict[str, Any], who: str, delivery: str) -> dict[str, Any]:
    """POST /release: put a request into the journal, for `evenkeel follow` to take."""
    expect_keys(document, ("version",))
    if not VERSION.fullmatch(document["version"]):
        raise RefusedRequestError(400, "the version is not a version such as 1.0.0")
    answer = journal.request({"version": document["version"], "who": who, "delivery": delivery})
    return {"request": answer["request"]}


def answer_gate(journal: Store, document: dict[str, Any], who: str, delivery: str) -> dict[str, Any]:
    """POST /gate: confirm or reject the release whose gate waits."""
    expect_keys(document, ("release", "answer"), ("reason",))
    if not RELEASE.fullmatch(document["release"]):
        raise RefusedRequestError(400, "the release is not an id such as r7-2.0.0-0123456789ab")
    if document["answer"] not in ANSWERS:
        raise RefusedRequestError(400, "the answer is neither confirm nor reject")
    reason = document.get("reason", "").strip()
    if len(reason) > REASON_LENGTH or not reason.isprintable():
        raise RefusedRequestError(400, f"the reason is not one line of at most {REASON_LENGTH} characters")
    if not reason and document["answer"] == "reject":
        raise RefusedRequestError(400, "a rejection needs a reason")
    signal = {"kind": document["answer"], "who": who, "reason": reason, "id": document["release"]}
    answer = journal.signal(signal)
    return {"release": answer["release"]}


ACTIONS = {"/release": ask_release, "/gate": answer_gate}
