"""How releases go: strategy, gates, limits. Read from the stack's config, as components/settings.py reads the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from components.config_reader import Reader
from components.stages import GATES, MIRRORS, PACES, STRATEGIES, divide
from components.window import WindowError, parse_window

HEADER = re.compile(r"^[A-Za-z][A-Za-z0-9-]{0,63}$")
LEAST_DEADMAN_SECONDS = 10
KEYS = (
    *("strategy", "gate", "gateSeconds", "bakeSeconds", "canarySteps", "canaryBakeSeconds", "canaryMinRequests"),
    *("canaryMaxErrorIncrease", "canaryMaxLatencyRatio", "deadmanSeconds", "lockWaitSeconds", "window", "notify"),
    *("mirror", "freezeSeconds", "backfillPace", "backfillRowsPerSecond"),
)


@dataclass(frozen=True)
class CanarySettings:
    """Steps as percent of all traffic, how long each is watched (seconds), and what the new version may cost."""

    steps: tuple[int, ...]
    bake_seconds: int
    min_requests: int
    max_error_increase: float
    max_latency_ratio: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain data with the names that the stages read."""
        return {
            "steps": list(self.steps),
            "bake_seconds": self.bake_seconds,
            "min_requests": self.min_requests,
            "max_error_increase": self.max_error_increase,
            "max_latency_ratio": self.max_latency_ratio,
        }


@dataclass(frozen=True)
class ReleaseSettings:
    """Everything about releases; times in seconds. `window` is "" for at any time, `notify` URLs.

    `mirror` is how two tables are kept equal, `freeze_seconds` the longest that writes may wait for it, `backfill_pace`
    what the copy gives way to, `backfill_rows` the fewest rows a second that it may come down to.
    """

    strategy: str
    gate: str
    gate_seconds: int
    bake_seconds: int
    canary: CanarySettings
    deadman_seconds: int
    lock_wait_seconds: int
    window: str
    notify: tuple[str, ...]
    mirror: str
    freeze_seconds: int
    backfill_pace: str
    backfill_rows: int

    def plan(self, sites: Sequence[str], app_memory_mb: int, ready_path: str) -> dict[str, Any]:
        """Return the plan that a release is recorded with: groups of sites, in order, and how it goes about them."""
        return {
            "strategy": self.strategy,
            "groups": [list(group) for group in divide(self.strategy, sites)],
            "gate": self.gate,
            "gate_seconds": self.gate_seconds,
            "bake_seconds": self.bake_seconds,
            "canary": self.canary.as_dict(),
            "deadman_seconds": self.deadman_seconds,
            "lock_wait_seconds": self.lock_wait_seconds,
            "window": self.window,
            "mirror": self.mirror,
            "freeze_seconds": self.freeze_seconds,
            "backfill_pace": self.backfill_pace,
            "backfill_rows": self.backfill_rows,
            "app_memory_mb": app_memory_mb,
            "ready_path": ready_path,
        }


def read_release(reader: Reader, slowness: int = 1) -> ReleaseSettings:
    """Return how releases go on hosts that may take so many times longer; raises SettingsError naming the key."""
    return ReleaseSettings(
        strategy=reader.one_of("strategy", STRATEGIES),
        gate=reader.one_of("gate", GATES),
        gate_seconds=reader.whole("gateSeconds", 1, 604_800),
        bake_seconds=reader.whole("bakeSeconds", 0, 86_400),
        canary=read_canary(reader),
        deadman_seconds=read_deadman(reader, slowness),
        lock_wait_seconds=reader.whole("lockWaitSeconds", 0, 86_400),
        window=read_window(reader),
        notify=read_notify(reader),
        mirror=reader.one_of("mirror", MIRRORS),
        freeze_seconds=reader.whole("freezeSeconds", 5, 3_600),
        backfill_pace=reader.one_of("backfillPace", PACES),
        backfill_rows=reader.whole("backfillRowsPerSecond", 1, 1_000_000),
    )


def read_deadman(reader: Reader, slowness: int) -> int:
    """Return how long a deployer may be silent: longer than one that lives may be, which slow hosts keep waiting."""
    seconds, least = reader.whole("deadmanSeconds", LEAST_DEADMAN_SECONDS, 600), LEAST_DEADMAN_SECONDS * slowness
    if seconds < least:
        raise reader.refuse(
            "deadmanSeconds", f"is {seconds}, too little with slowness {slowness}; set it to {least} or more"
        )
    return seconds


def read_canary(reader: Reader) -> CanarySettings:
    """Return the canary's steps and limits; the steps must rise and end below 100."""
    steps = reader.structure("canarySteps", list, "a list of percentages such as [5, 25, 50]", [5, 25, 50])
    checked = tuple(reader.check_whole("canarySteps", "a step", step, 1, 90) for step in steps)
    if not checked or list(checked) != sorted(set(checked)):
        raise reader.refuse("canarySteps", f"{steps!r} must be one or more rising percentages such as [5, 25, 50]")
    return CanarySettings(
        steps=checked,
        bake_seconds=reader.whole("canaryBakeSeconds", 1, 86_400),
        min_requests=reader.whole("canaryMinRequests", 1, 1_000_000),
        max_error_increase=read_fraction(reader, "canaryMaxErrorIncrease", 0.0, 1.0),
        max_latency_ratio=read_fraction(reader, "canaryMaxLatencyRatio", 1.0, 100.0),
    )


def read_fraction(reader: Reader, key: str, low: float, high: float) -> float:
    """Return a number from `low` to `high`."""
    text = reader.text(key)
    try:
        value = float(text)
    except ValueError:
        raise reader.refuse(key, f"{text!r} is not a number") from None
    if not low <= value <= high:
        raise reader.refuse(key, f"is {value:g}, outside {low:g} to {high:g}")
    return value


def read_window(reader: Reader) -> str:
    """Return when releases may start, "" for always."""
    value = reader.config.get("window") or ""
    try:
        parse_window(value)
    except WindowError as error:
        raise reader.refuse("window", str(error)) from None
    return value


def read_notify(reader: Reader) -> tuple[str, ...]:
    """Return the URLs that are told about releases."""
    urls = reader.structure("notify", list, "a list of URLs such as [https://hooks.example.org/evenkeel]", [])
    for url in urls:
        try:
            parts = urlsplit(str(url))
        except ValueError:  # such as a bracket that is never closed
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise reader.refuse("notify", f"{url!r} is not an http or https URL")
        if parts.username or parts.password:
            raise reader.refuse("notify", f"the URL for {parts.hostname} has a user or password in it; leave them out")
    return tuple(str(url) for url in urls)


def read_header(reader: Reader) -> str:
    """Return the request header that asks for a version by name, "" where none does."""
    value = reader.config.get("versionHeader") or ""
    if value in ("", "none"):
        return ""
    if not HEADER.fullmatch(value):
        raise reader.refuse("versionHeader", f"{value!r} is not a header's name such as X-Evenkeel-Version, nor none")
    return value
