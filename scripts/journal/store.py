"""The journal as an object: one method a verb, a document in, a document out, one transaction each.

Every method takes the JSON object that the verb takes on standard input and returns the one it prints; it raises
`Refused` (nothing was changed), `MisuseError` for a document that makes no sense, `DamagedError` for an unusable file.
Each call opens its own connection, so one Store may be used by several threads, and any number of processes.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts.journal import events, hold, lock, pairs, releases, requests, signals
from scripts.journal.errors import DamagedError, MisuseError, Refused, StoreError
from scripts.journal.schema import connect
from scripts.journal.transaction import Transaction

__all__ = ["DEFAULT_PATH", "VERBS", "DamagedError", "MisuseError", "Refused", "Store", "StoreError"]

DEFAULT_PATH = Path("/var/lib/evenkeel/journal.sqlite")
Asked = Mapping[str, Any]
Answer = dict[str, Any]
EMPTY: Asked = {}


class Store:
    """The journal in the file at `path`; `clock` gives seconds since the epoch."""

    def __init__(self, path: str | Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path or os.environ.get("EVENKEEL_JOURNAL") or DEFAULT_PATH)
        self.clock = clock

    def read(self, asked: Asked = EMPTY) -> Answer:
        """{"limit"?} -> {"releases", "current", "live", "pairs", "lock", "hold", "requests", "now"}."""
        return self._do(releases.read, asked, "DEFERRED")

    def history(self, asked: Asked = EMPTY) -> Answer:
        """{"limit"?, "id"?} -> {"releases"}, newest first; refused for an id that the journal does not know."""
        return self._do(releases.history, asked, "DEFERRED")

    def begin(self, asked: Asked) -> Answer:
        """{"release": DOC, "token"} -> {"release": REC}."""
        return self._do(releases.begin, asked)

    def verdict(self, asked: Asked) -> Answer:
        """{"id", "verdict", "began"?} -> {"recorded": true}."""
        return self._do(releases.verdict, asked)

    def finish(self, asked: Asked) -> Answer:
        """{"id", "state", "reason", "live"?, "earlier"?} -> {"release": REC}."""
        return self._do(releases.finish, asked)

    def pair(self, asked: Asked) -> Answer:
        """{"id", "state": making|level|apart|left|dropping|dropped, "data"?, "reason"?} -> {"pair": PAIR}."""
        return self._do(pairs.pair, asked)

    def acquire(self, asked: Asked) -> Answer:
        """{"holder": {"who", "purpose", "version"?, "nonce"}, "lease_seconds"} -> {"token", "lock": LOCK}."""
        return self._do(lock.acquire, asked)

    def beat(self, asked: Asked) -> Answer:
        """{"token", "lease_seconds", "release"?, "stage"?} -> {"lock": LOCK, "signals", "hold"}."""
        return self._do(lock.beat, asked)

    def release(self, asked: Asked) -> Answer:
        """{"token"} -> {"released": bool}: gives the lock back."""
        return self._do(lock.release, asked)

    def break_(self, asked: Asked) -> Answer:
        """{"who", "reason"} -> {"broken": LOCK|null}: the verb `break`."""
        return self._do(lock.break_, asked)

    def signal(self, asked: Asked) -> Answer:
        """{"kind": abort|confirm|reject, "who", "reason"?, "id"?} -> {"release": id}."""
        return self._do(signals.signal, asked)

    def waiting(self, asked: Asked) -> Answer:
        """{"id", "gate", "until"?} -> {"waiting": true}: a gate of this release waits from now on."""
        return self._do(signals.waiting, asked)

    def hold(self, asked: Asked) -> Answer:
        """{"who", "reason"} -> {"hold": HOLD}."""
        return self._do(hold.hold, asked)

    def unhold(self, asked: Asked) -> Answer:
        """{"who"} -> {"hold": null, "lifted": HOLD|null}."""
        return self._do(hold.unhold, asked)

    def request(self, asked: Asked) -> Answer:
        """{"version", "who", "delivery"?} -> {"request": number}; the same delivery is the same request."""
        return self._do(requests.request, asked)

    def take(self, asked: Asked) -> Answer:
        """{"who"} -> {"request": REQ|null}: the oldest that waits, or again the one this taker has not answered."""
        return self._do(requests.take, asked)

    def answer(self, asked: Asked) -> Answer:
        """{"request", "state": succeeded|failed|refused, "reason"?} -> {"request": REQ}."""
        return self._do(requests.answer, asked)

    def events(self, asked: Asked = EMPTY) -> Answer:
        """{"after"?, "limit"?} -> {"events"}, oldest first."""
        return self._do(events.events, asked, "DEFERRED")

    def note(self, asked: Asked) -> Answer:
        """{"kind", "text", "release"?, "data"?} -> {"number"}: an event of another program, as «notified»."""
        return self._do(events.note, asked)

    def _do(self, verb: Callable[[Transaction, Asked], Answer], asked: Asked, mode: str = "IMMEDIATE") -> Answer:
        """Run one verb in one transaction: all of it is in the journal afterwards, or nothing."""
        try:
            connection = connect(self.path)
            try:
                connection.execute(f"BEGIN {mode}")
                answer = verb(Transaction(connection, self.clock()), asked)
                connection.execute("COMMIT")
                return answer
            finally:
                connection.close()  # rolls back what was not committed
        except (sqlite3.Error, OSError) as error:
            raise DamagedError(f"the journal {self.path} cannot be used: {error}") from error


VERBS: Mapping[str, Callable[[Store, Asked], Answer]] = {
    "read": Store.read,
    "history": Store.history,
    "begin": Store.begin,
    "verdict": Store.verdict,
    "finish": Store.finish,
    "pair": Store.pair,
    "acquire": Store.acquire,
    "beat": Store.beat,
    "release": Store.release,
    "break": Store.break_,
    "signal": Store.signal,
    "waiting": Store.waiting,
    "hold": Store.hold,
    "unhold": Store.unhold,
    "request": Store.request,
    "take": Store.take,
    "answer": Store.answer,
    "events": Store.events,
    "note": Store.note,
}
