"""Judge what vegeta saw, request by request, and print it small enough to be sent.

Runs on the test runner (standard library only): `vegeta encode -to json results.gob | load_reduce.py`, in the directory
with `expected.json` (see load_targets.py); writes `created.json`, the ids of the items that the load created.

A request failed if it got no answer (vegeta's own words say why), another status than the one that is right for it, or
an answer that does not say exactly one version. Every answer counts, also those of the last moments.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

NUMBER = re.compile(r"[?&]load=(\d+)")
MOST_FAILURES = 1000
BODY_KEPT = 200


@dataclass
class Reduced:
    """All requests in the order they were begun, as columns; `start` is when the first was, by the runner's clock.

    `begun` and `taken` are microseconds; `versions` and `problems` are what the numbers in the columns `version` and
    `problem` mean (-1: none). `failures` are the first failed requests in full. `missing` is how many requests were
    begun and left no result at all.
    """

    start: float = 0.0
    begun: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    version: list[int] = field(default_factory=list)
    problem: list[int] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    missing: int = 0


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with up to nine digits after the point."""
    whole, point, rest = text.partition(".")
    digits = re.match(r"\d*", rest).group() if point else ""  # type: ignore[union-attr]
    zone = rest[len(digits) :] if point else ""
    return datetime.fromisoformat((whole + zone).replace("Z", "+00:00")).timestamp() + float(f"0.{digits or 0}")


def header(result: Mapping[str, Any], name: str) -> list[str]:
    """The values of a header, whatever the case of its name."""
    found = result.get("headers") or {}
    return [value for key, values in found.items() if key.lower() == name.lower() for value in values]


def versions_of(result: Mapping[str, Any]) -> list[str]:
    """The versions an answer says it is from: one, if all is well."""
    return [part.strip() for value in header(result, "X-Version") for part in value.split(",")]


def judge(result: Mapping[str, Any], expected: Sequence[int]) -> str | None:
    """Why the request failed, in a few words that do not differ from one such request to the next; None if it did not.

    vegeta calls 404 an error where a deleted item was asked for, and 200 none where 404 would be right: what counts is
    the status that is expected. It gives status 0 to a request without a whole answer.
    """
    method, status, error = result.get("method") or "?", result["code"], result.get("error") or ""
    if status == 0:
        return f"{method}: no answer: {without_addresses(error)}"
    number = NUMBER.search(result["url"])
    right = expected[int(number.group(1))] if number else 200
    if status != right:
        return f"{method}: status {status}, expected {right}"
    if error and not error.startswith(str(status)):
        return f"{method}: {without_addresses(error)}"
    said = versions_of(result)
    if len(said) != 1 or not said[0]:
        return f"{method}: {len(said)} versions in one answer" if said else f"{method}: no version in the answer"
    return None


def without_addresses(error: str) -> str:
    """vegeta's words without the URL and our own port, which differ each time."""
    error = re.sub(r'^(\w+) "[^"]*": ', "", error)
    return re.sub(r"\d+\.\d+\.\d+\.\d+:\d+->", "", error) or "no reason given"


def reduce(results: Iterable[Mapping[str, Any]], expected: Sequence[int]) -> Reduced:
    """All results as one."""
    ordered = sorted(results, key=lambda result: result["seq"])
    reduced = Reduced()
    if not ordered:
        return reduced
    reduced.start = parse_time(ordered[0]["timestamp"])
    reduced.missing = ordered[-1]["seq"] + 1 - len({result["seq"] for result in ordered})
    for result in ordered:
        add(reduced, result, judge(result, expected))
    return reduced


def add(reduced: Reduced, result: Mapping[str, Any], problem: str | None) -> None:
    """Add one result to the columns."""
    said = versions_of(result)
    begun = round((parse_time(result["timestamp"]) - reduced.start) * 1e6)
    reduced.begun.append(begun)
    reduced.taken.append(result["latency"] // 1000)
    reduced.version.append(place(reduced.versions, said[0]) if len(said) == 1 else -1)
    reduced.problem.append(-1 if problem is None else place(reduced.problems, problem))
    if problem is not None and len(reduced.failures) < MOST_FAILURES:
        reduced.failures.append(failure(result, problem, begun))
    if result["code"] == 201:
        reduced.created += [value.rpartition("/")[2] for value in header(result, "Location")]


def place(known: list[str], value: str) -> int:
    """Where the value is in the list; it is added if it is new."""
    if value not in known:
        known.append(value)
    return known.index(value)


def failure(result: Mapping[str, Any], problem: str, begun: int) -> dict[str, Any]:
    """A failed request in full."""
    return {
        "begun": begun,
        "taken": result["latency"] // 1000,
        "method": result.get("method") or "?",
        "url": result.get("url") or "",
        "status": result["code"],
        "reason": problem,
        "error": result.get("error") or "",
        "versions": versions_of(result),
        "body": (result.get("body") or "")[: BODY_KEPT * 4 // 3],
    }


def read(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """What `vegeta encode -to json` prints, a result a line; without what is not looked at, for there are many."""
    wanted = ("x-version", "location")
    for line in lines:
        if line.strip():
            result = json.loads(line)
            kept = {key: value for key, value in (result.get("headers") or {}).items() if key.lower() in wanted}
            body = "" if 200 <= result["code"] < 300 else result.get("body")
            yield result | {"headers": kept, "body": body}


def main() -> int:
    reduced = reduce(read(sys.stdin), json.loads(Path("expected.json").read_text()))
    Path("created.json").write_text(json.dumps(reduced.created))
    reduced.created = []
    json.dump(asdict(reduced), sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
