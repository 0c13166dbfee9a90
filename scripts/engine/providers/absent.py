"""A provider that cannot be asked: its plugin is not installed, or a preview does not know its configuration yet.

The CLI treats a provider with unknown configuration like this: inputs are compared as they are, outputs are unknown.
"""

from __future__ import annotations

from scripts.engine.diff import Diff
from scripts.engine.errors import EngineError
from scripts.engine.providers.context import OperationContext
from scripts.engine.state import ResourceState
from scripts.engine.values import PropertyMap, Secret, Value, equal

_NOTES = "__defaults"


class AbsentProvider:
    """Previews; everything else is refused with `remedy`."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy

    def check(self, new: ResourceState, old: ResourceState | None) -> PropertyMap:
        """The inputs as they are."""
        del old
        return new.inputs

    def diff(self, old: ResourceState, new: ResourceState, ignore: list[str]) -> Diff:
        """Whether the inputs differ; what follows from it is not known here."""
        del ignore
        before, after = _bare(old.inputs), _bare(new.inputs)
        keys = [key for key in before.keys() | after.keys() if not equal(before.get(key), after.get(key))]
        return Diff(changed=bool(keys), keys=sorted(keys))

    def preview_create(self, new: ResourceState) -> tuple[str, PropertyMap]:
        """No id, and of the outputs those that are inputs: the program takes the others for unknown."""
        return "", dict(new.inputs)

    def preview_update(self, old: ResourceState, new: ResourceState) -> PropertyMap:
        """What it was, with the new inputs."""
        return {**old.outputs, **new.inputs}

    def create(self, new: ResourceState, context: OperationContext) -> tuple[str, PropertyMap]:
        """Refused."""
        raise EngineError(self._remedy)

    def update(self, old: ResourceState, new: ResourceState, context: OperationContext) -> PropertyMap:
        """Refused."""
        raise EngineError(self._remedy)

    def delete(self, old: ResourceState, context: OperationContext) -> None:
        """Refused."""
        raise EngineError(self._remedy)

    def invoke(self, token: str, arguments: PropertyMap, context: OperationContext) -> PropertyMap:
        """Refused."""
        raise EngineError(self._remedy)


def _bare(value: Value) -> Value:
    """Without what a provider noted about its inputs when it could be asked."""
    if isinstance(value, Secret):
        return Secret(_bare(value.value))
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key != _NOTES}
    return value
