"""The dependency graph of a state: in which order resources can be deleted, and what depends on what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from scripts.engine.state import ResourceState, provider_urn


def dependency_urns(state: ResourceState) -> set[str]:
    """URNs of everything that must be there as long as the resource is: its dependencies, parent and provider."""
    urns = {*state.dependencies, *(urn for urns in state.property_dependencies.values() for urn in urns)}
    urns |= {state.parent, state.deleted_with, *state.replace_with}
    if state.provider:
        urns.add(provider_urn(state.provider))
    urns.discard("")
    return urns


def deletion_order(resources: list[ResourceState], condemned: Iterable[ResourceState]) -> list[list[ResourceState]]:
    """The condemned resources in rounds: each round may be deleted at once, after the rounds before it.

    `resources` is the whole state in its order, in which a resource comes after what it depends on.
    """
    doomed = {id(state) for state in condemned}
    depth: dict[int, int] = {}
    seen: dict[str, list[ResourceState]] = defaultdict(list)
    for state in resources:
        if id(state) in doomed:
            needed = [other for urn in dependency_urns(state) for other in seen[urn]]
            depth[id(state)] = 1 + max((depth[id(other)] for other in needed if id(other) in doomed), default=-1)
        seen[state.urn].append(state)
    rounds: dict[int, list[ResourceState]] = defaultdict(list)
    for state in resources:
        if id(state) in doomed:
            rounds[depth[id(state)]].append(state)
    return [rounds[level] for level in sorted(rounds, reverse=True)]


def needed_by(resources: list[ResourceState], kept: Iterable[ResourceState]) -> set[int]:
    """Ids of the kept states and of all that they need, directly or through others."""
    spared = {id(state) for state in kept}
    urns: set[str] = set()
    for state in reversed(resources):
        if state.urn in urns and not state.delete:
            spared.add(id(state))
        if id(state) in spared:
            urns |= dependency_urns(state)
    return spared


def replaced_dependents(resources: list[ResourceState], root: ResourceState) -> list[ResourceState]:
    """What must be deleted before `root` is, when it is deleted before its replacement is created.

    Those are resources that its replacement would replace: their `triggers` depend on it, directly or through others,
    or they are deleted or replaced with it. In dependency order.
    """
    condemned = {root.urn}
    found = []
    for state in resources:
        if state is root or state.delete or not state.custom or state.is_provider:
            continue
        causes = {*state.property_dependencies.get("triggers", ()), state.deleted_with, *state.replace_with}
        if causes & condemned:
            condemned.add(state.urn)
            found.append(state)
    return found
