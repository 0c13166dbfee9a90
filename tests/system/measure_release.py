"""Measure releases under load, and print a table of them in Markdown.

    python -m tests.system.measure_release --stack dev --versions 2.0.0,3.0.0 [--strategy halves] [--keepalive]

Each version in turn: some seconds of load as they are (before), then `pulumi up` under the same load (during). What is
«Pulumi's own» is the release's duration without the seconds in which one of its stages was at work, as the journal on
the control host has them. Exits with 1 if a request failed or a release did.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.inventory import load
from scripts.ssh import SshError
from tests.system.load import LoadTest, Report, Window
from tests.system.running import RunningStack, pulumi

HEADINGS = (
    *("release", "requests", "failed", "versions seen", "p50 before", "p50 during", "p99 before", "p99 during"),
    *("duration", "Pulumi's own", "generator's lag p99"),
)
UP_SECONDS = 900


@dataclass(frozen=True)
class Measured:
    """One release: what users saw, how long it took, what of that was Pulumi's own (None: not known)."""

    version: str
    ok: bool
    said: str
    report: Report
    before: Window
    during: Window
    seconds: float
    own: float | None

    def row(self) -> list[str]:
        """The release as a row of the table."""
        return [
            self.version + ("" if self.ok else " (failed)"),
            str(self.report.requests),
            str(self.report.failed),
            ", ".join(f"{version}: {count}" for version, count in self.report.by_version.items()) or "none",
            *(in_ms(value) for value in (self.before.p50, self.during.p50, self.before.p99, self.during.p99)),
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


def own_seconds(stack: RunningStack, known: dict[str, Any], total: float) -> float | None:
    """Pulumi's share of the release that the journal got since `known` was the newest."""
    release = newest_release(stack)
    if not release or release.get("id") == known.get("id"):
        return None
    busy = busy_seconds(release.get("stages") or [])
    return None if busy is None else total - busy


def measure(stack: RunningStack, version: str, rate: int, keepalive: bool, quiet: int) -> Measured:
    """Release a version under load."""
    known = newest_release(stack)
    name = stack.inventory.stack
    with LoadTest(stack, rate, keepalive, seconds=2 * quiet + UP_SECONDS) as test:
        start = time.time()
        time.sleep(quiet)
        pulumi("config", "set", "version", version, stack=name).check_returncode()
        began = time.time()
        done = pulumi("up", "--yes", "--skip-preview", stack=name, timeout=UP_SECONDS)
        ended = time.time()
        time.sleep(min(quiet, 5))
    before, during = test.report.between(start, began), test.report.between(began, ended)
    own = own_seconds(stack, known, ended - began)
    said = done.stdout[-2000:] + done.stderr[-2000:]
    return Measured(version, done.returncode == 0, said, test.report, before, during, ended - began, own)


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
    parser.add_argument("--strategy", help="set the stack's strategy before the first release")
    parser.add_argument("--keepalive", action="store_true", help="clients keep their connections")
    parser.add_argument("--rate", type=int, default=100, help="requests a second")
    parser.add_argument("--quiet", type=int, default=30, help="seconds of load before each release")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_arguments(arguments)
    stack = RunningStack(load(options.stack, refresh=True))
    if options.strategy:
        pulumi("config", "set", "strategy", options.strategy, stack=options.stack).check_returncode()
    found: list[Measured] = []
    try:
        for version in options.versions.split(","):
            found.append(measure(stack, version.strip(), options.rate, options.keepalive, options.quiet))
            tell_failures(found[-1])
    finally:
        print(in_markdown(measured.row() for measured in found))
    return 0 if all(measured.ok and not measured.report.failed for measured in found) else 1


if __name__ == "__main__":
    sys.exit(main())
