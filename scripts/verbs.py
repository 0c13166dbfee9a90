"""A program of verbs: does the one that its arguments name, and tells failures in one sentence."""

import argparse
import sys
from collections.abc import Callable


def run_verb(
    name: str, parser: argparse.ArgumentParser, failure: type[Exception], first: Callable[[], None] = lambda: None
) -> int:
    """Do the parser's `action`, after `first`; return the exit status: 1 at a `failure`, 130 at Ctrl-C."""
    arguments = parser.parse_args()
    try:
        first()
        action: Callable[[argparse.Namespace], None] = arguments.action
        action(arguments)
    except failure as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same again to finish.", file=sys.stderr)
        return 130
    return 0
