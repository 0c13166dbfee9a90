"""Errors of the journal, all below StoreError; each message is one sentence.

- `Refused`       the journal says no, and nothing was changed (exit status 3); `details` go with the sentence
- `MisuseError`   the caller's document makes no sense (exit status 2)
- `DamagedError`  the database cannot be read or written (exit status 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StoreError(Exception):
    """The verb was not done."""


class Refused(StoreError):  # noqa: N818  # «refused» is the word of the protocol
    """The journal says no."""

    def __init__(self, sentence: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.details = dict(details or {})


class MisuseError(StoreError):
    """A verb, a key or a value that does not exist."""


class DamagedError(StoreError):
    """The journal's file cannot be used."""
