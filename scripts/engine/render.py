"""Values and outputs as text for people, in the CLI's notation. Secrets are never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

from scripts.engine.diff import detailed_diff
from scripts.engine.serde import HIDDEN, compact_json, hide, to_json
from scripts.engine.values import UNKNOWN, PropertyMap, ResourceRef, Secret, Value, equal, parse_path, reveal

_STEP = "    "


def scalar(value: Value) -> str | None:
    """A value on one line, or None when it takes several."""
    if isinstance(value, Secret):
        return HIDDEN
    if value is UNKNOWN:
        return "[unknown]"
    if isinstance(value, ResourceRef):
        return value.urn
    if isinstance(value, dict | list) and value:
        return None
    return "<null>" if value is None else json.dumps(value, ensure_ascii=False)


def value_lines(value: Value, indent: str) -> Iterator[str]:
    """A value over several lines; the first belongs behind its key."""
    single = scalar(value)
    if single is not None:
        yield single
        return
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    yield opening
    yield from _members(value, indent + _STEP)
    yield indent + closing


def _members(value: Value, indent: str) -> Iterator[str]:
    items = sorted(value.items()) if isinstance(value, dict) else [(f"[{i}]", item) for i, item in enumerate(value)]
    width = max((len(key) for key, _ in items), default=0)
    for key, item in items:
        first, *rest = value_lines(item, indent)
        yield f"{indent}{key:<{width}}: {first}"
        yield from rest


def output_lines(outputs: PropertyMap, before: PropertyMap | None = None) -> Iterator[str]:
    """A stack's outputs; with `before`, changed ones are marked with +, - or ~."""
    keys = sorted(outputs.keys() | (before or {}).keys())
    width = max((len(key) for key in keys), default=0)
    for key in keys:
        old, new = (before or {}).get(key), outputs.get(key)
        if before is None or not before or (key in outputs and equal(old, new)):
            first, *rest = value_lines(new, _STEP)
            yield f"{_STEP}{key:<{width}}: {first}"
            yield from rest
        elif key not in outputs:
            yield f"  - {key:<{width}}: {_short(old)}"
        elif old is None:
            yield f"  + {key:<{width}}: {_short(new)}"
        else:
            yield f"  ~ {key:<{width}}: {_short(old)} => {_short(new)}"


def _short(value: Value, limit: int = 200) -> str:
    text = scalar(value) or compact_json(to_json(value, hide))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def diff_lines(old: PropertyMap, new: PropertyMap, indent: str) -> Iterator[str]:
    """What changes between two property maps, a line a path."""
    marks = {"add": "+", "delete": "-", "update": "~"}
    for path, kind in detailed_diff(old, new).items():
        before, after = _at(old, path), _at(new, path)
        shown = {"add": after, "delete": before}.get(kind)
        text = f"{before} => {after}" if shown is None else shown
        yield f"{indent}{marks[kind]} {path}: {text}"


def _at(properties: PropertyMap, path: str) -> str:
    value: Value = properties
    for step in parse_path(path):
        secret = isinstance(value, Secret)
        value = value.value if secret else value
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return "<null>"
        if secret:
            return HIDDEN
    return _short(value)


def plain_text(value: Value, show_secrets: bool) -> str:
    """A value as `stack output` prints it: strings bare, structures as JSON."""
    shown = reveal(value) if show_secrets else value
    if isinstance(shown, Secret):
        return HIDDEN
    if isinstance(shown, str):
        return shown
    return compact_json(plain_json(shown, show_secrets))


def plain_json(value: Value, show_secrets: bool) -> Value:
    """A value as plain JSON data, secrets shown or as [secret]."""
    if isinstance(value, Secret):
        return plain_json(value.value, show_secrets) if show_secrets else HIDDEN
    if isinstance(value, list):
        return [plain_json(item, show_secrets) for item in value]
    if isinstance(value, dict):
        return {key: plain_json(item, show_secrets) for key, item in sorted(value.items())}
    if isinstance(value, ResourceRef):
        return value.id if isinstance(value.id, str) and value.id else value.urn
    return None if value is UNKNOWN else value
