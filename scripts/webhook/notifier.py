"""Tells one URL of the journal's events, in their order, each until it is taken or an hour old.

Every URL has a thread of its own, so one that hangs holds back neither another URL nor the webhook, and none of them
touches a release: they read the journal, and write only how far they have come.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

from scripts.journal.store import Store, StoreError
from scripts.webhook.audit import audit
from scripts.webhook.config import Target
from scripts.webhook.delivery import DeliveryError, compose, deliver
from scripts.webhook.memory import Memory
from scripts.webhook.signature import sign

KINDS = ("started", "gate", "succeeded", "partial", "rolled-back", "failed", "held")
POLL_SECONDS = 1.0
GIVE_UP_SECONDS = 3600.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
PAGE = 100


@dataclass(frozen=True)
class Pace:
    """How fast a notifier looks, tries again and gives up."""

    poll: float = POLL_SECONDS
    first_wait: float = FIRST_WAIT_SECONDS
    longest_wait: float = LONGEST_WAIT_SECONDS
    give_up: float = GIVE_UP_SECONDS


class Notifier:
    """Follows the journal for one URL. A URL seen for the first time hears of what happens from then on."""

    def __init__(
        self,
        target: Target,
        key: bytes,
        memory: Memory,
        journal: Store,
        pace: Pace | None = None,
    ) -> None:
        self.target = target
        self.key = key
        self.memory = memory
        self.journal = journal
        self.pace = pace or Pace()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify {target.name}", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a delivery under way is tried again by the next process."""
        self._stopped.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except Exception as error:  # the journal being busy, or a mistake of ours: neither may end the thread
                audit("notifier waits", url=self.target.name, error=repr(error))
            self._stopped.wait(self.pace.poll)

    def _follow(self) -> None:
        """Bring the URL up to the journal's last event."""
        number = self.memory.delivered(self.target.fingerprint)
        if number is None:
            number = self._newest()
            self.memory.set_delivered(self.target.fingerprint, number)
        while events := self._events_after(number):
            for event in events:
                if event["kind"] in KINDS and not self._tell(event):
                    return
                number = int(event["number"])
                if event["kind"] in KINDS:
                    self.memory.set_delivered(self.target.fingerprint, number)
            self.memory.set_delivered(self.target.fingerprint, number)

    def _newest(self) -> int:
        number = 0
        while events := self._events_after(number):
            number = int(events[-1]["number"])
        return number

    def _events_after(self, number: int) -> list[dict[str, Any]]:
        return list(self.journal.events({"after": number, "limit": PAGE})["events"])

    def _tell(self, event: dict[str, Any]) -> bool:
        """Deliver one event, again and again if need be; False when told to stop before it was done with."""
        wait = self.pace.first_wait
        while not self._stopped.is_set():
            body = compose(event)
            # The same id each time: a receiver that has taken it before can tell.
            identity = f"event-{event['number']}-{int(event['at'])}"
            try:
                deliver(self.target.url, body, sign(self.key, body, identity))
            except DeliveryError as error:
                audit("not notified", url=self.target.name, event=event["number"], error=str(error))
                if time.time() - float(event["at"]) > self.pace.give_up:
                    self._give_up(event, str(error))
                    return True
            else:
                audit("notified", url=self.target.name, event=event["number"], kind=event["kind"])
                return True
            self._stopped.wait(wait * random.uniform(0.8, 1.2))  # noqa: S311  # spreads retries, guards nothing
            wait = min(wait * 2, self.pace.longest_wait)
        return False

    def _give_up(self, event: dict[str, Any], reason: str) -> None:
        """Leave a trace in the journal; the next event has its turn."""
        audit("gave up", url=self.target.name, event=event["number"], error=reason)
        text = f"{self.target.name} was not told of event {event['number']} ({event['kind']}): {reason}"
        with contextlib.suppress(StoreError):
            self.journal.note({"kind": "notify-failed", "release": event.get("release"), "text": text})
