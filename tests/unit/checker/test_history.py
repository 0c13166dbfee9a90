"""How a log of invocations and completions is read."""

import json

import pytest

from scripts.checker.errors import CheckerError
from scripts.checker.history import Kind, Outcome, prepared_key, read_history

RUN = {"type": "run", "run": "r", "columns": ["name"]}
INVOKE = {"type": "invoke", "op": 7, "process": 1, "kind": "insert", "key": None, "values": {"name": "r-7"}, "at": 1.0}
COMPLETE = {"type": "complete", "op": 7, "outcome": "ok", "key": "k", "timestamp": 5, "at": 1.1, "version": "1.0.0"}


def read(*documents):
    return read_history([json.dumps(document) for document in documents])


def test_a_completion_tells_what_an_invocation_came_to():
    (operation,) = read(RUN, INVOKE, COMPLETE).operations
    assert (operation.kind, operation.key, operation.outcome) == (Kind.INSERT, "k", Outcome.OK)
    assert (operation.timestamp, operation.version, operation.values) == (5, "1.0.0", {"name": "r-7"})


def test_an_invocation_without_a_completion_is_unknown():
    (operation,) = read(RUN, INVOKE).operations
    assert operation.outcome is Outcome.UNKNOWN


def test_a_last_line_that_was_cut_short_is_left_out():
    history = read_history([json.dumps(RUN), json.dumps(INVOKE), json.dumps(COMPLETE)[:20]])
    assert history.operations[0].outcome is Outcome.UNKNOWN


def test_prepared_rows_follow_from_the_first_line():
    history = read({**RUN, "prepared": {"rows": 2, "timestamp": 3}}, INVOKE)
    first, second, _ = history.operations
    assert (first.key, second.key) == (prepared_key("r", 0), prepared_key("r", 1))
    assert (first.outcome, first.timestamp, first.values["name"]) == (Outcome.OK, 3, "r-0")


@pytest.mark.parametrize(
    "lines",
    [[], [json.dumps(INVOKE)], [json.dumps(RUN), json.dumps(COMPLETE)], [json.dumps(RUN), "{", json.dumps(INVOKE)]],
    ids=["empty", "no first line", "completed but never invoked", "broken in the middle"],
)
def test_a_log_that_makes_no_sense_is_refused(lines):
    with pytest.raises(CheckerError):
        read_history(lines)
