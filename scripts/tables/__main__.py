"""`python3 -m scripts.tables VERB`: a JSON object on standard input, one on standard output, progress on error.

Every verb takes {"ring": RING, "data": DATA, …}; its module says what else. Exit status: 0 done; 3 refused:
{"refused": "one sentence", …details} on standard output, nothing was changed; 2 the caller's mistake and 1 anything
else that went wrong, one sentence on standard error.
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from scripts.database.errors import DatabaseError, RequestError
from scripts.tables.errors import MisuseError, Refused, TablesError

# Imported only when asked for: a verb costs what its own module needs.
VERBS: Mapping[str, str] = {
    "inspect": "structure:inspect",
    "create": "structure:create",
    "droppable": "ending:droppable",
    "drop": "ending:drop",
    "count": "counting:count",
    "measure": "estimate:measure",
    "conditional": "conditional:conditional",
    "mirror": "mirroring:mirror",
    "mirrored": "mirroring:mirrored",
    "probe": "mirroring:probe",
    "job": "job:job",
}
REFUSED = 3
Verb = Callable[[Mapping[str, Any]], dict[str, Any]]


def find(verb: str) -> Verb:
    """Return the function of a verb: it takes the whole JSON document and returns the answer."""
    module, _, function = VERBS[verb].partition(":")
    found: Verb = getattr(importlib.import_module(f"scripts.tables.{module}"), function)
    return found


def read_document(content: str) -> dict[str, Any]:
    """Return the JSON object in `content`; nothing stands for an empty one."""
    try:
        document = json.loads(content) if content.strip() else {}
    except ValueError as error:
        raise MisuseError(f"standard input is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise MisuseError("standard input must be a JSON object")
    return document


def run(arguments: list[str]) -> int:
    """Run the verb that the one argument names; the exit status."""
    if len(arguments) != 1 or arguments[0] not in VERBS:
        raise MisuseError(f"use `python3 -m scripts.tables VERB`; the verbs are {', '.join(VERBS)}")
    print(json.dumps(find(arguments[0])(read_document(sys.stdin.read())), ensure_ascii=False))
    return 0


def of_the_driver() -> tuple[type[Exception], ...]:
    """Return what the driver raises, where a verb has imported it, which takes longer than the verbs without it."""
    driver = sys.modules.get("cassandra")
    return (driver.DriverException,) if driver else ()


def main(arguments: list[str]) -> int:
    """Run a verb and turn every expected error into its exit status."""
    try:
        return run(arguments)
    except Refused as refusal:
        print(json.dumps({"refused": str(refusal), **refusal.details}, ensure_ascii=False))
        return REFUSED
    except Exception as error:
        if not isinstance(error, (TablesError, DatabaseError, *of_the_driver())):
            raise
        print(f"scripts.tables: {error}", file=sys.stderr)
        return 2 if isinstance(error, MisuseError | RequestError) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
