"""How a stage can end badly; each message is one sentence that becomes the verdict's reason.

- `StageFailedError`   the release cannot go on: the guard takes it back
- `RefusedError`       preflight will not begin; nothing was touched
- `HeldError`          acting would take users down: nothing is changed, a person must look
- `FencedError`        somebody with a newer token has changed the traffic: this release has lost its say
- `RevertedError`      a load balancer's dead-man timer has taken the shift back
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StageError(Exception):
    """A stage that did not pass; `figures` are what it measured until then."""

    def __init__(self, reason: str, figures: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.figures = dict(figures or {})


class StageFailedError(StageError):
    """The release cannot go on."""


class RefusedError(StageError):
    """The release must not begin."""


class HeldError(StageError):
    """Nothing may be changed."""


class FencedError(StageFailedError):
    """A newer release has spoken."""


class RevertedError(StageFailedError):
    """The dead-man timer has fired."""
