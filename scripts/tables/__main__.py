"""`python3 -m scripts.tables VERB`, or `listen`; scripts.journal.program says how.

Every verb takes {"ring": RING, "data": DATA, …}; its module says what else.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from scripts.database.errors import DatabaseError, RequestError
from scripts.journal.program import MISUSED, REFUSED, Document, Said, serve
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
Verb = Callable[[Mapping[str, Any]], dict[str, Any]]


def find(verb: str) -> Verb:
    """Return the function of a verb: it takes the whole JSON document and returns the answer."""
    module, _, function = VERBS[verb].partition(":")
    found: Verb = getattr(importlib.import_module(f"scripts.tables.{module}"), function)
    return found


def say(verb: str, document: Document) -> Said:
    """Run a verb and turn every expected error into its exit status."""
    try:
        return Said(0, find(verb)(document))
    except Refused as refusal:
        return Said(REFUSED, {"refused": str(refusal), **refusal.details})
    except Exception as error:
        if not isinstance(error, (TablesError, DatabaseError, *of_the_driver())):
            raise
        return Said(MISUSED if isinstance(error, MisuseError | RequestError) else 1, sentence=str(error))


def of_the_driver() -> tuple[type[Exception], ...]:
    """Return what the driver raises, where a verb has imported it, which takes longer than the verbs without it."""
    driver = sys.modules.get("cassandra")
    return (driver.DriverException,) if driver else ()


if __name__ == "__main__":
    sys.exit(serve("scripts.tables", VERBS, say, sys.argv[1:]))
