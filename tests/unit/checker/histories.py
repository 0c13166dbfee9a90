"""Histories written by hand: one line an operation, and the state that a table with them should end in."""

from scripts.checker.history import History, Kind, Operation, Outcome, plain
from scripts.checker.judge import State, judge

COLUMNS = ("name", "quantity", "tags")
KEY = "k1"


class Script:
    """A history in the making. Each call is an operation; numbers and write times count up unless they are given."""

    def __init__(self, run="r"):
        self.run = run
        self.operations = []

    def insert(self, key=KEY, **values):
        return self._add(Kind.INSERT, key, values)

    def update(self, key=KEY, **values):
        return self._add(Kind.UPDATE, key, values)

    def delete(self, key=KEY, **values):
        return self._add(Kind.DELETE, key, values)

    def _add(self, kind, key, values):
        options = {
            name: values.pop(name) for name in ("at", "by", "outcome") if name in values
        }  # at: the write's time, None where it is not known
        number = len(self.operations)
        self.operations.append(
            Operation(
                number=number,
                process=options.get("by", 0),
                kind=kind,
                key=key,
                values={name: plain(value) for name, value in values.items()},
                outcome=Outcome(options.get("outcome", "ok")),
                timestamp=options.get("at", (number + 1) * 100),
            )
        )
        return self

    @property
    def history(self):
        return History(self.run, COLUMNS, tuple(self.operations))

    def judge(self, *states):
        """The verdict on tables that end with these rows: each {key: {column: value}}."""
        named = [
            State(f"table {number}", COLUMNS, {key: {c: plain(v) for c, v in row.items()} for key, row in rows.items()})
            for number, rows in enumerate(states)
        ]
        return judge(self.history, named)


def wrongs(verdict):
    """What is wrong, as (kind, key, column)."""
    return [(str(problem.wrong), problem.key, problem.column) for problem in verdict.problems]
