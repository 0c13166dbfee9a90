"""A release of the data in memory: two tables that keep cells by write time, two versions that write, a mirror, a copy.

Quick, and the same every time, where tests/system/checker_laboratory.py has a real ring. One thing can be switched off.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from scripts.checker.cells import PRESENCE
from scripts.checker.history import History, Kind, Operation, Outcome
from scripts.checker.judge import State, judge

COLUMNS = ("name", "quantity", "tags")
COORDINATORS = 3
SKEWS = (0, 5_000, -5_000, 0)  # clocks of clients; a step of the model is 100 long
MUTANTS = (
    "mirror off",
    "one direction only",
    "the thesis's copy and tail sync",
    "row-wise max timestamps",
    "no settle before the copy",
    "deletes not mirrored",
    "one-table acknowledgement",
)


class Table:
    """Cells by write time, as Cassandra keeps them; a delete wins a tie."""

    def __init__(self):
        self.cells = {}

    def apply(self, operation):
        """Do an operation."""
        if operation.kind is Kind.DELETE:
            for column in (PRESENCE, *COLUMNS):
                self.write(operation.key, column, None, operation.timestamp)
            return
        for column, value in operation.values.items():
            self.write(operation.key, column, value, operation.timestamp)
        if operation.kind is Kind.INSERT:
            self.write(operation.key, PRESENCE, True, operation.timestamp)

    def write(self, key, column, value, time):
        """Write a cell, unless it has a later one."""
        held = self.cells.get((key, column))
        if held is None or time > held[1] or (time == held[1] and value is None):
            self.cells[key, column] = (value, time)

    def row(self, key):
        """The live cells of a row: column -> (value, write time)."""
        held = {column: self.cells.get((key, column)) for column in (PRESENCE, *COLUMNS)}
        return {column: cell for column, cell in held.items() if cell and cell[0] is not None}

    def present(self):
        """The keys of rows that are there."""
        return sorted({key for (key, column), (value, _) in self.cells.items() if column == PRESENCE and value})

    def state(self, name):
        """The table as a reader finds it."""
        rows = {key: {c: self.row(key).get(c, (None,))[0] for c in COLUMNS} for key in self.present()}
        return State(name, COLUMNS, rows)


@dataclass
class Client:
    """A client of one version, with a clock and a coordinator of its own."""

    process: int
    is_new: bool
    last: int = 0
    keys: tuple = ()

    def clock(self, now):
        """The client's time; never goes back."""
        self.last = max(now + SKEWS[self.process % 4], self.last + 1)
        return self.last


class Release:
    """One run, step by step; `broken` names what is switched off."""

    def __init__(self, seed, broken=None):
        self.dice = random.Random(seed)  # noqa: S311 - a mix, no secret
        self.broken = broken
        self.old, self.new = Table(), Table()
        self.operations = []
        self.now = 1_000_000
        self.forward = [False] * COORDINATORS
        self.reverse = False
        self.queues = [deque() for _ in range(COORDINATORS)]
        self.clients = [Client(process, process >= 4) for process in range(8)]
        self.shared = [f"shared-{number}" for number in range(4)]
        self.late = []
        self.ends = {}  # what the judged tables held at the end

    def go(self):
        """Do all of it; the verdict."""
        everybody, first = self.clients, self.clients[:4]
        for number, key in enumerate([f"late-{place}" for place in range(6)] + self.shared):
            self.operate(self.clients[0], Kind.INSERT, key, at=number)
        self.write(first, 40)
        mirrored = self.broken not in ("mirror off", "the thesis's copy and tail sync")
        self.forward = [mirrored, mirrored, mirrored and self.broken != "no settle before the copy"]
        self.begin_late_writes()
        self.copy(first)
        self.forward = [mirrored] * COORDINATORS
        for operation, client in self.late:
            self.send(operation, client)
        self.write(first, 10)
        if self.broken == "the thesis's copy and tail sync":
            self.copy([], only_new=True)
        self.reverse = mirrored and self.broken != "one direction only"
        self.write(everybody, 80)
        self.queues[1].clear()  # the coordinator dies, and what it had in memory with it
        self.write(everybody, 20)
        for queue in self.queues:
            while queue:
                self.deliver(queue)
        states = [self.new.state("new")]
        if self.broken != "the thesis's copy and tail sync":  # it never claimed that of the old table
            states.append(self.old.state("old"))
        self.ends = {state.name: state.rows for state in states}
        return judge(History("r", COLUMNS, tuple(self.operations)), states)

    def write(self, clients, count):
        """Have some of the clients do some operations."""
        for _ in range(count):
            client = self.dice.choice(clients)
            (kind,) = self.dice.choices(list(Kind), [50, 30, 20])
            if kind is Kind.UPDATE and self.dice.random() < 0.5:
                self.operate(client, kind, self.dice.choice(self.shared))
            elif kind is Kind.INSERT or not client.keys:
                key = f"{client.process}-{len(self.operations)}"
                client.keys += (key,)
                self.operate(client, Kind.INSERT, key)
            else:
                key = self.dice.choice(client.keys)
                if kind is Kind.DELETE:
                    client.keys = tuple(other for other in client.keys if other != key)
                self.operate(client, kind, key)

    def operate(self, client, kind, key, at=None):
        """Do one operation now."""
        self.now += 100
        self.send(self.make(client, kind, key, client.clock(self.now) if at is None else at), client)

    def make(self, client, kind, key, timestamp):
        """An operation that was begun; it is acknowledged once it is sent."""
        number = len(self.operations)
        token = f"r-{number}"
        values = {"name": token, "quantity": number, "tags": (token,)}
        some = self.dice.sample(COLUMNS, 3 if kind is Kind.INSERT else self.dice.randint(1, 2))
        written = {} if kind is Kind.DELETE else {column: values[column] for column in some}
        operation = Operation(number, client.process, kind, key, written, Outcome.OK, timestamp)
        self.operations.append(operation)
        return operation

    def send(self, operation, client):
        """Have a coordinator do it: in the client's table, and in the other one where it is mirrored."""
        table, twin = (self.new, self.old) if client.is_new else (self.old, self.new)
        coordinator = client.process % COORDINATORS
        table.apply(operation)
        if not (self.reverse if client.is_new else self.forward[coordinator]):
            return
        if self.broken == "deletes not mirrored" and operation.kind is Kind.DELETE:
            return
        queue = self.queues[coordinator]
        queue.append((twin, operation))
        while len(queue) > (4 if self.broken == "one-table acknowledgement" else 0):
            self.deliver(queue)

    def deliver(self, queue):
        """Have the twin that waits longest in its table."""
        twin, operation = queue.popleft()
        twin.apply(operation)

    def begin_late_writes(self):
        """Writes whose time is fixed now and which are sent after the copy, below a newer cell of their row."""
        slow, quick = Client(12, False), Client(15, False)
        for place in range(6):
            key = f"late-{place}"
            operation = self.make(slow, Kind.DELETE if place % 3 == 0 else Kind.UPDATE, key, slow.clock(self.now))
            self.late.append((operation, slow))
            self.now += 100
            other = next(column for column in COLUMNS if column not in operation.values)
            newer = Operation(
                len(self.operations), 15, Kind.UPDATE, key, {other: f"r-{len(self.operations)}"}, Outcome.OK,
                quick.clock(self.now),
            )  # fmt: skip
            self.operations.append(newer)
            self.send(newer, quick)

    def copy(self, clients, only_new=False):
        """Copy row by row; clients write between a row's reading and its writing."""
        for key in self.old.present():
            row = self.old.row(key)
            if not row:
                continue  # deleted since
            if clients:
                self.write(clients, self.dice.randint(1, 2))
            self.now += 10
            if only_new and key in self.new.present():
                continue
            highest = max(time for _, time in row.values())
            for column, (value, time) in row.items():
                if self.broken == "row-wise max timestamps":
                    time = highest  # noqa: PLW2901
                if self.broken == "the thesis's copy and tail sync":
                    time = self.now  # noqa: PLW2901
                self.new.write(key, column, value, time)
