"""Measure releases under load, and print a table of them in Markdown.

    python -m tests.system.measure_release --stack dev --versions 2.0.0,3.0.0 [--strategies bluegreen,halves]
        [--keepalive] [--rate 100] [--quiet 30]

Each version in turn: some seconds of load as they are (before), then `pulumi up` under the same load (during). The
strategies take turns, so that both are measured in one run. What is «Pulumi's own» is the release's duration without
the seconds in which a program of one of its stages ran, as the journal on the control host has them. The capacity is
the number of application servers that serve, before and at the lowest. Exits with 1 if a request failed, of `halves`
excepted, or a release did.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.inventory import load
from scripts.ssh import SshError
from tests.system.deployer import configure
from tests.system.load import LoadTest, Report, Window
from tests.system.running import RunningStack, pulumi

HEADINGS = (
    *(
        "release",
        "strategy",
        "requests",
        "failed",
        "versions seen",
        "p50 before",
        "p50 during",
        "p99 before",
        "p99 during",
    ),
    *("capacity", "duration", "Pulumi's own", "generator's lag p99"),
)
UP_SECONDS = 900


@dataclass(frozen=True)
class Measured:
    """One release: what users saw, how long it took, what of that was Pulumi's own (None: not known)."""

    version: str
    strategy: str
    ok: bool
    said: str
    report: Report
    before: Window
    during: Window
    seconds: float
    own: float | None
    capacity: str

    @property
    def is_as_promised(self) -> bool:
        """Whether the release succeeded and no request failed, which `halves` does not promise."""
        return self.ok and (self.strategy == "halves" or not self.report.failed)

    def row(self) -> list[str]:
        """The release as a row of the table."""
        return [
            self.version + ("" if self.ok else " (failed)"),
            self.strategy,
            str(self.report.requests),
            str(self.report.failed),
            ", ".join(f"{version}: {count}" for version, count in self.report.by_version.items()) or "none",
            *(in_ms(value) for value in (self.before.p50, self.during.p50, self.before.p99, self.during.p99)),
            self.capacity,
            f"{self.seconds:.1f} s",
            "not known" if self.own is None else f"{self.own:.1f} s",
            in_ms(self.report.lag_p99),
        ]


def in_ms(value: float) -> str:
    """Milliseconds for people."""
    return "none" if math.isnan(value) else f"{value:.1f} ms"


def in_markdown(rows: Iterable[Sequence[str]]) -> str:
    """Rows as a Markdown table under the headings."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def busy_seconds(stages: Iterable[dict[str, Any]]) -> float | None:
    """The time in which at least one stage was at work; stages of several sites may overlap. None: nothing is known."""
    spans = sorted((stage["began"], stage["began"] + stage["seconds"]) for stage in stages if is_timed(stage))
    if not spans:
        return None
    total, end = 0.0, -math.inf
    for began, ended in spans:
        total += max(0.0, ended - max(began, end))
        end = max(end, ended)
    return total


def is_timed(stage: dict[str, Any]) -> bool:
    """Whether the journal knows when the stage was at work."""
    return all(isinstance(stage.get(key), int | float) for key in ("began", "seconds"))


def newest_release(stack: RunningStack) -> dict[str, Any]:
    """The newest release in the journal; empty where there is none or the journal cannot be asked."""
    line = "cd /opt/evenkeel/programs && exec python3 -m scripts.journal history"
    try:
        asked = stack.on("control", f"printf '%s' '{{\"limit\": 1}}' | {{ {line}; }}", check=False)
        releases = json.loads(asked.stdout)["releases"] if asked.ok else []
    except (SshError, ValueError, KeyError):
        return {}
    return releases[0] if releases else {}


def lowest_capacity(stages: Iterable[dict[str, Any]]) -> str:
    """The capacity before the release and the lowest that one of its stages saw, such as 4 -> 2."""
    figures = [stage.get("figures") or {} for stage in stages]
    before = [str(each["capacity_before"]) for each in figures if "capacity_before" in each]
    lowest = [each["lowest_capacity"] for each in figures if "lowest_capacity" in each]
    return f"{before[0]} -> {min(lowest)}" if before and lowest else "not known"


def measure(stack: RunningStack, version: str, strategy: str, options: argparse.Namespace) -> Measured:
    """Release a version under load."""
    known = newest_release(stack)
    name, quiet = stack.inventory.stack, options.quiet
    with LoadTest(stack, options.rate, options.keepalive, seconds=2 * quiet + UP_SECONDS) as test:
        start = time.time()
        time.sleep(quiet)
        configure(name, version=version)
        began = time.time()
        done = pulumi("up", "--yes", "--skip-preview", stack=name, timeout=UP_SECONDS)
        ended = time.time()
        time.sleep(min(quiet, 5))
    before, during = test.report.between(start, began), test.report.between(began, ended)
    newest = newest_release(stack)
    stages = (newest.get("stages") or []) if newest.get("id") != known.get("id") else []
    busy = busy_seconds(stages)
    own = None if busy is None else ended - began - busy
    said = done.stdout[-2000:] + done.stderr[-2000:]
    report, ok, capacity = test.report, done.returncode == 0, lowest_capacity(stages)
    return Measured(version, strategy, ok, said, report, before, during, ended - began, own, capacity)


def tell_failures(measured: Measured) -> None:
    """Say what went wrong, if anything did."""
    if not measured.ok:
        print(f"{measured.version}: pulumi up failed:\n{measured.said}", file=sys.stderr)
    for reason, count in measured.report.reasons().items():
        print(f"{measured.version}: {count} requests failed: {reason}", file=sys.stderr)
    for failure in measured.report.failures[:10]:
        when = failure.at - measured.during.began
        print(f"{measured.version}: {when:+.2f} s: {failure.reason}: {failure.url}", file=sys.stderr)


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="measure_release", description="Measure releases under load.")
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--versions", required=True, help="the versions to release, in this order: 2.0.0,3.0.0")
    parser.add_argument("--strategies", default="bluegreen", help="they take turns: bluegreen,halves")
    parser.add_argument("--keepalive", action="store_true", help="clients keep their connections")
    parser.add_argument("--rate", type=int, default=100, help="requests a second")
    parser.add_argument("--quiet", type=int, default=30, help="seconds of load before each release")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_arguments(arguments)
    stack = RunningStack(load(options.stack, refresh=True))
    turns = itertools.cycle(options.strategies.split(","))
    found: list[Measured] = []
    try:
        for version, strategy in zip(options.versions.split(","), turns, strict=False):
            configure(options.stack, strategy=strategy)
            found.append(measure(stack, version.strip(), strategy, options))
            tell_failures(found[-1])
    finally:
        configure(options.stack, strategy="")
        print(in_markdown(measured.row() for measured in found))
    return 0 if all(measured.is_as_promised for measured in found) else 1


if __name__ == "__main__":
    sys.exit(main())
