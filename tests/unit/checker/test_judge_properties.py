"""Over random histories: a store that keeps the rules passes, and one wrong cell is always found."""

import copy
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.checker.histories import COLUMNS, Script, wrongs

KEYS = ("k0", "k1", "k2")
STEP = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from(["insert", "update", "update", "delete"]),
    st.sampled_from(["name", "quantity"]),
    st.integers(0, 2),  # the client
    st.integers(-3, 3),  # how far its clock is off, in operations
    st.sampled_from(["ok", "ok", "ok", "failed", "unknown"]),
    st.booleans(),  # whether an unknown one happened
)


class Store:
    """Cells by write time, as Cassandra keeps them: a delete wins a tie."""

    def __init__(self):
        self.cells = {}

    def write(self, key, column, value, time):
        held = self.cells.get((key, column))
        if held is None or time > held[1] or (time == held[1] and value is None):
            self.cells[key, column] = (value, time)

    def delete(self, key, time):
        for column in ("(row)", *COLUMNS):
            self.write(key, column, None, time)

    def rows(self):
        there = [key for key in KEYS if self.cells.get((key, "(row)"), (None, 0))[0]]
        return {key: {c: self.cells.get((key, c), (None, 0))[0] for c in COLUMNS} for key in there}


def play(steps):
    """The script and the table that a correct store ends with."""
    script, store, last = Script(), Store(), {}
    for number, (key, kind, column, someone, skew, outcome, happened) in enumerate(steps):
        client, time = someone, (number + 1) * 100 + skew * 70
        if key == "k0":
            client = 0  # a key with one writer
        time = last[client] = max(time, last.get(client, 0) + 1)  # no client's own clock goes back
        value = f"r-{number}" if column == "name" else number
        values = {} if kind == "delete" else {column: value}
        getattr(script, kind)(key, **values, by=client, at=time, outcome=outcome)
        if outcome == "ok" or (outcome == "unknown" and happened):
            if kind == "delete":
                store.delete(key, time)
            else:
                store.write(key, column, value, time)
            if kind == "insert":
                store.write(key, "(row)", True, time)
    return script, store


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_a_store_that_keeps_the_rules_passes(steps):
    script, store = play(steps)
    rows = store.rows()
    assert not wrongs(script.judge(rows, copy.deepcopy(rows)))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_one_table_that_missed_an_acknowledged_operation_that_decides_is_found(steps, dice: random.Random):
    script, right = play(steps)
    acknowledged = [number for number, step in enumerate(steps) if step[5] == "ok"]
    if not acknowledged:
        return
    missed = dice.choice(acknowledged)
    _, wrong = play([step if number != missed else (*step[:5], "failed", False) for number, step in enumerate(steps)])
    if wrong.rows() != right.rows():  # else another operation covers it
        assert wrongs(script.judge(right.rows(), wrong.rows()))
