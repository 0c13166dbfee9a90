"""How many requests a second this machine carries: the knee.

A step is some seconds of load at one rate. It is carried where p99 (from when requests were due) is under 300 ms, less
than 0.1 % of the requests fail, and at least 99 % of those that were due were sent and answered before the step's time
was over (those of its last 300 ms, which may be answered after it, are left out). The knee is the highest rate carried:
rates grow by half until one is not carried twice in a row, then the gap is halved until it is a tenth. With many users'
requests a machine gives way suddenly, so this finds the same knee again within about a tenth. A queue that grows slowly
does not show in seconds: the rate that was found is then held for as long as a run, a minute at most, and lowered by a
tenth until one is carried.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scripts.experiment.load.attack import Load, LoadTest
from scripts.experiment.load.figures import Request
from scripts.experiment.plan import Settings
from scripts.inventory import Inventory

P99_MS = 300.0
ERROR_RATIO = 0.001
ACHIEVED = 0.99
FIRST, LEAST, MOST = 50, 5, 3000
GROWTH, NEAR = 1.5, 1.1
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Step:
    """What a rate came to. `achieved` is requests answered in time a second, `error_ratio` of those sent."""

    rate: int
    p99_ms: float
    error_ratio: float
    achieved: float

    @property
    def is_carried(self) -> bool:
        """Whether the machine carries this rate."""
        return carries(self.p99_ms, self.error_ratio, self.achieved / self.rate)


def carries(p99_ms: float, error_ratio: float, achieved: float) -> bool:
    """Whether a load was carried. `achieved` is the share of what was due that was done in time."""
    return p99_ms < P99_MS and error_ratio < ERROR_RATIO and achieved >= ACHIEVED


def find_knee(
    probe: Callable[[int, float], Step], brief: float, held: float, first: int = FIRST
) -> tuple[int, list[Step]]:
    """The highest rate that is carried (0: not even LEAST), and all steps.

    `probe` makes the load of a rate for some seconds: `brief` to find the knee, `held` to be sure of it.
    """
    steps: list[Step] = []

    def carried(rate: int) -> bool:
        """Whether a rate is carried; a bad step is tried once more, for a busy second of others proves nothing."""
        for _ in range(2):
            steps.append(probe(rate, brief))
            if steps[-1].is_carried:
                return True
        return False

    rate = search(carried, first)
    while rate and held > brief:
        steps.append(probe(rate, held))
        if steps[-1].is_carried:
            break
        rate = rounded(rate / NEAR) if rate > LEAST else 0
    return rate, steps


def search(carried: Callable[[int], bool], first: int) -> int:
    """The highest rate that is carried, within a tenth; 0 where not even LEAST is."""
    good, bad = 0, 0
    rate = first
    while not bad and rate <= MOST:
        if carried(rate):
            good, rate = rate, rounded(rate * GROWTH)
        else:
            bad = rate
    while not good and bad > LEAST:
        rate = max(LEAST, bad // 2)
        good, bad = (rate, bad) if carried(rate) else (0, rate)
    while good and bad and bad > good * NEAR and (middle := rounded((good + bad) / 2)) not in (good, bad):
        good, bad = (middle, bad) if carried(middle) else (good, middle)
    return good


def rounded(rate: float) -> int:
    """A rate that people can read: whole, above 100 in tens."""
    return 10 * round(rate / 10) if rate > 100 else round(rate)


def probe_with(
    inventory: Inventory, settings: Settings, keep: Callable[[list[str]], None], say: Callable[[str], None]
) -> Callable[[int, float], Step]:
    """What makes a step on a stack, by its rate and seconds; `keep` is told which items it leaves."""

    def probe(rate: int, seconds: float) -> Step:
        load = Load(
            rate=rate,
            keepalive=settings.keepalive,
            seconds=seconds,
            longest=seconds + 20,
            warmup=3,
            timeout=TIMEOUT_SECONDS,
            requests=settings.requests,
            keeps_items=settings.keeps_items,
        )
        with LoadTest(inventory, load) as test:
            time.sleep(seconds)
            ended = time.time()
        keep(test.items)
        report, began = test.report, test.summary["scheduled_ns"] / 1e9
        failed = report.failed / report.requests if report.requests else 1.0
        p99 = report.whole().p99
        achieved = min(answered_per_second(report.all, began, ended), rate)
        step = Step(rate, TIMEOUT_SECONDS * 1000.0 if math.isnan(p99) else p99, failed, achieved)
        say(f"knee: {rate} requests/s for {seconds:g} s: {describe(step)}")
        return step

    return probe


def answered_per_second(requests: Sequence[Request], began: float, ended: float) -> float:
    """How many requests a second were answered in a step's time, of those due P99_MS before its end or earlier.

    What is sent and answered after it, while the load comes to its end, is no part of what the machine carried.
    """
    last = ended - P99_MS / 1000
    in_time = sum(request.at < last and request.at + request.ms / 1000 <= ended for request in requests)
    return in_time / max(last - began, 0.001)


def describe(step: Step) -> str:
    """A step in words."""
    word = "carried" if step.is_carried else "not carried"
    return f"p99 {step.p99_ms:.0f} ms, {step.error_ratio:.2%} failed, {step.achieved:.0f} answered/s: {word}"


def as_document(rate: int, steps: list[Step]) -> dict[str, Any]:
    """As experiment.json keeps it."""
    return {"rate": rate, "steps": [asdict(step) for step in steps]}
