"""A resource as the state holds it, and its form in the checkpoint (apitype.ResourceV3)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scripts.engine.serde import Decrypt, Encrypt, properties_from_json, properties_to_json
from scripts.engine.values import PropertyMap

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


@dataclass(eq=False)
class ResourceState:
    """One resource: what the program asked for (inputs), what came of it (outputs), and its place in the graph."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: PropertyMap = field(default_factory=dict)
    outputs: PropertyMap = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    dependencies: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    delete: bool = False
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    created: str = ""
    modified: str = ""
    source_position: str = ""
    stack_trace: list[dict[str, str]] = field(default_factory=list)
    ignore_changes: list[str] = field(default_factory=list)
    hide_diff: list[Any] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    other: dict[str, Any] = field(default_factory=dict)
    """Members of the checkpoint that this engine does not use; kept as they were."""
    text: str | None = field(default=None, repr=False)
    """The checkpoint text of this state, while it is current; see `change`."""

    @property
    def name(self) -> str:
        """The resource's name, the last part of its URN."""
        return urn_name(self.urn)

    @property
    def is_provider(self) -> bool:
        """Whether this is a provider's own resource."""
        return self.type.startswith(PROVIDER_PREFIX)

    def change(self, **changes: Any) -> None:
        """Set attributes of a state that may already be in a snapshot, so that its text is written anew."""
        for key, value in changes.items():
            setattr(self, key, value)
        self.text = None

    def copy(self) -> ResourceState:
        """A shallow copy with its own text."""
        clone = copy.copy(self)
        clone.text = None
        return clone


_MEMBERS = {  # checkpoint member -> attribute, in the order of apitype.ResourceV3
    "delete": "delete",
    "id": "id",
    "type": "type",
    "inputs": "inputs",
    "outputs": "outputs",
    "parent": "parent",
    "protect": "protect",
    "dependencies": "dependencies",
    "initErrors": "init_errors",
    "provider": "provider",
    "propertyDependencies": "property_dependencies",
    "pendingReplacement": "pending_replacement",
    "additionalSecretOutputs": "additional_secret_outputs",
    "aliases": "aliases",
    "customTimeouts": "custom_timeouts",
    "retainOnDelete": "retain_on_delete",
    "deletedWith": "deleted_with",
    "replaceWith": "replace_with",
    "created": "created",
    "modified": "modified",
    "sourcePosition": "source_position",
    "stackTrace": "stack_trace",
    "ignoreChanges": "ignore_changes",
    "hideDiff": "hide_diff",
    "replaceOnChanges": "replace_on_changes",
}


def state_to_json(state: ResourceState, encrypt: Encrypt) -> dict[str, Any]:
    """A resource in the checkpoint's form; empty members are left out, as the CLI does."""
    result: dict[str, Any] = {"urn": state.urn, "custom": state.custom}
    for member, attribute in _MEMBERS.items():
        value = getattr(state, attribute)
        if attribute in ("inputs", "outputs"):
            value = properties_to_json(value, encrypt)
        if value:
            result[member] = value
    return {**result, **state.other}


def state_from_json(raw: dict[str, Any], decrypt: Decrypt) -> ResourceState:
    """The inverse of `state_to_json`."""
    members: dict[str, Any] = {attribute: raw[member] for member, attribute in _MEMBERS.items() if member in raw}
    for attribute in ("inputs", "outputs"):
        if attribute in members:
            members[attribute] = properties_from_json(members[attribute], decrypt)
    known = {*_MEMBERS, "urn", "custom"}
    other = {key: value for key, value in raw.items() if key not in known}
    return ResourceState(urn=raw["urn"], custom=bool(raw.get("custom")), other=other, **members)


def now_text() -> str:
    """The present as the checkpoint writes times (RFC 3339, UTC)."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def make_urn(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """A resource's URN; a parent's types come before its own, except the stack's."""
    parent_types = urn_types(parent) if parent else ""
    if parent_types and parent_types != STACK_TYPE:
        type_ = f"{parent_types}${type_}"
    return f"urn:pulumi:{stack}::{project}::{type_}::{name}"


def urn_types(urn: str) -> str:
    """The qualified type inside a URN, the parents' types included."""
    return urn.split("::", 3)[2]


def urn_type(urn: str) -> str:
    """The resource's own type inside a URN."""
    return urn_types(urn).rsplit("$", 1)[-1]


def urn_name(urn: str) -> str:
    """The resource's name inside a URN."""
    return urn.split("::", 3)[3]


def provider_urn(reference: str) -> str:
    """The URN inside a provider reference `URN::ID`."""
    return reference.rsplit("::", 1)[0]


def is_default(provider: str) -> bool:
    """Whether a provider's URN is that of one that the engine made because resources needed it."""
    return urn_name(provider).startswith("default")
