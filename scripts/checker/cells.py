"""What a cell may hold after a history: the rules, for one cell at a time.

A row is there while its marker is: only inserts write the marker (the sample's `created_at`), only deletes take it. It
is judged like a cell here, under the name PRESENCE, so that an update that overtakes a delete brings no row back.

1. Where every acknowledged operation's write time is known, the highest decides. Of equal ones a delete decides, then
   a null; between equal values either may stand.
2. Where one client alone wrote the key, its last acknowledged operation stands, whatever the write times say.
3. An operation of which nothing is known may have happened, at any time after it was begun (its server may have been
   stopped and gone on); where its write time is known and lower than the deciding one, it has no say.
4. An operation that failed has no effect.

Both rules hold where both apply: clients that took turns on a key by themselves see it as rule 2 says, and a service
that lets write times go back loses writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.checker.history import Kind, Operation, Outcome, Value

PRESENCE = "(row)"
PRESENT = True


@dataclass(frozen=True)
class Allowed:
    """What a cell may hold: the values, the operation that decides (None: nobody wrote it), and what that one left."""

    values: frozenset[Value]
    expected: Value
    deciding: Operation | None


def touches(operation: Operation, column: str) -> bool:
    """Whether an operation has a say about a cell of its row."""
    if operation.kind is Kind.DELETE:
        return True
    return operation.kind is Kind.INSERT if column == PRESENCE else column in operation.values


def left_by(operation: Operation, column: str) -> Value:
    """What a cell holds after an operation that touches it; None: nothing."""
    if operation.kind is Kind.DELETE:
        return None
    return PRESENT if column == PRESENCE else operation.values[column]


def allowed_in(operations: Sequence[Operation], column: str) -> list[Allowed]:
    """Return what each rule that applies allows in a cell; `operations` are all of its row's, in order."""
    touching = [operation for operation in operations if operation.may_show and touches(operation, column)]
    acknowledged = [operation for operation in touching if operation.outcome is Outcome.OK]
    unknown = [operation for operation in touching if operation.outcome is Outcome.UNKNOWN]
    rules = []
    if all(operation.timestamp is not None for operation in acknowledged):
        rules.append(_by_write_time(acknowledged, unknown, column))
    if has_one_writer(operations):
        rules.append(_by_order(acknowledged, unknown, column))
    return rules


def has_one_writer(operations: Iterable[Operation]) -> bool:
    """Whether one client alone wrote a row, apart from its preparation before all clients began."""
    return len({operation.process for operation in operations if operation.process >= 0}) <= 1


def _by_write_time(acknowledged: Sequence[Operation], unknown: Sequence[Operation], column: str) -> Allowed:
    if not acknowledged:
        return Allowed(frozenset({None, *(left_by(one, column) for one in unknown)}), None, None)
    top = max(operation.timestamp or 0 for operation in acknowledged)
    # At one and the same time, nothing beats something.
    deciding = min(
        (operation for operation in acknowledged if operation.timestamp == top),
        key=lambda operation: (operation.kind is not Kind.DELETE, left_by(operation, column) is not None),
    )
    expected = left_by(deciding, column)
    values = {expected}
    if expected is not None:
        values |= {left_by(operation, column) for operation in acknowledged if operation.timestamp == top}
    values |= {left_by(one, column) for one in unknown if one.timestamp is None or one.timestamp >= top}
    return Allowed(frozenset(values), expected, deciding)


def _by_order(acknowledged: Sequence[Operation], unknown: Sequence[Operation], column: str) -> Allowed:
    deciding = max(acknowledged, key=lambda operation: operation.number, default=None)
    expected = left_by(deciding, column) if deciding else None
    # One of which nothing is known may come late, but not where its write time, fixed before it was sent, is known.
    late = [one for one in unknown if deciding is None or one.timestamp is None or one.number > deciding.number]
    return Allowed(frozenset({expected, *(left_by(one, column) for one in late)}), expected, deciding)
