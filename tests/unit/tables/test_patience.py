"""Trouble that passes is waited for; trouble that does not is an error."""

import threading

import pytest
from cassandra import (
    ConsistencyLevel,
    InvalidRequest,
    OperationTimedOut,
    Unauthorized,
    Unavailable,
    WriteFailure,
    WriteTimeout,
)
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import OverloadedErrorMessage, ServerError

from scripts.tables import patience
from scripts.tables.patience import FAILURES, Patience, StoppedError, passes, words


def unavailable():
    return Unavailable("", ConsistencyLevel.QUORUM, required_replicas=2, alive_replicas=1)


PASSING = [
    unavailable(),
    WriteTimeout("", write_type=0),
    OperationTimedOut(),
    NoHostAvailable("", {"10.0.0.1": OverloadedErrorMessage(0, "busy", None)}),
    Unauthorized("Unable to perform authorization of permissions: Cannot achieve consistency level LOCAL_QUORUM"),
]
LASTING = [InvalidRequest("no such column"), Unauthorized("User app has no SELECT permission"), ValueError("ours")]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_passes_is_waited_for_without_end(error):
    assert passes(error, 10_000)


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_does_not_pass_is_an_error_at_once(error):
    assert not passes(error, 1)


@pytest.mark.parametrize(
    "error",
    [
        WriteFailure("", write_type=0),
        ServerError(0, "NullPointerException", None),
        NoHostAvailable("", {"10.0.0.1": ServerError(0, "NullPointerException", None)}),
    ],
)
def test_what_fails_again_and_again_is_an_error_in_the_end(error):
    assert passes(error, FAILURES - 1)
    assert not passes(error, FAILURES)


def test_work_goes_on_when_a_quorum_is_back(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_BREAK", 0.001)
    answers = [unavailable(), unavailable(), "written"]
    waited = Patience(threading.Event())
    seen = []

    def attempt():
        seen.append(waited.pausing)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert waited.insist(attempt) == "written"
    assert seen[1] == "paused: 1 of the 2 replicas needed are up; goes on by itself"
    assert (waited.retries, waited.pausing) == (2, "")


def test_work_that_waits_can_be_stopped():
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        Patience(stop).insist(lambda: (_ for _ in ()).throw(unavailable()))


def test_each_trouble_has_words():
    assert "no node takes requests" in words(PASSING[3])
    assert "slow to answer" in words(WriteTimeout("", write_type=0))
