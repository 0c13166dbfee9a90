"""A history and final states -> verdict. Pure.

A final state is what one reader found when all clients had ended: a table through CQL, or a version's API. Rows that
the run did not write are other people's, and no matter, unless one carries a value of the run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scripts.checker.cells import PRESENCE, Allowed, allowed_in, has_one_writer, left_by, touches
from scripts.checker.history import History, Kind, Operation, Outcome, Value
from scripts.checker.verdict import Problem, Verdict, Wrong

Row = Mapping[str, Value]


@dataclass(frozen=True)
class State:
    """What a reader found: rows by key, under the history's names of columns; `columns` are those it could read."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, Row] = field(repr=False)


def judge(history: History, states: Sequence[State]) -> Verdict:
    """Hold every state against the history, and the states against each other."""
    history, strangers = _recognise(history, states)
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.key is not None:
            by_key[operation.key].append(operation)
    problems = list(strangers)
    cells = 0
    for state in states:
        columns = [column for column in history.columns if column in state.columns]
        for key, operations in by_key.items():
            cells += 1 + (len(columns) if key in state.rows else 0)
            problems += _judge_row(state, key, operations, columns)
    if not problems:
        problems = list(_divided(history, states, by_key))
    counted = Counter(operation.kind for operation in history.operations if _counts(operation))
    return Verdict(
        operations={str(kind): counted[kind] for kind in Kind},
        outcomes=dict(Counter(str(operation.outcome) for operation in history.operations if operation.process >= 0)),
        states=[state.name for state in states],
        keys=len(by_key),
        single_writer_keys=sum(has_one_writer(operations) for operations in by_key.values()),
        cells=cells,
        problems=problems,
    )


def _counts(operation: Operation) -> bool:
    return operation.outcome is Outcome.OK and operation.process >= 0


@dataclass(frozen=True)
class _Cell:
    """A cell of a row in a state, with all operations on the row."""

    where: str
    key: str
    column: str
    operations: Sequence[Operation]


def _judge_row(state: State, key: str, operations: Sequence[Operation], columns: Sequence[str]) -> Iterator[Problem]:
    row = state.rows.get(key)
    if row is not None and _is_as_inserted(row, operations, columns):
        return
    problem = _judge_cell(_Cell(state.name, key, PRESENCE, operations), None if row is None else True)
    if problem is not None:
        yield problem
    elif row is not None:
        found = (_judge_cell(_Cell(state.name, key, column, operations), row.get(column)) for column in columns)
        yield from (problem for problem in found if problem is not None)


def _is_as_inserted(row: Row, operations: Sequence[Operation], columns: Sequence[str]) -> bool:
    """Whether a row is as its only operation left it: true of nearly all of a large table, and quickly told."""
    first = operations[0]
    alone = len(operations) == 1 and first.kind is Kind.INSERT and first.outcome is not Outcome.FAILED
    return alone and all(row.get(column) == first.values.get(column) for column in columns)


def _judge_cell(cell: _Cell, found: Value) -> Problem | None:
    for allowed in allowed_in(cell.operations, cell.column):
        if found not in allowed.values:
            return _explain(cell, found, allowed)
    return None


def _explain(cell: _Cell, found: Value, allowed: Allowed) -> Problem:
    deciding, expected, column = allowed.deciding, allowed.expected, cell.column
    number = deciding.number if deciding else None
    writers = [one for one in cell.operations if touches(one, column) and left_by(one, column) == found]
    holds = ("the row is there" if column == PRESENCE else f"it holds {found!r}") if found is not None else "it is gone"
    if found is not None and not any(writer.may_show for writer in writers):
        wrong, reason = Wrong.INVENTED, f"{holds}, which {'was refused' if writers else 'nobody wrote'}"
    elif expected is None:
        ended = f"operation {number} ({deciding.kind}) ended it" if deciding else "nobody wrote it"
        wrong, reason = Wrong.RESURRECTED, f"{holds}, though {ended}"
    else:
        told = f"operation {number} ({deciding.kind}) was acknowledged" if deciding else "nobody took it away"
        wrong, reason = Wrong.LOST, f"{holds}, though {told}"
    named = None if column == PRESENCE else column
    return Problem(wrong, cell.where, cell.key, named, found, expected, number, reason)


def _recognise(history: History, states: Sequence[State]) -> tuple[History, list[Problem]]:
    """Find the rows of inserts whose key nobody was told, by a value that is theirs alone; name rows that are nobody's.

    Such an insert may be there or not, but once, under one key.
    """
    known = {operation.key for operation in history.operations if operation.key is not None}
    nameless = {
        (column, value): operation
        for operation in history.operations
        if operation.key is None and operation.may_show
        for column, value in operation.values.items()
        if _carries(history.run, value)  # a number may be in anybody's row
    }
    keys: dict[int, str] = {}
    problems = []
    for state in states:
        for key, row in state.rows.items():
            if key in known:
                continue
            found = [nameless.get((column, value)) for column, value in row.items() if value is not None]
            operation = next((one for one in found if one is not None), None)
            if operation is not None and keys.setdefault(operation.number, key) == key:
                continue
            if operation is not None or any(_carries(history.run, value) for value in row.values()):
                problems.append(_stranger(state, key, operation))
    operations = tuple(replace(one, key=keys[one.number]) if one.number in keys else one for one in history.operations)
    return replace(history, operations=operations), problems


def _stranger(state: State, key: str, operation: Operation | None) -> Problem:
    number = operation.number if operation else None
    reason = f"operation {number} is there twice" if operation else "the row has values of this run, but not its key"
    return Problem(Wrong.INVENTED, state.name, key, None, True, None, number, reason)


def _carries(run: str, value: Value) -> bool:
    if isinstance(value, tuple):
        return any(_carries(run, element) for element in value)
    return isinstance(value, str) and value.startswith(f"{run}-")


def _divided(history: History, states: Sequence[State], by_key: Mapping[str, Sequence[Operation]]) -> Iterator[Problem]:
    """What is in one state and not in another, both allowed: an operation that happened must have happened in all."""
    first, *others = states or [State("", (), {})]
    for other in others:
        columns = [column for column in history.columns if column in first.columns and column in other.columns]
        for key in by_key:
            mine, theirs = first.rows.get(key), other.rows.get(key)
            if mine is None or theirs is None:
                if mine is not theirs:
                    holder, lacking = (first, other) if theirs is None else (other, first)
                    reason = f"the row is in {holder.name} and not in {lacking.name}"
                    yield Problem(
                        Wrong.DIVIDED, other.name, key, None, theirs is not None, mine is not None, None, reason
                    )
                continue
            for column in columns:
                left, right = mine.get(column), theirs.get(column)
                if left != right:
                    reason = f"it holds {right!r}, and {left!r} in {first.name}"
                    yield Problem(Wrong.DIVIDED, other.name, key, column, right, left, None, reason)
