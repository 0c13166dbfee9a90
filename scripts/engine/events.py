"""What a deployment tells whoever shows or records it."""

from __future__ import annotations

from typing import Protocol

from scripts.engine.state import ResourceState
from scripts.engine.steps import Step
from scripts.engine.values import PropertyMap


class Sink(Protocol):
    """Receives a deployment's events, from several threads at once."""

    def started(self, step: Step) -> None:
        """A step begins; the new state is as before the step."""

    def finished(self, step: Step, seconds: float) -> None:
        """A step succeeded."""

    def failed(self, step: Step, reason: str, seconds: float) -> None:
        """A step failed."""

    def status(self, urn: str, line: str) -> None:
        """A running step printed a line."""

    def log(self, urn: str, severity: str, text: str) -> None:
        """A message for the user; severity is info, warning or error; urn may be empty."""

    def outputs(self, state: ResourceState, before: PropertyMap) -> None:
        """A component registered its outputs; `before` are those it had."""
