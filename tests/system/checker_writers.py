"""Clients of a laboratory: each writes rows of one table straight through CQL, with its own clock, and is logged."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cassandra.cluster import Session
from cassandra.protocol import RequestValidationException
from cassandra.query import UNSET_VALUE

from scripts.checker.history import History, Kind, Operation, Outcome, plain

COLUMNS = ("name", "description", "quantity", "tags")
LONG_AGO = 3600 * 1_000_000  # microseconds: rows are prepared before any clock that goes wrong


@dataclass(frozen=True)
class Version:
    """One version of the application: its table, and its name for each column."""

    name: str
    table: str
    columns: Mapping[str, str]


class Log:
    """All operations of a run. Numbers count up in the order of invocation."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._operations: dict[int, Operation] = {}
        self._next = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many operations have come to something."""
        return len(self._operations)

    def number(self) -> int:
        """The next operation's number."""
        with self._lock:
            self._next += 1
            return self._next - 1

    def add(self, operation: Operation) -> None:
        """Note what came of an operation."""
        with self._lock:
            self._operations[operation.number] = operation

    @property
    def history(self) -> History:
        """All of it so far."""
        with self._lock:
            operations = tuple(self._operations[number] for number in sorted(self._operations))
        return History(self.run, COLUMNS, operations)


class Statements:
    """A version's statements, prepared."""

    def __init__(self, session: Session, keyspace: str, version: Version) -> None:
        self.session, self.version = session, version
        table, columns = f"{keyspace}.{version.table}", [version.columns[name] for name in COLUMNS]
        names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
        changes = ", ".join(f"{name} = ?" for name in columns)
        insert = f"INSERT INTO {table} ({names}, created_at, id) VALUES ({marks}, ?, ?)"  # noqa: S608 - our own names
        self._insert = session.prepare(f"{insert} USING TIMESTAMP ?")
        self._update = session.prepare(f"UPDATE {table} USING TIMESTAMP ? SET {changes} WHERE id = ?")  # noqa: S608
        self._delete = session.prepare(f"DELETE FROM {table} USING TIMESTAMP ? WHERE id = ?")  # noqa: S608

    def execute(self, operation: Operation, profile: Any) -> None:
        """Do an operation; raises what the driver raises."""
        key, values = uuid.UUID(operation.key), [_cql(operation.values, name) for name in COLUMNS]
        if operation.kind is Kind.INSERT:
            bound = self._insert.bind((*values, int(time.time() * 1000), key, operation.timestamp))
        elif operation.kind is Kind.UPDATE:
            bound = self._update.bind((operation.timestamp, *values, key))
        else:
            bound = self._delete.bind((operation.timestamp, key))
        bound.is_idempotent = True
        self.session.execute(bound, execution_profile=profile)


def _cql(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        return UNSET_VALUE
    value = values[name]
    return set(value) if isinstance(value, tuple) else value


class Client(threading.Thread):
    """One client: one operation after the other on its own rows and on everybody's, until it is told to end."""

    def __init__(
        self, process: int, statements: Statements, log: Log, *, profile: Any, skew: float = 0.0, pause: float = 0.1
    ) -> None:
        super().__init__(daemon=True)
        self.process, self.statements, self.log = process, statements, log
        self.profile, self.skew, self.pause = profile, int(skew * 1e6), pause
        self.own: list[str] = []
        self.shared: list[str] = []
        self.gone: list[str] = []
        self.over = threading.Event()
        self._dice = random.Random(process)  # noqa: S311 - a mix, no secret
        self._last = 0

    def clock(self) -> int:
        """The client's time in microseconds: may be off, never goes back."""
        self._last = max(time.time_ns() // 1000 + self.skew, self._last + 1)
        return self._last

    def run(self) -> None:
        """Write until it is over."""
        while not self.over.wait(self.pause):
            self.once()

    def once(self) -> None:
        """Do one operation: 50 % inserts, 30 % updates, 20 % deletes."""
        (kind,) = self._dice.choices([Kind.INSERT, Kind.UPDATE, Kind.DELETE], [50, 30, 20])
        rows = self.shared if self.shared and kind is Kind.UPDATE and self._dice.random() < 0.5 else self.own
        if kind is Kind.INSERT or not rows:
            again = bool(self.gone) and self._dice.random() < 0.2
            key = self.gone.pop() if again else str(uuid.uuid4())
            if self.write(Kind.INSERT, key) is Outcome.OK:
                self.own.append(key)
        elif kind is Kind.UPDATE:
            self.write(kind, self._dice.choice(rows))
        else:
            key = rows.pop(self._dice.randrange(len(rows)))
            if self.write(kind, key) is Outcome.OK:
                self.gone.append(key)

    def write(self, kind: Kind, key: str, **values: Any) -> Outcome:
        """Do one operation with these values, or with some of its own."""
        number = self.log.number()
        return self.send(number, kind, key, values or self._values(kind, number), self.clock())

    def send(self, number: int, kind: Kind, key: str, values: Mapping[str, Any], timestamp: int) -> Outcome:
        """Send one operation, and log what came of it."""
        held = {name: plain(value) for name, value in values.items()}
        operation = Operation(number, self.process, kind, key, held, Outcome.UNKNOWN, timestamp, time.time())
        outcome = Outcome.OK
        try:
            self.statements.execute(operation, self.profile)
        except RequestValidationException:
            outcome = Outcome.FAILED
        except Exception:
            outcome = Outcome.UNKNOWN
        done = Operation(
            number, self.process, kind, key, held, outcome, timestamp, operation.at, self.statements.version.name
        )
        self.log.add(done)
        if outcome is Outcome.UNKNOWN and key in self.own:
            self.own.remove(key)
        return outcome

    def _values(self, kind: Kind, number: int) -> dict[str, Any]:
        if kind is Kind.DELETE:
            return {}
        token = f"{self.log.run}-{number}"
        values: dict[str, Any] = {"name": token, "description": f"{token} d", "quantity": number, "tags": [token]}
        count = self._dice.randint(1, 3) if kind is Kind.UPDATE else self._dice.randint(3, 4)
        return {name: values[name] for name in self._dice.sample(COLUMNS, count)}
