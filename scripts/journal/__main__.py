"""`python3 -m scripts.journal VERB`, or `listen`; `program` says how. The verbs are those of `store.VERBS`."""

import sys

from scripts.journal.program import MISUSED, REFUSED, Document, Said, serve
from scripts.journal.store import VERBS, MisuseError, Refused, Store, StoreError


def say(verb: str, document: Document) -> Said:
    """Run a verb and turn every expected error into its exit status."""
    try:
        return Said(0, VERBS[verb](Store(), document))
    except Refused as refusal:
        return Said(REFUSED, {"refused": str(refusal), **refusal.details})
    except StoreError as error:
        return Said(MISUSED if isinstance(error, MisuseError) else 1, sentence=str(error))


if __name__ == "__main__":
    sys.exit(serve("scripts.journal", VERBS, say, sys.argv[1:]))
