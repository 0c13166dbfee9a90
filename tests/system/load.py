"""Load on a running stack, and what came of it: every request judged, and figures of any span of time.

    with LoadTest(stack, rate=100, keepalive=False) as test:
        ...  # what is to happen under load
    assert test.report.failed == 0, test.report.reasons()
    assert test.report.between(began, ended).p99 < 50

The runner's vegeta sends `rate` requests a second, 70 of a hundred reads and 30 writes (load_targets.py), each with one
status that is right, and goes on sending whether or not answers come. What is strict, on purpose:

- Without keep-alive every request has a connection of its own, to one address that is picked from the name's answer
  at random: no other address is tried when that one does not answer, as a browser might. The request failed.
- With keep-alive a client stays with the address it has, so the load is many clients at once: the name is resolved
  when the load begins and requests go round its addresses, each of which keeps its connections. (Go's HTTP client
  sends an idempotent request again by itself if a kept connection turns out to be closed, as browsers do.)
- Figures of a span are of the requests that were begun in it, failed ones included.
- Latency is counted from when a request was sent. How late the generator was to send is told apart, as `lag`: figures
  taken while it could not keep up say little.
"""

from __future__ import annotations

import json
import math
import shlex
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.inventory import Role
from scripts.ssh import Result, Session
from tests.system.load_targets import Entrance
from tests.system.running import RunningStack

HERE = Path(__file__).parent
PROGRAMS = ("load_targets.py", "load_reduce.py")
REQUEST_SECONDS = 10
START_SECONDS = 20
REDUCE_SECONDS = 120
MOST_WORKERS = 800  # in flight at once; each is a connection, and the runner has 1,024 or more files


class LoadError(Exception):
    """The load itself went wrong: what it found, or did not find, says nothing about the service."""


@dataclass(frozen=True)
class Request:
    """A request: when it was begun (epoch, this machine's clock), how long it took, who answered, why it failed."""

    at: float
    ms: float
    version: str | None
    problem: str | None


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

    def __init__(self, requests: Sequence[Request], failures: Sequence[Failure], rate: float, missing: int) -> None:
        self.all = list(requests)
        self.failures = list(failures)
        self.rate = rate
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
        """Figures of the requests begun in a span of time."""
        return measure(began, [request for request in self.all if began <= request.at < ended])

    def seconds(self) -> list[Window]:
        """Figures of each second, from the first request on."""
        if not self.all:
            return []
        start = self.all[0].at
        buckets: list[list[Request]] = [[] for _ in range(int(self.all[-1].at - start) + 1)]
        for request in self.all:
            buckets[int(request.at - start)].append(request)
        return [measure(start + second, bucket) for second, bucket in enumerate(buckets)]

    @cached_property
    def lags(self) -> list[float]:
        """How many milliseconds late each request was sent, by the earliest schedule that fits the load."""
        if not self.all:
            return []
        early = [request.at - number / self.rate for number, request in enumerate(self.all)]
        start = min(early)
        return [(moment - start) * 1000 for moment in early]

    @property
    def lag_p99(self) -> float:
        """The lateness that 99 % of the requests did not exceed, in milliseconds."""
        return percentile(sorted(self.lags), 99)

    @property
    def lag_max(self) -> float:
        """The worst lateness, in milliseconds."""
        return max(self.lags, default=math.nan)


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


def read_report(document: dict[str, Any], rate: float, ahead: float) -> Report:
    """The report from what load_reduce.py printed; `ahead` is how far the runner's clock is before ours."""
    start = document["start"] - ahead
    columns = zip(document["begun"], document["taken"], document["version"], document["problem"], strict=True)
    versions, problems = document["versions"], document["problems"]
    requests = [
        Request(
            start + begun / 1e6,
            taken / 1e3,
            versions[version] if version >= 0 else None,
            problems[problem] if problem >= 0 else None,
        )
        for begun, taken, version, problem in columns
    ]
    failures = [
        Failure(at=start + found.pop("begun") / 1e6, ms=found.pop("taken") / 1e3, **found)
        for found in (dict(failure) for failure in document["failures"])
    ]
    return Report(requests, failures, rate, document["missing"])


class LoadTest:
    """Load while a block runs. `seconds` bounds it: a block that takes longer is an error, for it was not watched."""

    report: Report

    def __init__(self, stack: RunningStack, rate: int = 100, keepalive: bool = False, seconds: int = 300) -> None:
        self.stack = stack
        self.rate = rate
        self.keepalive = keepalive
        self.seconds = seconds
        self._folder = f"/tmp/evenkeel-load-{uuid.uuid4().hex[:12]}"  # noqa: S108 - on the runner; made by us, 0700
        self._pool = ThreadPoolExecutor(1)
        self._attack: Future[Result] | None = None

    def __enter__(self) -> Self:
        runner = self.stack.inventory.login(self.stack.host("runner"))
        self._session = Session(runner, 20)
        try:
            self._prepare()
            self._start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            ended_before = self._stop()
            self.report = self._reduce()
        except Exception:
            if kind is None:  # else the block's own error is the one to tell
                raise
        else:
            if kind is None and ended_before:
                raise LoadError(f"the load of {self.seconds} s ended before what was to happen under it")
        finally:
            self._leave()

    def _prepare(self) -> None:
        """Have the programs and the list of requests on the runner, and know how its clock differs."""
        self._session.run(["mkdir", "-m", "700", self._folder])
        for name in PROGRAMS:
            self._session.put((HERE / name).read_text("utf-8"), f"{self._folder}/{name}")
        plan = {
            # A few more than will be sent: vegeta would begin again with the first.
            "count": self.rate * (self.seconds + 1) + MOST_WORKERS,
            "seed": time.time_ns() % 2**32,
            "service": self.stack.inventory.service,
            "entrances": [asdict(entrance) for entrance in self._entrances()],
        }
        self._run("python3 load_targets.py prepare", json.dumps(plan), 120 + self.seconds)
        asked = time.time()
        theirs = float(self._run("python3 -c 'import time; print(time.time())'").stdout)
        self._ahead = theirs - (asked + time.time()) / 2

    def _entrances(self) -> list[Entrance]:
        """The service's name; with keep-alive, every address it has."""
        service = self.stack.inventory.service
        if not self.keepalive:
            return [Entrance(f"http://{service}", "")]
        found = self._run(f"getent ahostsv4 {shlex.quote(service)}").stdout.splitlines()
        addresses = sorted({line.split()[0] for line in found})
        expected = sorted(host.address for host in self.stack.of(Role.LOAD_BALANCER))
        if addresses != expected:
            raise LoadError(f"{service} should have the addresses {expected}, and has {addresses}")
        return [Entrance(f"http://{address}", service) for address in addresses]

    def _start(self) -> None:
        """Start vegeta; return when the first answers are there."""
        options = {
            "format": "json",
            "targets": "targets.json",
            "output": "results.gob",
            "rate": f"{self.rate}/s",
            "duration": f"{self.seconds}s",
            "timeout": f"{REQUEST_SECONDS}s",
            "keepalive": str(self.keepalive).lower(),
            "dns-ttl": "5s",  # with a cache, vegeta picks one address at random; without, it would try them all
            "max-workers": str(min(MOST_WORKERS, self.rate * REQUEST_SECONDS)),
            "max-body": "200",
        }
        attack = " ".join(f"-{name}={value}" for name, value in options.items())
        line = f"echo $$ > pid; exec vegeta attack {attack}"
        attacking = self._attack = self._pool.submit(self._run, line, "", self.seconds + REQUEST_SECONDS + 60)
        end = time.monotonic() + START_SECONDS
        while not self._run("test -s results.gob", check=False).ok:
            if attacking.done():
                attacking.result()
            if time.monotonic() > end:
                raise LoadError(f"after {START_SECONDS} s the load has had no answer")
            time.sleep(0.2)

    def _stop(self) -> bool:
        """Have vegeta send no more, and wait for the answers that are due; whether it had ended by itself before."""
        assert self._attack is not None
        ended_before = self._attack.done()
        if not ended_before:
            self._run('kill -INT "$(cat pid)"', check=False)
        self._attack.result(REQUEST_SECONDS + 60)
        return ended_before

    def _reduce(self) -> Report:
        """Judge the results on the runner, and remove the items that the load made."""
        line = "vegeta encode -to=json -output=results.json results.gob && python3 load_reduce.py < results.json"
        document = json.loads(self._run(line, "", REDUCE_SECONDS + self.seconds).stdout)
        service = shlex.quote(self.stack.inventory.service)
        self._run(f"python3 load_targets.py tidy {service}", "", REDUCE_SECONDS + self.seconds, check=False)
        return read_report(document, self.rate, self._ahead)

    def _leave(self) -> None:
        """Leave nothing on the runner, and nothing running."""
        try:
            if self._attack is not None and not self._attack.done():
                self._run('kill -KILL "$(cat pid)"', check=False)
            self._session.run(["rm", "-rf", self._folder], check=False)
        finally:
            self._session.close()
            self._pool.shutdown(wait=True)

    def _run(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        """Run a line in the load's folder on the runner."""
        return self._session.run(
            f"cd {shlex.quote(self._folder)} && {{ {line}; }}", stdin, timeout=timeout, check=check
        )
