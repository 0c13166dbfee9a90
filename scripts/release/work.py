"""What every stage works with: its input, the hosts, the journal, and what the heartbeat last heard.

A stage may be told to stop (abort, deadline, a lost lock) at any moment: `check` raises `StoppedError` then, and is
called between any two steps and while waiting.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from typing import Any

from components.stages import Kind, Stage, turn
from scripts.release.app_servers import AppServers
from scripts.release.documents import StageInput, listed
from scripts.release.errors import StageFailedError
from scripts.release.load_balancers import LoadBalancers, Routing, capacity
from scripts.release.remote_journal import RemoteJournal


class StoppedError(Exception):
    """The supervisor has decided: nothing more may be done by this stage."""


@dataclass
class Work:
    """One run of one stage. `figures` are what it has measured so far; they outlive a stage that is stopped.

    `heard` is what the journal answered to a first beat, if there was one.
    """

    stage: Stage
    told: StageInput
    token: int
    figures: dict[str, Any] = field(default_factory=dict)
    heard: Mapping[str, Any] | None = None
    signals: list[Mapping[str, Any]] = field(default_factory=list)
    stopped: Event = field(default_factory=Event)

    @cached_property
    def journal(self) -> RemoteJournal:
        """The journal on the control host."""
        return RemoteJournal(self.told.stack)

    @cached_property
    def load_balancers(self) -> LoadBalancers:
        """All load balancers, in this stage's turn."""
        position = turn(self.stage, len(self.told.release.groups))
        return LoadBalancers(self.told.stack, self.token, 2 * position)

    @cached_property
    def app_servers(self) -> AppServers:
        """All application servers."""
        return AppServers(self.told.stack)

    @property
    def group(self) -> list[str]:
        """The sites that this stage is about, without those that an earlier stage left out."""
        sites = self.told.release.groups[self.stage.group - 1]
        return [site for site in sites if site not in self.told.left_out]

    def check(self) -> None:
        """Raise StoppedError if the stage must not go on."""
        if self.stopped.is_set():
            raise StoppedError

    def pause(self, seconds: float) -> None:
        """Wait, unless the stage is stopped."""
        if self.stopped.wait(seconds):
            raise StoppedError

    def say(self, text: str) -> None:
        """Tell the person who watches what is done now."""
        print(f"{self.stage.name}: {text}", file=sys.stderr, flush=True)

    def signal(self, kind: str) -> Mapping[str, Any] | None:
        """Return the newest signal of a kind that a person has sent to this release."""
        return next((signal for signal in reversed(self.signals) if signal["kind"] == kind), None)

    def measure(self, routings: Mapping[str, Routing]) -> int:
        """Take the capacity from what the load balancers say; keep the lowest seen, and who could not be asked."""
        found = capacity(routings)
        self.figures["capacity"] = found
        self.figures["lowest_capacity"] = min(found, self.figures.get("lowest_capacity", found))
        if self.load_balancers.lost:
            self.figures["unreachable"] = dict(self.load_balancers.lost)
        return found

    def require_capacity(self) -> None:
        """Fail if fewer application servers serve than before the release; left out sites and `halves` excepted."""
        before = int(self.told.figure("capacity_before", 0))
        out = len({**self.told.left_out, **self.figures.get("left_out", {})})
        now = self.figures["lowest_capacity"]
        if self.told.release.plan["strategy"] != "halves" and now < before - out:
            raise StageFailedError(f"capacity fell from {before} application servers to {now}")

    def sort_out(self, answers: Mapping[str, object]) -> list[str]:
        """Return the sites that did it. In the first group any failure fails the stage; later, the site is left out."""
        wrong = {site: str(answer) for site, answer in answers.items() if isinstance(answer, StageFailedError)}
        right = [site for site in answers if site not in wrong]
        if wrong and (self.stage.group == 1 or not right):
            raise StageFailedError("; ".join(f"site {site}: {why}" for site, why in wrong.items()))
        if wrong:
            self.figures["left_out"] = wrong
            self.say(f"site {listed(wrong)} is left out: {'; '.join(wrong.values())}")
        return right


def poll(work: Work, seconds: float, look: Callable[[], bool], every: float = 1.0) -> bool:
    """Call `look` until it is true or the time is over; return whether it was."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() >= end:
            return False
        work.pause(min(every, max(0.0, end - time.monotonic())))
    return True


def is_protected(kind: Kind) -> bool:
    """Tell whether a stage of this kind goes on when a person aborts: it is what an abort leads to."""
    return kind in (Kind.ROLLBACK, Kind.OUTCOME)
