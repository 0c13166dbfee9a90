"""Operations from a log of invocations and completions, one JSON object a line.

    {"type": "run", "run": "a1b2", "columns": ["name", …], "prepared": {"rows": 1000, "timestamp": 1764…}}
    {"type": "invoke", "op": 1017, "process": 3, "kind": "insert|update|delete", "key": "uuid" or null,
     "values": {"name": "a1b2-1017", …}, "at": 1764…}
    {"type": "complete", "op": 1017, "outcome": "ok|failed|unknown", "key": "uuid", "timestamp": 1764…, "at": 1764…,
     "version": "2.0.0", "through": "10.77.0.11", "status": 201, "error": ""}

`timestamp` is the write's own, in microseconds; `at` is seconds since the epoch by the client's clock. An invocation
that was never completed is unknown: its client was killed. Rows prepared before the run follow from the first line
alone (`prepared_operations`), so a log need not name them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from scripts.checker.errors import CheckerError

PREPARER = -1  # the process that the prepared rows were written by

Value = str | int | float | bool | tuple[Any, ...] | None


class Kind(StrEnum):
    """What an operation does to its row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Outcome(StrEnum):
    """What the client was told: it happened; it did not and never will; nothing that settles it."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Operation:
    """One operation. `key` is None where the service chooses it and never told; `timestamp` where it is not known."""

    number: int
    process: int
    kind: Kind
    key: str | None
    values: Mapping[str, Value]
    outcome: Outcome
    timestamp: int | None = None
    at: float = 0.0
    version: str | None = None
    through: str | None = None

    @property
    def may_show(self) -> bool:
        """Whether its effect may be seen: all but what certainly did not happen."""
        return self.outcome is not Outcome.FAILED


@dataclass(frozen=True)
class History:
    """All operations in the order in which they were invoked. `run` is part of every value that the run wrote."""

    run: str
    columns: tuple[str, ...]
    operations: tuple[Operation, ...] = field(repr=False)


def plain(value: Any) -> Value:
    """Return a JSON value in a form that can be compared and hashed; a set's elements have no order."""
    if isinstance(value, list | tuple | set | frozenset):
        # An empty collection is no value at all in Cassandra.
        return tuple(sorted((plain(element) for element in value), key=repr)) or None
    if isinstance(value, Mapping):
        return tuple(sorted(((plain(key), plain(item)) for key, item in value.items()), key=repr)) or None
    return value  # type: ignore[no-any-return]


def prepared_key(run: str, number: int) -> str:
    """Return the key of a prepared row. Both the client and the judge derive it, so nobody has to hand it on."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run}/{number}"))


def prepared_values(run: str, number: int) -> dict[str, Any]:
    """Return the values of a prepared row of the sample service."""
    token = f"{run}-{number}"
    return {"name": token, "description": f"{token} d", "quantity": number, "tags": [token]}


def prepared_operations(run: str, rows: int, timestamp: int) -> Iterator[Operation]:
    """The prepared rows as acknowledged inserts, all with one write time; numbers 0 to `rows` - 1."""
    for number in range(rows):
        values = {name: plain(value) for name, value in prepared_values(run, number).items()}
        key = prepared_key(run, number)
        yield Operation(number, PREPARER, Kind.INSERT, key, values, Outcome.OK, timestamp)


def read_history(lines: Iterable[str]) -> History:
    """Return the history that a log tells. CheckerError names a line that makes no sense.

    The last line may be cut short, for its writer may have been killed: it is left out.
    """
    head: Mapping[str, Any] | None = None
    operations: dict[int, Operation] = {}
    for number, document in _documents(lines):
        try:
            if document["type"] == "run":
                head = document
            elif document["type"] == "invoke":
                operations[document["op"]] = _invoked(document)
            else:
                operations[document["op"]] = _completed(operations[document["op"]], document)
        except (KeyError, ValueError, TypeError) as error:
            raise CheckerError(f"line {number} of the log makes no sense ({error!r}); was it edited?") from error
    if head is None:
        raise CheckerError("the log does not begin with a line of type «run»; it is no log of the checker's client")
    prepared = head.get("prepared") or {"rows": 0, "timestamp": 0}
    before = prepared_operations(head["run"], prepared["rows"], prepared["timestamp"])
    return History(head["run"], tuple(head["columns"]), (*before, *operations.values()))


def _documents(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    cut: int | None = None
    for number, line in enumerate(lines, 1):
        if cut is not None:
            raise CheckerError(f"line {cut} of the log is not JSON; was it edited?")
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError:
            cut = number


def _invoked(document: Mapping[str, Any]) -> Operation:
    return Operation(
        number=int(document["op"]),
        process=int(document["process"]),
        kind=Kind(document["kind"]),
        key=document["key"],
        values={name: plain(value) for name, value in (document.get("values") or {}).items()},
        outcome=Outcome.UNKNOWN,
        timestamp=document.get("timestamp"),
        at=float(document["at"]),
    )


def _completed(invoked: Operation, document: Mapping[str, Any]) -> Operation:
    return replace(
        invoked,
        key=document.get("key") or invoked.key,
        outcome=Outcome(document["outcome"]),
        timestamp=document.get("timestamp") or invoked.timestamp,
        version=document.get("version"),
        through=document.get("through"),
    )
