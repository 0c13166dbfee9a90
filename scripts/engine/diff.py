"""Differences between property maps, as the CLI's engine and pulumi-command compute them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from scripts.engine.values import (
    WILDCARD,
    Path,
    PropertyMap,
    Secret,
    Value,
    equal,
    parse_path,
    path_contains,
    path_text,
)

ADD, DELETE, UPDATE = "add", "delete", "update"
REPLACING = "-replace"


@dataclass
class Diff:
    """What changed: `detailed` maps a property path to its kind (add, delete, update, each maybe with -replace)."""

    changed: bool = False
    detailed: dict[str, str] | None = None
    keys: list[str] = field(default_factory=list)
    """Top-level properties that changed."""
    replace_keys: list[str] = field(default_factory=list)
    """What the replacement is due to; empty when an update will do."""
    delete_first: bool = False
    """Whether the provider wants the old resource deleted before the new one is created."""

    @property
    def replaces(self) -> bool:
        """Whether the resource must be replaced."""
        kinds = (self.detailed or {}).values()
        return bool(self.replace_keys) or any(kind.endswith(REPLACING) for kind in kinds)


def detailed_diff(old: PropertyMap, new: PropertyMap) -> dict[str, str]:
    """Changed paths between two property maps; a null property counts as an absent one."""
    return {path_text(path): kind for path, kind in _diff_maps((), old, new)}


def _diff_maps(prefix: Path, old: PropertyMap, new: PropertyMap) -> Iterable[tuple[Path, str]]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if _has_value(before) and _has_value(after):
            yield from _diff_values((*prefix, key), before, after)
        elif _has_value(before):
            yield (*prefix, key), DELETE
        elif _has_value(after):
            yield (*prefix, key), ADD


def _has_value(value: Value) -> bool:
    return _has_value(value.value) if isinstance(value, Secret) else value is not None


def _diff_values(path: Path, old: Value, new: Value) -> Iterable[tuple[Path, str]]:
    if isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _diff_values((*path, index), before, after)
        for index in range(len(new), len(old)):
            yield (*path, index), DELETE
        for index in range(len(old), len(new)):
            yield (*path, index), ADD
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _diff_maps(path, old, new)
    elif not equal(old, new):
        yield path, ADD if old is None else DELETE if new is None else UPDATE


def command_diff(old: PropertyMap, new: PropertyMap) -> Diff:
    """pulumi-command's own answer: `triggers` appearing or going replaces, all else is an update."""
    detailed = detailed_diff(old, new)
    for path, kind in detailed.items():
        if path == "triggers":
            detailed[path] = kind + REPLACING
    return Diff(
        changed=bool(detailed),
        detailed=detailed,
        keys=_heads(detailed),
        replace_keys=_heads(path for path, kind in detailed.items() if kind.endswith(REPLACING)),
    )


def _heads(paths: Iterable[str]) -> list[str]:
    return sorted({str(parse_path(path)[0]) for path in paths})


def apply_replace_on_changes(diff: Diff, patterns: list[str]) -> Diff:
    """Turn changes under the resource's `replaceOnChanges` paths into replacing ones."""
    if not diff.changed:
        return diff
    wanted = [parse_path(pattern) for pattern in patterns]

    def hit(path: str) -> bool:
        return any(path_contains(pattern, parse_path(path)) for pattern in wanted)

    detailed = diff.detailed
    if detailed is not None:
        detailed = {
            path: kind if kind.endswith(REPLACING) or not hit(path) else kind + REPLACING
            for path, kind in detailed.items()
        }
    replace_keys = sorted({*diff.replace_keys, *(key for key in diff.keys if hit(key))})
    return replace(diff, detailed=detailed, replace_keys=replace_keys)


def reset_ignored(new: PropertyMap, old: PropertyMap, ignore: list[str]) -> PropertyMap:
    """New inputs with the `ignoreChanges` paths set back to what they were."""
    result = new
    for text in ignore:
        result = _reset(result, old, parse_path(text))
    return result


_ABSENT = object()


def _reset(new: Value, old: Value, path: Path) -> Value:
    """`new` with the part under `path` taken from `old`; parts that only one side has stay as they are."""
    if not path:
        return old
    step, rest = path[0], path[1:]
    if isinstance(new, list) and isinstance(old, list):
        wanted = range(min(len(new), len(old))) if step == WILDCARD else [step] if isinstance(step, int) else []
        copied = list(new)
        for index in wanted:
            if index < min(len(new), len(old)):
                copied[index] = _reset(new[index], old[index], rest)
        return copied
    if isinstance(new, dict) and isinstance(old, dict):
        keys = [*new.keys() & old.keys()] if step == WILDCARD else [str(step)]
        merged = dict(new)
        for key in keys:
            if not rest and old.get(key, _ABSENT) is _ABSENT:
                merged.pop(key, None)
            elif not rest or (key in new and key in old):
                merged[key] = _reset(new.get(key), old[key], rest)
        return merged
    return new
