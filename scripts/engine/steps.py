"""Which steps a registration leads to: same, create, update or replace. Pure decisions, no effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from scripts.engine.diff import Diff, apply_replace_on_changes
from scripts.engine.goal import Goal
from scripts.engine.state import ResourceState, is_default, provider_urn
from scripts.engine.values import equal_maps


class Op(StrEnum):
    """Step operations, with the CLI's names."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    DISCARD = "remove-pending-replace"


@dataclass
class Step:
    """One step on one resource."""

    op: Op
    old: ResourceState | None
    new: ResourceState | None
    diff: Diff

    @property
    def state(self) -> ResourceState:
        """The state the step is about: the new one where there is one."""
        state = self.new or self.old
        assert state is not None  # noqa: S101 - a step is always about a resource
        return state

    @property
    def urn(self) -> str:
        """The resource's URN."""
        return self.state.urn


@dataclass(frozen=True)
class Decision:
    """What to do about a registered resource."""

    kind: Op
    """SAME, CREATE, UPDATE or REPLACE."""
    diff: Diff
    delete_first: bool = False
    """For REPLACE: delete the old resource before creating the new one."""


def new_state(goal: Goal, urn: str, old: ResourceState | None, provider: str) -> ResourceState:
    """The state that the goal describes, before anything is done."""
    return ResourceState(
        urn=urn,
        type=goal.type,
        custom=goal.custom,
        inputs=goal.properties,
        parent=goal.parent,
        protect=bool(goal.protect),
        dependencies=goal.dependencies,
        provider=provider,
        property_dependencies=goal.property_dependencies,
        additional_secret_outputs=goal.additional_secret_outputs,
        aliases=[old.urn] if old is not None and old.urn != urn else [],
        custom_timeouts=goal.custom_timeouts,
        retain_on_delete=bool(goal.retain_on_delete),
        deleted_with=goal.deleted_with,
        replace_with=goal.replace_with,
        created=old.created if old else "",
        modified=old.modified if old else "",
        source_position=goal.source_position,
        stack_trace=goal.stack_trace,
        ignore_changes=goal.ignore_changes,
        hide_diff=list(goal.hide_diff),
        replace_on_changes=goal.replace_on_changes,
    )


def decide(
    goal: Goal,
    old: ResourceState | None,
    new: ResourceState,
    replaced: set[str],
    ask: Callable[[ResourceState, ResourceState], Diff],
) -> Decision:
    """What to do, given the state before and the state wanted.

    `replaced` are URNs replaced in this update; `ask` is the provider's answer to what differs.
    """
    if old is None:
        return Decision(Op.CREATE, Diff(changed=True))
    diff = apply_replace_on_changes(_diff(goal, old, new, replaced, ask), goal.replace_on_changes)
    if old.pending_replacement or (diff.changed and diff.replaces):
        first = diff.delete_first if goal.delete_before_replace is None else goal.delete_before_replace
        return Decision(Op.REPLACE, diff, delete_first=old.pending_replacement or first)
    if diff.changed:
        return Decision(Op.UPDATE, diff)
    return Decision(Op.SAME, diff)


def _diff(
    goal: Goal,
    old: ResourceState,
    new: ResourceState,
    replaced: set[str],
    ask: Callable[[ResourceState, ResourceState], Diff],
) -> Diff:
    for key, urns in (("replaceWith", goal.replace_with), ("deletedWith", [goal.deleted_with])):
        if any(urn in replaced for urn in urns):
            return Diff(changed=True, replace_keys=[key])
    if _moved(old.provider, new.provider):
        return Diff(changed=True, replace_keys=["provider"], delete_first=True)
    if new.custom and not new.is_provider:
        return ask(old, new)
    if equal_maps(old.inputs, new.inputs):
        return Diff()
    return Diff(changed=True)


def _moved(before: str, after: str) -> bool:
    """Whether a resource goes to another provider; another version of a default one is none."""
    if not before or not after:
        return bool(before) != bool(after)
    old, new = provider_urn(before), provider_urn(after)
    return old != new and not (is_default(old) and is_default(new))


def inherit(goal: Goal, parent: Goal | None) -> None:
    """Options that a resource takes from its parent where it says nothing itself."""
    if parent is None:
        return
    goal.deleted_with = goal.deleted_with or parent.deleted_with
    if goal.protect is None:
        goal.protect = parent.protect
    if goal.retain_on_delete is None:
        goal.retain_on_delete = parent.retain_on_delete
