"""What a verb is asked: its document read key by key, every wrong value refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scripts.journal.errors import MisuseError

LONGEST = 2000  # characters of a text: these are sentences and names, not logs


def allow(asked: Mapping[str, Any], *keys: str) -> None:
    """Refuse keys that the verb does not know: a misspelled one would be ignored silently."""
    if unknown := sorted(set(asked) - set(keys)):
        raise MisuseError(f"there is no key {', '.join(unknown)}; there are {', '.join(keys)}")


def text(asked: Mapping[str, Any], key: str) -> str:
    """A text that is not empty."""
    if not (found := optional_text(asked, key)):
        raise MisuseError(f"{key} is missing; it must be a text that is not empty")
    return found


def optional_text(asked: Mapping[str, Any], key: str) -> str:
    """A text, stripped; "" where it is missing or null."""
    value = asked.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise MisuseError(f"{key} must be a text of at most {LONGEST} characters")
    return value.strip()


def sentence(asked: Mapping[str, Any], key: str) -> str:
    """A text in a program's words, cut where it is too long: how a release went is recorded whatever it says."""
    value = asked.get(key)
    if isinstance(value, str) and len(value) > LONGEST:
        return value[: LONGEST - 1].strip() + "…"
    return optional_text(asked, key)


def number(asked: Mapping[str, Any], key: str) -> float:
    """A number, finite and not negative."""
    value = asked.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise MisuseError(f"{key} is {value!r}; it must be a number that is not negative")
    return float(value)


def optional_number(asked: Mapping[str, Any], key: str) -> float | None:
    """A number; None where it is missing or null."""
    return None if asked.get(key) is None else number(asked, key)


def whole(asked: Mapping[str, Any], key: str, default: int | None = None, most: int = 2**53) -> int:
    """A whole number from 0 to `most`."""
    value = asked.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise MisuseError(f"{key} is {value!r}; it must be a whole number from 0 to {most}")
    return value


def nested(asked: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A JSON object."""
    value = asked.get(key)
    if not isinstance(value, dict):
        raise MisuseError(f"{key} must be a JSON object")
    return value


def choice(asked: Mapping[str, Any], key: str, among: tuple[str, ...]) -> str:
    """One of a few words."""
    value = asked.get(key)
    if value not in among:
        raise MisuseError(f"{key} is {value!r}; it must be one of {', '.join(among)}")
    return str(value)
