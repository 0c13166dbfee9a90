"""Finds the state that a registration continues: by URN, or by an alias."""

from __future__ import annotations

from typing import Any

from scripts.engine.errors import EngineError
from scripts.engine.goal import Goal
from scripts.engine.state import ResourceState, make_urn


class OldStates:
    """The states before an update, each found once."""

    def __init__(self, states: list[ResourceState], stack: str, project: str) -> None:
        self._states = {state.urn: state for state in states if not state.delete}
        self._stack = stack
        self._project = project
        self._renamed: dict[str, str] = {}

    def find(self, goal: Goal, urn: str) -> ResourceState | None:
        """The old state of the goal's resource, or None."""
        for candidate in (urn, *self._alias_urns(goal)):
            state = self._states.get(candidate)
            if state is None:
                continue
            taken = self._renamed.setdefault(candidate, urn)
            if taken != urn:
                raise EngineError(
                    f"both {taken} and {urn} claim to continue {candidate}; let one alias only name each resource"
                )
            return state
        return None

    def continued(self, urn: str) -> bool:
        """Whether a resource of this run continues the state with this URN."""
        return urn in self._renamed

    def _alias_urns(self, goal: Goal) -> list[str]:
        return [self._alias_urn(alias, goal) for alias in goal.aliases]

    def _alias_urn(self, alias: Any, goal: Goal) -> str:
        if alias.WhichOneof("alias") != "spec":
            return str(alias.urn)
        spec = alias.spec
        parent = "" if spec.noParent else spec.parentUrn or goal.parent
        return make_urn(
            spec.stack or self._stack,
            spec.project or self._project,
            parent,
            spec.type or goal.type,
            spec.name or goal.name,
        )
