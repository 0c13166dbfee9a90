"""Property values as the engine holds them, and comparison of them.

A value is plain JSON data (None, bool, int, float, str, list, dict) with three additions: `Secret` marks what must be
encrypted in the state and hidden on screen, `UNKNOWN` stands for what a preview cannot know, and `ResourceRef` points
to a resource. `Output` only lives between the wire and the engine, where it is turned into the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

Value = Any
"""A property value, see the module's description."""
PropertyMap = dict[str, Value]
Path = tuple[str | int, ...]


class _Unknown:
    """The type of UNKNOWN."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, _memo: object) -> _Unknown:
        return self


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is encrypted in the state and never shown."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(...)"


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """A reference to a resource, by URN and (for custom resources) id."""

    urn: str
    id: Value = None
    package_version: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """An output as the SDK sends it: perhaps unknown, perhaps secret, with the resources it came from."""

    value: Value
    known: bool
    secret: bool
    dependencies: tuple[str, ...] = field(default=())


def lower_outputs(value: Value) -> Value:
    """Replace every `Output` by a plain value, `Secret` or `UNKNOWN`."""
    if isinstance(value, Output):
        inner = lower_outputs(value.value) if value.known else UNKNOWN
        return Secret(inner) if value.secret else inner
    if isinstance(value, Secret):
        return Secret(lower_outputs(value.value))
    if isinstance(value, list):
        return [lower_outputs(item) for item in value]
    if isinstance(value, dict):
        return {key: lower_outputs(item) for key, item in value.items()}
    return value


def output_dependencies(value: Value) -> set[str]:
    """URNs that the outputs inside a value came from."""
    return {urn for part in _walk(value) if isinstance(part, Output) for urn in part.dependencies}


def _walk(value: Value) -> Iterator[Value]:
    yield value
    if isinstance(value, list):
        for item in value:
            yield from _walk(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, Secret | Output):
        yield from _walk(value.value)
    elif isinstance(value, ResourceRef):
        yield from _walk(value.id)


def contains_unknown(value: Value) -> bool:
    """Whether any part of the value is unknown."""
    return any(part is UNKNOWN for part in _walk(value))


def contains_secret(value: Value) -> bool:
    """Whether any part of the value is secret."""
    return any(isinstance(part, Secret) for part in _walk(value))


def reveal(value: Value) -> Value:
    """The value with every secret mark taken off."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, list):
        return [reveal(item) for item in value]
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    return value


def equal(left: Value, right: Value) -> bool:
    """Deep equality as the CLI has it: a secret equals only a secret, 1 equals 1.0 but not True."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Secret) or isinstance(right, Secret):
        return isinstance(left, Secret) and isinstance(right, Secret) and equal(left.value, right.value)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return equal_maps(left, right)
    if isinstance(left, ResourceRef) and isinstance(right, ResourceRef):
        return left.urn == right.urn and (equal(left.id, right.id) or UNKNOWN in (left.id, right.id))
    return bool(left == right)


def equal_maps(left: PropertyMap, right: PropertyMap) -> bool:
    """Equality of property maps; a null property equals an absent one."""
    return all(equal(left.get(key), right.get(key)) for key in left.keys() | right.keys())


_PLAIN_KEY = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$]*$")
_STEP = re.compile(r'\.?([A-Za-z_$][A-Za-z0-9_$-]*)|\[(\d+)\]|\[\*\]|(?:^|\.)(\*)|\["((?:[^"\\]|\\.)*)"\]')
WILDCARD = "*"


def path_text(path: Path) -> str:
    """A property path in the CLI's notation: `environment.KEY`, `triggers[0]`, `a["b.c"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.match(step):
            text += f".{step}" if text else step
        else:
            text += '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return text


def parse_path(text: str) -> Path:
    """The inverse of `path_text`; `[*]` and `.*` become WILDCARD. Raises ValueError for what it cannot read."""
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f"cannot read the property path {text!r}")
        name, index, star, quoted = match.groups()
        if name is not None:
            steps.append(name)
        elif index is not None:
            steps.append(int(index))
        elif quoted is not None:
            steps.append(quoted.replace('\\"', '"').replace("\\\\", "\\"))
        else:
            del star
            steps.append(WILDCARD)
        position = match.end()
    return tuple(steps)


def path_contains(pattern: Path, path: Path) -> bool:
    """Whether the pattern names the path or something above it."""
    if len(pattern) > len(path):
        return False
    return all(step in (WILDCARD, other) for step, other in zip(pattern, path, strict=False))
