"""What a registration asks for, taken from the protocol's request."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scripts.engine.errors import EngineError
from scripts.engine.values import PropertyMap, lower_outputs, output_dependencies
from scripts.engine.wire import from_struct

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class Goal:
    """A resource as the program wants it."""

    type: str
    name: str
    custom: bool
    properties: PropertyMap = field(default_factory=dict)
    parent: str = ""
    protect: bool | None = None
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    version: str = ""
    provider: str = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    delete_before_replace: bool | None = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    aliases: list[Any] = field(default_factory=list)
    """Protocol messages pulumirpc.Alias."""
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    hide_diff: list[str] = field(default_factory=list)
    source_position: str = ""
    stack_trace: list[dict[str, str]] = field(default_factory=list)


def goal_from_request(request: Any, root: Path) -> Goal:
    """The goal in a RegisterResourceRequest; EngineError for what this engine does not do."""
    if request.remote:
        raise EngineError(
            f"{request.type} is a remote component, which the embedded engine does not run; use the Pulumi CLI"
        )
    if request.importId:
        raise EngineError(
            f"{request.name} asks to be imported, which the embedded engine does not do; use the Pulumi CLI"
        )
    properties = from_struct(request.object)
    dependencies = set(request.dependencies)
    per_property = {key: set(value.urns) for key, value in request.propertyDependencies.items()}
    if not per_property:
        per_property = {key: set(dependencies) for key in properties}
    for key, value in properties.items():
        per_property.setdefault(key, set()).update(output_dependencies(value))
    defined = request.deleteBeforeReplaceDefined or request.deleteBeforeReplace
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        properties={key: lower_outputs(value) for key, value in properties.items()},
        parent=request.parent,
        protect=request.protect if request.HasField("protect") else None,
        dependencies=sorted(dependencies),
        property_dependencies={key: sorted(urns) for key, urns in sorted(per_property.items())},
        version=request.version,
        provider=request.provider,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        delete_before_replace=request.deleteBeforeReplace if defined else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        deleted_with=request.deletedWith,
        replace_with=list(request.replace_with),
        aliases=list(request.aliases),
        custom_timeouts=_timeouts(request.customTimeouts),
        hide_diff=list(request.hideDiffs),
        source_position=_position(request.sourcePosition, root),
        stack_trace=[_frame(_position(frame.pc, root)) for frame in request.stackTrace.frames],
    )


def _timeouts(message: Any) -> dict[str, float]:
    found = {key: _seconds(getattr(message, key)) for key in ("create", "update", "delete") if getattr(message, key)}
    return {key: value for key, value in found.items() if value}


def _seconds(text: str) -> float:
    """A Go duration such as 5m30s in seconds."""
    total, number = 0.0, ""
    position = 0
    while position < len(text):
        if text[position].isdigit() or text[position] == ".":
            number += text[position]
            position += 1
            continue
        unit = "ms" if text.startswith("ms", position) else text[position]
        if unit not in _UNITS or not number:
            raise EngineError(f"the custom timeout {text!r} is not a duration such as 5m")
        total += float(number) * _UNITS[unit]
        number, position = "", position + len(unit)
    return total


def _frame(position: str) -> dict[str, str]:
    return {"sourcePosition": position} if position else {}


def _position(position: Any, root: Path) -> str:
    """A source position relative to the project, as the CLI stores it."""
    parts = urlsplit(position.uri)
    if parts.scheme != "file":
        return ""
    relative = os.path.relpath(unquote(parts.path), root)
    column = f",{position.column}" if position.column else ""
    return f"project:///{relative}#{position.line}{column}"
