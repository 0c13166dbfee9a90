"""Judge what vegeta saw, request by request, and keep it as a table that is small enough to be sent.

Runs on the test runner (standard library only), in the directory with `expected.json` (see targets.py): `vegeta encode
-to json results.gob | results.py RATE WORKERS AHEAD_NS`. Writes `requests.csv.gz`, a line a request in the order of the
schedule, and `created.json`, the ids of items that the load created; prints a summary as JSON.

A request failed if it got no answer (vegeta's own words say why), another status than the one that is right for it, a
body without the text that is right, or an answer that does not say exactly one version. Every answer counts, also
those of the last moments.

Latency counts from when a request was due, not from when it was sent: a generator that waits for answers before it
sends the next request would else not see the time in which nobody was served (coordinated omission). Vegeta does not
say when it began; the schedule is the earliest that fits: no request is sent before it is due, and the first ones are
sent on time.

A request is sent late because the generator was, or because all `workers`, the most that may be on their way, were
waiting for answers: a request on its way is one that was sent and has not ended, so that is seen in the table itself.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

COLUMNS = ("seq", "scheduled_ns", "sent_ns", "latency_ns", "status", "error", "method", "path", "version", "right")
TRANSPORT = re.compile(r"^https?://[^/]*")
MOST_FAILURES = 1000
BODY_READ = 65_536  # bytes of an answer that are looked at; vegeta keeps no more of one
BODY_KEPT = 200
LATE_MS = 50.0  # a request is late that is sent so long after it was due
Expected = Mapping[str, Sequence[Any]]


@dataclass
class Summary:
    """What all requests came to. `missing` is how many were begun and left no result; times by the deployer's clock.

    `failures` are the first failed requests in full, `lag_p99_ms` how late 99 % of the requests were sent at the most;
    `lag_workers_busy` is the share of the late ones that waited for a worker, None where none was late.
    """

    sent: int = 0
    missing: int = 0
    failed: int = 0
    scheduled_ns: int = 0
    lag_p99_ms: float | None = None
    lag_workers_busy: float | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time with up to nine digits after the point."""
    whole, point, rest = text.partition(".")
    digits = (re.match(r"\d*", rest) or [""])[0] if point else ""
    zone = rest[len(digits) :] if point else ""
    seconds = datetime.fromisoformat((whole + zone).replace("Z", "+00:00")).timestamp()
    return int(seconds) * 10**9 + int(digits.ljust(9, "0")[:9])


def header(result: Mapping[str, Any], name: str) -> list[str]:
    """The values of a header, whatever the case of its name."""
    found = result.get("headers") or {}
    return [value for key, values in found.items() if key.lower() == name.lower() for value in values]


def versions_of(result: Mapping[str, Any]) -> list[str]:
    """The versions an answer says it is from: one, if all is well."""
    return [part.strip() for value in header(result, "X-Version") for part in value.split(",")]


def judge(result: Mapping[str, Any], expected: Expected) -> str | None:
    """Why the request failed, in a few words that do not differ from one such request to the next; None if it did not.

    vegeta calls 404 an error where a deleted item was asked for, and 200 none where 404 would be right: what counts is
    the answer that is expected. It gives status 0 to a request without a whole answer.
    """
    method, status, error = result.get("method") or "?", result["code"], result.get("error") or ""
    if status == 0:
        return f"{method}: no answer: {without_addresses(error)}"
    right = expected.get(f"{method} {result['url']}")
    if right is None:
        return f"{method}: a request that nobody planned"
    if status != right[0]:
        return f"{method}: status {status}, expected {right[0]}"
    problem = judge_content(result, right[1])
    return problem and f"{method}: {problem}"


def judge_content(result: Mapping[str, Any], contains: str | None) -> str | None:
    """What is wrong with an answer of the right status; None if nothing is."""
    error = result.get("error") or ""
    if error and not error.startswith(str(result["code"])):
        return without_addresses(error)
    if contains is not None and contains not in text_of(body := body_of(result)):
        return "the body is not the right one" + (" in its first 64 KiB" if len(body) >= BODY_READ else "")
    said = versions_of(result)
    if len(said) != 1 or not said[0]:
        return f"{len(said)} versions in one answer" if said else "no version in the answer"
    return None


def body_of(result: Mapping[str, Any]) -> bytes:
    """The answer's body, as far as it was kept."""
    return base64.b64decode(result.get("body") or "")


def text_of(body: bytes) -> str:
    """A body as text; what is not UTF-8 becomes «�»."""
    return body.decode("utf-8", "replace")


def without_addresses(error: str) -> str:
    """vegeta's words without the URL and our own port, which differ each time."""
    error = re.sub(r'^(\w+) "[^"]*": ', "", error)
    return re.sub(r"\d+\.\d+\.\d+\.\d+:\d+->", "", error) or "no reason given"


def start_of(sent: Sequence[tuple[int, int]], rate: float) -> int:
    """When the first request was due: the latest start by which none of these (seq, sent_ns) was sent too early."""
    return min(moment - due(seq, rate) for seq, moment in sent)


def due(seq: int, rate: float) -> int:
    """How long after the first request one is due, in nanoseconds."""
    return round(seq * 10**9 / rate)


def reduce(
    results: Iterable[Mapping[str, Any]], expected: Expected, rate: float, workers: int, ahead_ns: int = 0
) -> tuple[Summary, list[list[Any]], list[str]]:
    """The summary, the table's rows, and the ids of created items; `ahead_ns` is how far this clock is before ours.

    `workers` is how many requests could be on their way at once.
    """
    judged: list[tuple[Any, ...]] = []
    failures: list[dict[str, Any]] = []
    created: list[str] = []
    for result in results:
        problem, sent_ns = judge(result, expected), parse_time(result["timestamp"]) - ahead_ns
        judged.append(facts(result, problem, sent_ns))
        if problem is not None and len(failures) < MOST_FAILURES:
            failures.append(failure(result, problem, sent_ns))
        if result["code"] == 201:
            created += [value.rpartition("/")[2] for value in header(result, "Location")]
    if not judged:
        return Summary(), [], []
    judged.sort(key=lambda fact: fact[0])
    start = start_of([(fact[0], fact[1]) for fact in judged], rate)
    rows = [row(fact, start + due(fact[0], rate)) for fact in judged]
    lags = sorted(entry[2] - entry[1] for entry in rows)
    begun = rows[-1][0] + 1
    summary = Summary(
        sent=begun,
        missing=begun - len({entry[0] for entry in rows}),
        failed=begun - sum(entry[-1] for entry in rows),
        scheduled_ns=start,
        lag_p99_ms=lags[max(-(-len(lags) * 99 // 100), 1) - 1] / 1e6,
        lag_workers_busy=busy_share(rows, workers),
        failures=sorted(failures, key=lambda failed: failed["at_ns"]),
    )
    return summary, rows, created


def busy_share(rows: Sequence[Sequence[Any]], workers: int) -> float | None:
    """Of the rows of late requests, the share that had all workers on their way at some time between due and sent.

    At some time, not when it was sent: after a stall all workers are free at once, and what has waited goes out then.
    """
    late = [(entry[1], entry[2]) for entry in rows if entry[2] - entry[1] > LATE_MS * 1e6]
    if not late:
        return None
    sent = sorted(entry[2] for entry in rows)
    ended = sorted(entry[1] + entry[3] for entry in rows)

    def all_busy(moment: int) -> bool:
        return bisect_right(sent, moment) - bisect_right(ended, moment) >= workers

    # How many of the requests sent so far took the last worker: from due to sent the count rises where one did.
    filled = list(accumulate(map(all_busy, sent), initial=0))
    waited = sum(
        all_busy(due_ns) or filled[bisect_right(sent, sent_ns)] > filled[bisect_right(sent, due_ns)]
        for due_ns, sent_ns in late
    )
    return round(waited / len(late), 4)


def facts(result: Mapping[str, Any], problem: str | None, sent_ns: int) -> tuple[Any, ...]:
    """What the table says of a result, but for when it was due."""
    said, method = versions_of(result), result.get("method") or "?"
    version = said[0] if len(said) == 1 else ""
    path = TRANSPORT.sub("", result.get("url") or "")
    return result["seq"], sent_ns, result["latency"], result["code"], problem or "", method, path, version


def row(fact: tuple[Any, ...], scheduled: int) -> list[Any]:
    """A line of the table."""
    seq, sent, took, *rest = fact
    return [seq, scheduled, sent, sent + took - scheduled, *rest, int(not rest[1])]


def failure(result: Mapping[str, Any], problem: str, sent_ns: int) -> dict[str, Any]:
    """A failed request in full."""
    return {
        "at_ns": sent_ns,
        "took_ns": result["latency"],
        "method": result.get("method") or "?",
        "url": result.get("url") or "",
        "status": result["code"],
        "reason": problem,
        "error": result.get("error") or "",
        "versions": versions_of(result),
        "body": text_of(body_of(result))[:BODY_KEPT],
    }


def read(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """What `vegeta encode -to json` prints, a result a line."""
    return (json.loads(line) for line in lines if line.strip())


def as_table(rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows as gzipped CSV, the same bytes for the same rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)


def main() -> int:
    """Read results, write the files, print the summary."""
    rate, workers, ahead_ns = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    expected = json.loads(Path("expected.json").read_text())
    summary, rows, created = reduce(read(sys.stdin), expected, rate, workers, ahead_ns)
    Path("requests.csv.gz").write_bytes(as_table(rows))
    Path("created.json").write_text(json.dumps(created))
    json.dump(asdict(summary), sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
