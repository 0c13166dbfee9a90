"""Look-ups in a manifest's TOML, each of which refuses a bad value by the key's full name; pure Python."""

from __future__ import annotations

import re
from typing import Any

FILE_NAME = "evenkeel.toml"
NO_DEFAULT = object()


class ArtifactError(ValueError):
    """An artifact or manifest that cannot be used; the message is one sentence for the person who made it."""


class Fields:
    """Typed look-ups in one TOML table; each refuses a bad value by the key's full name, in one sentence."""

    def __init__(self, values: object, where: str) -> None:
        self.where = where
        if not isinstance(values, dict):
            raise ArtifactError(f"{FILE_NAME}: {where} is {values!r}; it must be a table")
        self.values: dict[str, Any] = values

    def refuse(self, key: str, problem: str) -> ArtifactError:
        """Return the error for `key`, for the caller to raise."""
        return ArtifactError(f"{FILE_NAME}: {self.where + '.' if self.where else ''}{key} {problem}")

    def refuse_unknown(self, known: tuple[str, ...]) -> None:
        """Refuse any key that is not in `known`."""
        for key in self.values:
            if key not in known:
                raise self.refuse(key, f"is not a key that this place knows; it knows {', '.join(known)}")

    def of_type(self, key: str, kind: type | tuple[type, ...], what: str, default: Any = NO_DEFAULT) -> Any:
        """Return the value of `key` if it is of `kind` (a bool is no int), or the default where there is none."""
        value = self.values.get(key, default)
        if value is NO_DEFAULT:
            raise self.refuse(key, f"is missing; give {what}")
        wrong_bool = isinstance(value, bool) and kind is int
        if value is not default and (wrong_bool or not isinstance(value, kind)):
            raise self.refuse(key, f"is {value!r}; give {what}")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], what: str, default: Any = NO_DEFAULT) -> str:
        """Return a string of the given form."""
        value: str = self.of_type(key, str, what, default)
        if not pattern.fullmatch(value):
            raise self.refuse(key, f"is {value!r}; give {what}")
        return value

    def whole(self, key: str, low: int, high: int, what: str, default: Any = NO_DEFAULT) -> int:
        """Return a whole number from `low` to `high`."""
        value: int = self.of_type(key, int, what, default)
        if not low <= value <= high:
            raise self.refuse(key, f"is {value}; give {what}, from {low} to {high}")
        return value

    def tables(self, key: str) -> list[Fields]:
        """Return an array of tables, each ready for look-ups; none where the key is absent."""
        values = self.of_type(key, list, f"one or more [[{key}]] tables", [])
        return [Fields(value, f"{key}[{number}]") for number, value in enumerate(values, 1)]
