"""A program of verbs, as this package and scripts.tables are: one verb by itself, or many of them line by line.

    python3 -m NAME VERB      a JSON object on standard input (or nothing), a JSON object on standard output; other than
                              0 and refusals: one sentence on standard error
    python3 -m NAME listen    a line of JSON each, {"verb", "order"?}, answered with {"status", "answer"} or
                              {"status", "said"}, until standard input ends; a tenth of a start for each

Exit status, or `status`: 0 done; 3 refused, {"refused": "one sentence", …details}, nothing was changed; 2 the caller's
mistake; 1 anything else that went wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

MISUSED, REFUSED = 2, 3
LISTEN = "listen"
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """What came of a verb: a document, or a sentence on what went wrong."""

    status: int
    answer: Document | None = None
    sentence: str = ""


Say = Callable[[str, Document], Said]


class DocumentError(Exception):
    """What came in is not what a program of verbs takes; the message is one sentence."""


def serve(name: str, verbs: Collection[str], say: Say, arguments: list[str]) -> int:
    """Do what the one argument names; the exit status."""
    if arguments == [LISTEN]:
        for line in sys.stdin:
            print(answered(name, verbs, say, line), flush=True)
        return 0
    said = alone(name, verbs, say, arguments)
    if said.answer is None:
        print(f"{name}: {said.sentence}", file=sys.stderr)
    else:
        print(json.dumps(said.answer, ensure_ascii=False))
    return said.status


def alone(name: str, verbs: Collection[str], say: Say, arguments: list[str]) -> Said:
    """Run one verb on the document that is standard input."""
    if len(arguments) != 1 or arguments[0] not in verbs:
        return Said(MISUSED, sentence=f"use `python3 -m {name} VERB`; the verbs are {', '.join(verbs)}, and {LISTEN}")
    try:
        return say(arguments[0], read_document(sys.stdin.read(), "standard input"))
    except DocumentError as error:
        return Said(MISUSED, sentence=str(error))


def answered(name: str, verbs: Collection[str], say: Say, line: str) -> str:
    """Return the line that answers a line."""
    try:
        asked = read_document(line, "the line")
        verb, order = asked.get("verb"), asked.get("order")
        if not isinstance(verb, str) or verb not in verbs:
            raise DocumentError(f"{verb!r} is none of {', '.join(verbs)}")
        if not isinstance(order, dict | None):
            raise DocumentError("the order must be a JSON object")
        said = say(verb, order or {})
    except DocumentError as error:
        said = Said(MISUSED, sentence=str(error))
    told = {"said": f"{name}: {said.sentence}"} if said.answer is None else {"answer": said.answer}
    return json.dumps({"status": said.status, **told})


def read_document(content: str, what: str) -> dict[str, Any]:
    """Return the JSON object in `content`; nothing stands for an empty one."""
    try:
        document = json.loads(content) if content.strip() else {}
    except ValueError as error:
        raise DocumentError(f"{what} is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise DocumentError(f"{what} must be a JSON object")
    return document
