"""A run's requests reduced to what the report needs of it: a RunSummary, kept as summary.json beside them.

Latency counts from when a request was due, and every request with a result counts, failed ones too. A request failed
if it got no answer, another status or another body than the right one, or no result at all (`missing`). A request was
good if it was right within 300 ms.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram

from scripts.experiment.errors import FolderError
from scripts.experiment.folder import write_json
from scripts.experiment.records import REQUESTS, Release, Requests, Run, read_requests, read_run

GOOD_MS = 300.0
FORMAT = 1  # of summary.json: another one is reduced again
LONGEST_US = 3600 * 10**6
DIGITS = 3
SECOND_NS = 10**9


@dataclass(frozen=True)
class Second:
    """One second of a run's schedule, `at` seconds from its beginning; times in ms, None without results."""

    at: int
    requests: int
    failed: int
    good: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True)
class RunSummary:
    """What came of a run. Times in ms, `availability` and `worst_second` ratios of good requests.

    `requests` were begun; `unsent` were due and not even begun, because all of the generator's workers waited.
    `release_…` are of the requests due while the release ran, None without one. `histogram` is the whole distribution
    in microseconds, as HdrHistogram encodes it.
    """

    format: int
    started: float
    requests: int
    failed: int
    missing: int
    unsent: int
    slow: int
    average_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    availability: float
    worst_second: float
    worst_second_at: int
    release_requests: int | None
    release_failed: int | None
    release_average_ms: float | None
    release_p99_ms: float | None
    capacity_start: int | None
    capacity_least: int | None
    reasons: dict[str, int]
    versions: dict[str, int]
    timeline: tuple[Second, ...]
    histogram: str

    @property
    def error_percent(self) -> float:
        """Failed requests, percent of those begun."""
        return 100.0 * self.failed / self.requests if self.requests else 0.0


def reduce_run(folder: Path) -> RunSummary:
    """Reduce the run in a folder and keep its summary there. Raises FolderError."""
    run = read_run(folder)
    if run is None:
        raise FolderError(f"{folder} has no run", "`evenkeel experiment --resume` makes the runs that are missing")
    summary = summarise(run, read_requests(folder))
    write_json(folder / "summary.json", asdict(summary))
    return summary


def summary_of(folder: Path, say: Callable[[str], None] = lambda _: None) -> RunSummary:
    """The run's summary: what is kept, or reduced again where that is older than the requests or of another form."""
    kept = folder / "summary.json"
    try:
        fresh = kept.stat().st_mtime >= max((folder / name).stat().st_mtime for name in (REQUESTS, "run.json"))
        document = json.loads(kept.read_text("utf-8")) if fresh else {}
        if document.get("format") == FORMAT:
            return parse_summary(document)
    except (OSError, ValueError, TypeError, KeyError):
        pass  # made again just below; what is wrong with the run itself is said there
    say(f"reducing the requests of {folder.name}")
    return reduce_run(folder)


def parse_summary(document: dict[str, Any]) -> RunSummary:
    """A summary from summary.json."""
    timeline = tuple(Second(**second) for second in document.pop("timeline"))
    return RunSummary(**document, timeline=timeline)


def summarise(run: Run, requests: Requests) -> RunSummary:
    """Reduce a run's requests. Raises FolderError where there is none."""
    if not len(requests):
        raise FolderError(f"run {run.id} has no request", "remove its folder, then `evenkeel experiment --resume`")
    milliseconds = requests.latency / 1e6
    is_good = (requests.right == 1) & (milliseconds <= GOOD_MS)
    histogram = histogram_of(requests)
    begun = len(requests) + run.missing
    unsent = shortfall(run, begun)
    start = int(requests.scheduled.min())
    timeline = by_second(requests, milliseconds, is_good, start)
    worst = worst_of(timeline, run.rate)
    during = while_released(requests, run.release)
    serving = [count for _, count in run.capacity]
    longest = float(milliseconds.max())
    # The histogram names the end of a bucket, which can be a little above the longest time there was.
    p50, p99, p999 = (min(histogram.get_value_at_percentile(each) / 1000, longest) for each in (50, 99, 99.9))
    return RunSummary(
        format=FORMAT,
        started=start / SECOND_NS,
        requests=begun,
        failed=int((requests.right == 0).sum()) + run.missing,
        missing=run.missing,
        unsent=unsent,
        slow=int(((requests.right == 1) & ~is_good).sum()),
        average_ms=float(milliseconds.mean()),
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
        max_ms=longest,
        availability=float(is_good.sum()) / (begun + unsent),
        worst_second=worst.good / worst.requests,
        worst_second_at=worst.at,
        **during_figures(requests, milliseconds, during),
        capacity_start=serving[0] if serving else None,
        capacity_least=min(serving) if serving else None,
        reasons=dict(Counter(reason for reason in requests.errors if reason).most_common()),
        versions=dict(Counter(version for version in requests.versions if version).most_common()),
        timeline=timeline,
        histogram=histogram.encode().decode(),  # base64
    )


def shortfall(run: Run, begun: int) -> int:
    """How many requests were due and never begun; up to a second's worth is the window's edge, not a shortfall."""
    missed = (run.offered or 0) - begun
    return missed if missed > run.rate else 0


def by_second(requests: Requests, milliseconds: Any, is_good: Any, start: int) -> tuple[Second, ...]:
    """The run second by second of its schedule."""
    place = (requests.scheduled - start) // SECOND_NS
    # The schedule is in order, so that each second is a slice.
    edges = np.searchsorted(place, np.arange(int(place[-1]) + 2))
    seconds = []
    for at in range(len(edges) - 1):
        part = slice(edges[at], edges[at + 1])
        times = milliseconds[part]
        quantiles = [float(value) for value in np.quantile(times, (0.5, 0.99, 1.0))] if len(times) else [None] * 3
        failed = int((requests.right[part] == 0).sum())
        seconds.append(Second(at, len(times), failed, int(is_good[part].sum()), *quantiles))
    return tuple(seconds)


def worst_of(timeline: tuple[Second, ...], rate: float) -> Second:
    """The second with the smallest share of good requests; one with less than half of its requests is no whole one."""
    whole = [second for second in timeline if second.requests >= max(1.0, rate / 2)]
    return min(whole or [second for second in timeline if second.requests], key=lambda each: each.good / each.requests)


def while_released(requests: Requests, release: Release | None) -> Any:
    """Which requests were due while the release ran, as a mask; None without a release."""
    if release is None or release.started is None:
        return None
    ended = release.started + release.seconds
    return (requests.scheduled >= release.started * SECOND_NS) & (requests.scheduled <= ended * SECOND_NS)


def during_figures(requests: Requests, milliseconds: Any, during: Any) -> dict[str, Any]:
    """The figures of the requests due while the release ran."""
    if during is None or not during.any():
        names = ("release_requests", "release_failed", "release_average_ms", "release_p99_ms")
        return dict.fromkeys(names)
    return {
        "release_requests": int(during.sum()),
        "release_failed": int((requests.right[during] == 0).sum()),
        "release_average_ms": float(milliseconds[during].mean()),
        "release_p99_ms": float(np.quantile(milliseconds[during], 0.99)),
    }


def histogram_of(requests: Requests) -> HdrHistogram:
    """The distribution of latencies in microseconds, to three digits, up to an hour."""
    histogram = HdrHistogram(1, LONGEST_US, DIGITS)
    values, counts = np.unique(np.clip(requests.latency // 1000, 1, LONGEST_US), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    return histogram


def together(summaries: list[RunSummary]) -> HdrHistogram:
    """One distribution of the requests of several runs, in microseconds."""
    histogram = HdrHistogram(1, LONGEST_US, DIGITS)
    for summary in summaries:
        histogram.decode_and_add(summary.histogram)
    return histogram
