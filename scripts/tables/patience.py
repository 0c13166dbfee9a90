"""What to do when the ring does not answer: wait and go on, unless it never will.

A node that is down, overloaded or slow is a matter of time: work pauses with growing breaks and goes on by itself, for
as long as it takes (whoever waits for the work has its own deadline). A request that the ring refuses is an error.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cassandra import (
    OperationTimedOut,
    ReadFailure,
    ReadTimeout,
    RequestExecutionException,
    Unauthorized,
    Unavailable,
    WriteFailure,
    WriteTimeout,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import IsBootstrappingErrorMessage, OverloadedErrorMessage, ServerError

from scripts.tables.errors import TablesError

FIRST_BREAK, LONGEST_BREAK = 0.1, 5.0
# A node that fails (not: is late) may be about to go down, or may have met something it will always fail at.
FAILURES = 10

PASSING = (
    Unavailable, NoHostAvailable, WriteTimeout, ReadTimeout, OperationTimedOut, OverloadedErrorMessage,
    IsBootstrappingErrorMessage, ConnectionException, NoConnectionsAvailable, WriteFailure, ReadFailure,
)  # fmt: skip
Outcome = TypeVar("Outcome")


class StoppedError(TablesError):
    """The work was asked to stop."""


class Patience:
    """Retries for one piece of work. `pausing` holds why it waits, "" while it does not; readable from any thread."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.retries = 0
        self.pausing = ""
        self._lock = threading.Lock()

    def insist(self, attempt: Callable[[], Outcome]) -> Outcome:
        """Return what `attempt` returns, however often the ring has to be asked."""
        tries = 0
        while True:
            try:
                outcome = attempt()
            except Exception as error:
                tries += 1
                self.rest(error, tries)
            else:
                if tries:
                    self.pausing = ""
                return outcome

    def rest(self, error: BaseException, tries: int) -> None:
        """Wait before the next try; raises `error` if another try is of no use, StoppedError if asked to stop."""
        if not passes(error, tries):
            raise error
        with self._lock:
            self.retries += 1
        self.pausing = words(error)
        longest = min(FIRST_BREAK * 2 ** min(tries, 10), LONGEST_BREAK)
        if self.stop.wait(longest * random.uniform(0.5, 1)):  # noqa: S311  # spreads retries, guards nothing
            raise StoppedError("stopped")


def passes(error: BaseException, tries: int) -> bool:
    """Whether this error goes away by itself."""
    causes = list(error.errors.values()) if isinstance(error, NoHostAvailable) else [error]
    if isinstance(error, WriteFailure | ReadFailure) or any(isinstance(cause, ServerError) for cause in causes):
        return tries < FAILURES
    # A node that cannot read who may do what, for it is cut off from the others, says so as if one might not.
    is_cut_off = isinstance(error, Unauthorized) and "Unable to perform authorization" in str(error)
    return is_cut_off or isinstance(error, PASSING)


def words(error: BaseException) -> str:
    """Return why the work waits, for a person."""
    if isinstance(error, Unavailable):
        return (
            f"paused: {error.alive_replicas} of the {error.required_replicas} replicas needed are up; goes on by itself"
        )
    if isinstance(error, NoHostAvailable):
        return "paused: no node takes requests at the moment; goes on by itself"
    if isinstance(error, RequestExecutionException | OperationTimedOut):
        return "paused: the nodes are slow to answer; goes on by itself"
    return f"paused: {type(error).__name__}; goes on by itself"


def is_overload(error: Any) -> bool:
    """Whether the ring asks to be spared, so that what comes next should come more slowly."""
    return isinstance(error, PASSING) and not isinstance(error, Unavailable)
