"""Errors of this package, all below TablesError; each message is one sentence for a person.

- `Refused`       no, and nothing was changed (exit status 3); `details` go with the sentence
- `MisuseError`   the caller's document makes no sense (exit status 2)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TablesError(Exception):
    """The verb was not done (exit status 1)."""


class Refused(TablesError):  # noqa: N818  # «refused» is the word of the protocol
    """What was asked for is not done, for a reason that a person can remove."""

    def __init__(self, sentence: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.details = dict(details or {})


class MisuseError(TablesError):
    """A verb, a key or a value that does not exist."""
