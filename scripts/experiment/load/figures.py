"""Figures of a load, from its table of requests.

Figures of a span are of the requests that were due in it, failed ones included. Latency counts from when a request was
due (see results.py). How late the generator was to send is told apart, as `lag`: figures taken while it could not keep
up say little.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """A request: when it was due (epoch, our clock), how long it took from then, who answered, why it failed.

    `lag_ms` is how long after it was due it was sent.
    """

    at: float
    ms: float
    version: str | None
    problem: str | None
    lag_ms: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A failed request in full. `status` 0: no answer; `error` is vegeta's own word."""

    at: float
    ms: float
    method: str
    url: str
    status: int
    reason: str
    error: str
    versions: list[str]
    body: str


@dataclass(frozen=True)
class Window:
    """Figures of a span of time; times in milliseconds, NaN where there was no request."""

    began: float
    requests: int
    failed: int
    p50: float
    p99: float
    max: float
    by_version: dict[str, int]


class Report:
    """What a load came to. Times are seconds since the epoch by this machine's clock."""

    def __init__(self, requests: Sequence[Request], failures: Sequence[Failure], missing: int) -> None:
        self.all = list(requests)
        self.failures = list(failures)
        self.missing = missing

    @property
    def requests(self) -> int:
        """How many requests were begun."""
        return len(self.all) + self.missing

    @property
    def failed(self) -> int:
        """How many of them failed; a request that left no result at all did."""
        return self.missing + sum(request.problem is not None for request in self.all)

    @property
    def by_version(self) -> dict[str, int]:
        """How many answers each version gave."""
        return count_versions(self.all)

    def reasons(self) -> dict[str, int]:
        """How many requests failed for each reason, the most frequent first."""
        counted = Counter(request.problem for request in self.all if request.problem is not None)
        lost = {"no result": self.missing} if self.missing else {}
        return lost | {str(reason): count for reason, count in counted.most_common()}

    def between(self, began: float, ended: float) -> Window:
        """Figures of the requests due in a span of time."""
        return measure(began, [request for request in self.all if began <= request.at < ended])

    def whole(self) -> Window:
        """Figures of all requests."""
        return measure(self.all[0].at if self.all else math.nan, self.all)

    def seconds(self) -> list[Window]:
        """Figures of each second, from the first request on."""
        if not self.all:
            return []
        start = self.all[0].at
        buckets: list[list[Request]] = [[] for _ in range(int(self.all[-1].at - start) + 1)]
        for request in self.all:
            buckets[int(request.at - start)].append(request)
        return [measure(start + second, bucket) for second, bucket in enumerate(buckets)]

    @property
    def lag_p99(self) -> float:
        """The lateness that 99 % of the requests did not exceed, in milliseconds."""
        return percentile(sorted(request.lag_ms for request in self.all), 99)

    @property
    def lag_max(self) -> float:
        """The worst lateness, in milliseconds."""
        return max((request.lag_ms for request in self.all), default=math.nan)


def measure(began: float, requests: Sequence[Request]) -> Window:
    """Figures of some requests."""
    times = sorted(request.ms for request in requests)
    failed = sum(request.problem is not None for request in requests)
    longest = times[-1] if times else math.nan
    versions = count_versions(requests)
    return Window(began, len(times), failed, percentile(times, 50), percentile(times, 99), longest, versions)


def count_versions(requests: Sequence[Request]) -> dict[str, int]:
    """How many of the requests each version answered."""
    counted = Counter(request.version for request in requests if request.version is not None)
    return {str(version): counted[version] for version in sorted(counted, key=str)}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of values in ascending order: always one that was measured."""
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else math.nan


def read_report(table: bytes, summary: Mapping[str, Any]) -> Report:
    """The report from the table and the summary that results.py made."""
    with gzip.open(io.BytesIO(table), "rt", encoding="utf-8", newline="") as file:
        requests = [read_request(line) for line in csv.DictReader(file)]
    failures = [read_failure(dict(failure)) for failure in summary["failures"]]
    return Report(requests, failures, int(summary["missing"]))


def read_request(line: Mapping[str, str]) -> Request:
    """A request from its line in the table."""
    scheduled, sent = int(line["scheduled_ns"]), int(line["sent_ns"])
    problem = None if line["right"] == "1" else line["error"]
    took, lag = int(line["latency_ns"]) / 1e6, (sent - scheduled) / 1e6
    return Request(scheduled / 1e9, took, line["version"] or None, problem, lag)


def read_failure(found: dict[str, Any]) -> Failure:
    """A failed request from the summary."""
    return Failure(at=found.pop("at_ns") / 1e9, ms=found.pop("took_ns") / 1e6, **found)
