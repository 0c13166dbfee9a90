"""The service's log: one line of JSON an event, to standard error and so to the host's journal. Never a secret."""

from __future__ import annotations

import json
import sys

LONGEST = 200


def audit(what: str, **details: object) -> None:
    """Write one line. Strings are cut and quoted by JSON, so no sender can forge a line of their own."""
    line = {"what": what} | {name: shorten(value) for name, value in details.items() if value is not None}
    # One write, so that lines of several threads never mix.
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def shorten(value: object) -> object:
    """A value, strings no longer than a line should be."""
    return value[:LONGEST] if isinstance(value, str) else value
