"""How fast a copy may go: faster by steps while users are well, slower by a factor at the first sign that they are not.

Additive increase, multiplicative decrease, decided by a pure function of what is known: the 99th percentile of the
users' requests (told by the deployer as it looks at the job, from the load balancers' logs), of the copy's own writes,
and the work that waits on each node. What is heard of users and nodes counts once: a percentile jumps, and steps that
are small beside its jumps end where it is as often above its aim as below. Whoever hears nothing for long goes slowly.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.tables.progress import Users

STALE_SECONDS = 20.0
SLOWEST, SLOW, FASTEST = 10.0, 20.0, 20_000.0  # rows a second; the slowest where whoever starts the work says none
# Of what users feel of a step, each of the next four words tells a part: together such steps are to be small still.
STEP, STEP_SHARE, CUT = 2.0, 0.05, 0.7
# Users' 99th percentile against the time before the copy: above how many times that by which factor slower, and above
# EVEN no faster.
CUTS = ((2.0, 0.4), (1.25, 0.7), (1.05, 0.92))
EVEN, SLACK_MS = 1.01, 0.3
OWN_RATIO, OWN_LEAST_MS, OWN_MOST_MS = 4.0, 50.0, 1_000.0
PENDING_TASKS, PENDING_COMPACTIONS = 32, 8
IN_FLIGHT_PACED, IN_FLIGHT_UNPACED = 16, 128
PAGE_LEAST, PAGE_MOST, PAGE_SECONDS = 20, 1_000, 0.25
PAGE_BYTES = 2**20
BURST_SECONDS = 0.02
LATENCIES = 2_000


@dataclass(frozen=True)
class Signs:
    """What is known at one moment; times in milliseconds.

    `users` is None, and `silent` true, where nothing has been heard for STALE_SECONDS; `heard` says that it is new.
    `pending` and `compactions` are the most that wait on any node, `hints` whether some node keeps writes for one that
    is away; `asked` says that these are new.
    """

    users: Users | None
    silent: bool
    heard: bool
    own_p99: float
    own_usual: float
    pending: int = 0
    compactions: int = 0
    hints: bool = False
    asked: bool = True
    overloaded: bool = False


def decide(rate: float, signs: Signs, slowest: float) -> tuple[float, str]:
    """Return the rows a second for the next second and why, in words for a person; "" where it is as before."""
    if reason := too_much(signs):
        return max(rate * CUT, slowest), f"slower: {reason}"
    waiting = waits(signs)
    if waiting and signs.asked:
        return max(rate * CUT, slowest), f"slower: {waiting}"
    new, why = by_word(rate, signs, slowest)
    return (rate, f"slower: {waiting}") if waiting and new >= rate else (new, why)


def by_word(rate: float, signs: Signs, slowest: float) -> tuple[float, str]:
    """Return the same by what is heard of the users, or by nothing being heard."""
    if signs.silent or signs.users is None:
        return min(rate, max(SLOW, slowest)), f"slow: nothing was heard of the users' times for {STALE_SECONDS:.0f} s"
    return by_users(rate, signs.users, signs.hints, slowest) if signs.heard else (rate, "")


def by_users(rate: float, users: Users, hints: bool, slowest: float) -> tuple[float, str]:
    """Return the same by what was just heard of the users; where they are too few to tell, of nobody, with 0 ms."""
    if not users.p99_ms and not hints:
        return min(rate * 2, FASTEST), "faster: there are too few users to disturb"
    for factor, cut in CUTS:
        if above(users, factor):
            return max(rate * cut, slowest), f"slower: {in_words(users)}"
    if above(users, EVEN):
        return rate, "steady: users' times are a little above what they were"
    if hints:
        return rate, "steady: writes are kept for a node that is away"
    return min(rate + max(STEP, rate * STEP_SHARE), FASTEST), "faster: users' times are as before"


def above(users: Users, factor: float) -> bool:
    """Return whether users' times are more than so many times what they were before."""
    return users.p99_ms > users.p99_before_ms * factor + SLACK_MS


def in_words(users: Users) -> str:
    """Return how users fare, for a person."""
    return f"users' 99th percentile is {users.p99_ms:.1f} ms and was {users.p99_before_ms:.1f} ms"


def too_much(signs: Signs) -> str:
    """Return what the copy's own writes say of nodes that have too much to do, "" when nothing does."""
    if signs.overloaded:
        return "a node asked to be spared"
    if signs.own_p99 > min(max(signs.own_usual * OWN_RATIO, OWN_LEAST_MS), OWN_MOST_MS):
        return f"the copy's own writes take {signs.own_p99:.0f} ms"
    return ""


def waits(signs: Signs) -> str:
    """Return what waits on a node that is too much, "" when nothing is."""
    if signs.pending > PENDING_TASKS:
        return f"{signs.pending} requests wait on a node"
    if signs.compactions > PENDING_COMPACTIONS:
        return f"{signs.compactions} compactions wait on a node"
    return ""


class Governor:
    """Lets rows through at the present rate, or all of them when unpaced. Used by several threads.

    It never goes slower than `slowest`: whoever waits for the work counts its time by that.
    """

    def __init__(self, paced: bool, slowest: float) -> None:
        self.slowest = slowest
        self.rate: float | None = max(SLOW, slowest) if paced else None
        self.reason = "" if paced else "unpaced"
        self.in_flight = threading.BoundedSemaphore(IN_FLIGHT_PACED if paced else IN_FLIGHT_UNPACED)
        self.overloaded = False
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._usual: float | None = None
        self._heard: float | None = None
        self._waiting: Mapping[str, Any] = {}
        self._next = 0.0
        self._lock = threading.Lock()

    def admit(self, rows: int = 1) -> None:
        """Wait until so many rows may go."""
        if self.rate is None:
            return
        with self._lock:
            begin = max(self._next, time.monotonic() - BURST_SECONDS)
            self._next = begin + rows / self.rate
        if (wait := begin - time.monotonic()) > 0:
            time.sleep(wait)

    def took(self, seconds: float) -> None:
        """Note how long one write took."""
        self._latencies.append(seconds)

    def page_rows(self, row_bytes: float) -> int:
        """Return how many rows to read at once: few at a slow pace, for a page is read in one go, few large ones."""
        most = PAGE_MOST if self.rate is None else int(self.rate * PAGE_SECONDS)
        return max(min(max(most, PAGE_LEAST), PAGE_MOST, int(PAGE_BYTES / max(row_bytes, 1))), 1)

    def own(self) -> tuple[float, float]:
        """Return the 99th percentile of the writes since the last call and the usual one, in milliseconds."""
        taken = sorted(self._latencies)
        self._latencies.clear()
        if not taken:
            return 0.0, self._usual or 0.0
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))] * 1_000
        # The usual one follows slowly, so that a creeping overload does not become usual within a minute.
        self._usual = p99 if self._usual is None else self._usual * 0.98 + min(p99, self._usual * 2) * 0.02
        return p99, self._usual

    def adjust(self, users: Users | None, now: float, waiting: Mapping[str, Any] | None) -> None:
        """Decide anew, with what the nodes say waits there ({"pending", "compactions", "hints"}); None: not asked."""
        p99, usual = self.own()
        if self.rate is None:
            return
        silent = users is None or now - users.at > STALE_SECONDS
        at = users.at if users else None
        asked = waiting is not None
        self._waiting = self._waiting if waiting is None else waiting
        signs = Signs(
            users, silent, at != self._heard, p99, usual, asked=asked, overloaded=self.overloaded, **self._waiting
        )
        self.overloaded, self._heard = False, at
        self.rate, reason = decide(self.rate, signs, self.slowest)
        self.reason = reason or self.reason
