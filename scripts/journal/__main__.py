"""`python3 -m scripts.journal VERB`: a JSON object on standard input (or nothing), a JSON object on standard output.

Exit status: 0 done; 3 refused: {"refused": "one sentence", …details} on standard output, nothing was changed;
2 the caller's mistake, 1 an unusable journal: one sentence on standard error. The verbs are those of `store.VERBS`.
"""

import json
import sys
from typing import Any

from scripts.journal.store import VERBS, MisuseError, Refused, Store, StoreError

REFUSED = 3


def read_document(content: str) -> dict[str, Any]:
    """Return the JSON object in `content`; nothing stands for an empty one."""
    try:
        document = json.loads(content) if content.strip() else {}
    except ValueError as error:
        raise MisuseError(f"standard input is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise MisuseError("standard input must be a JSON object")
    return document


def main(arguments: list[str]) -> int:
    """Run the verb that the one argument names; the exit status."""
    try:
        if len(arguments) != 1 or arguments[0] not in VERBS:
            raise MisuseError(f"use `python3 -m scripts.journal VERB`; the verbs are {', '.join(VERBS)}")
        answer = VERBS[arguments[0]](Store(), read_document(sys.stdin.read()))
    except Refused as refusal:
        print(json.dumps({"refused": str(refusal), **refusal.details}, ensure_ascii=False))
        return REFUSED
    except StoreError as error:
        print(f"scripts.journal: {error}", file=sys.stderr)
        return 2 if isinstance(error, MisuseError) else 1
    print(json.dumps(answer, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
