"""What the engine asks of a provider, whether it is built in or a plugin in a process of its own."""

from __future__ import annotations

from typing import Protocol

from scripts.engine.diff import Diff
from scripts.engine.providers.context import OperationContext
from scripts.engine.state import ResourceState
from scripts.engine.values import PropertyMap


class Provider(Protocol):
    """Operations on resources of one package. A failure is a ProviderError; bad inputs are an EngineError."""

    def check(self, new: ResourceState, old: ResourceState | None) -> PropertyMap:
        """Inputs as the provider stores them."""

    def diff(self, old: ResourceState, new: ResourceState, ignore: list[str]) -> Diff:
        """What changed, and whether that takes another resource."""

    def create(self, new: ResourceState, context: OperationContext) -> tuple[str, PropertyMap]:
        """Create; the new id and the outputs."""

    def preview_create(self, new: ResourceState) -> tuple[str, PropertyMap]:
        """The same as far as it is known before; the id may be empty."""

    def update(self, old: ResourceState, new: ResourceState, context: OperationContext) -> PropertyMap:
        """Update in place; the outputs."""

    def preview_update(self, old: ResourceState, new: ResourceState) -> PropertyMap:
        """The same as far as it is known before."""

    def delete(self, old: ResourceState, context: OperationContext) -> None:
        """Delete."""

    def invoke(self, token: str, arguments: PropertyMap, context: OperationContext) -> PropertyMap:
        """Call a function, in previews too."""
