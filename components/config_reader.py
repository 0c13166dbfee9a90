"""Typed look-ups in Pulumi's config; each refuses a bad value by the key's full name, in one sentence."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env


class SettingsError(pulumi.RunError):
    """A config value that cannot be used; the message is one sentence and Pulumi prints it without a trace."""


class Reader:
    """Typed look-ups in the config; each refuses a bad value by the key's full name."""

    def __init__(self, config: pulumi.Config) -> None:
        self.config = config

    def refuse(self, key: str, problem: str) -> SettingsError:
        """Return the error for `key`, for the caller to raise."""
        return SettingsError(f"config {self.config.full_key(key)}: {problem}")

    def text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self.config.get(key)
        if value is None:
            raise self.refuse(key, f"is missing; set it with `pulumi config set {key} VALUE`")
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        return self.check_whole(key, key, self.text(key), low, high)

    def check_whole(self, key: str, what: str, value: object, low: int, high: int) -> int:
        """Return `value` as a whole number from `low` to `high`; `what` names it in the error."""
        try:
            if isinstance(value, bool) or int(str(value)) != float(str(value)):
                raise ValueError
            number = int(str(value))
        except ValueError:
            raise self.refuse(key, f"{what} is {value!r}, which is not a whole number") from None
        if not low <= number <= high:
            raise self.refuse(key, f"{what} is {number}, outside {low} to {high}")
        return number

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words."""
        value = self.text(key)
        if value not in allowed:
            raise self.refuse(key, f"{value!r} is not one of: {', '.join(allowed)}")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        """Return a string of the given form."""
        value = self.text(key)
        if not pattern.match(value):
            raise self.refuse(key, f"{value!r} is not {what}")
        return value

    def structure(self, key: str, kind: type, what: str, default: Any) -> Any:
        """Return a list or a dictionary; `default` where the key is not set."""
        raw = self.config.get(key)
        if raw is None or raw == "":
            return default
        try:
            value = json.loads(raw)
        except json.JSONDecodeError:
            value = raw
        if not isinstance(value, kind):
            raise self.refuse(key, f"{raw!r} is not {what}")
        return value

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Refuse a key of this project that nothing reads, so that a typing mistake does not go unnoticed."""
        names = list(known)
        for full in sorted({*CONFIG.get(), *get_config_env()}):
            namespace, _, key = full.partition(":")
            if namespace != self.config.name or key in names:
                continue
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(sorted(names))}"
            raise self.refuse(key, f"there is no such key; {hint}")
