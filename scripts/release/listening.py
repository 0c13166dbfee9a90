"""A program on a host that is started once for all that a stage asks of it, by its verb `listen`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

from scripts.release.turns import Turns
from scripts.ssh import Command, DeadlineError, Dialogue, Result, Session, UnreachableError


class Listening:
    """Asks a program line by line: {"verb", "order"} is answered with {"status", "answer"} or {"status", "said"}.

    Starting a program takes most of what an order costs a host, and users feel it where they share its processor.
    Whoever finds the one that listens busy with another thread's order, or ended, starts one of its own: an order may
    be carried out twice then, so this is for those that do no more the second time.

    With `turns` the programs are started one after another on the hosts, each with its first order.
    """

    def __init__(self, command: Command, turns: Turns | None = None) -> None:
        self._command = command
        self._turns = turns
        self._started: dict[str, tuple[Session, Dialogue]] = {}
        self._busy: dict[str, Lock] = {}

    def ask(self, session: Session, verb: str, order: Mapping[str, Any] | None, seconds: float) -> Any:
        """Return what the program on that host answers, or None where it cannot be asked.

        Raises `DeadlineError` when there is no answer after `seconds`.
        """
        name = session.login.name
        busy = self._busy.setdefault(name, Lock())
        if not busy.acquire(blocking=False):
            return None
        try:
            with self._turn(session):
                return json.loads(self._dialogue(session).ask(json.dumps({"verb": verb, "order": order}), seconds))
        except DeadlineError:
            self._drop(name)
            raise
        except (UnreachableError, ValueError):
            self._drop(name)  # where it is the connection that broke, the next try says so
            return None
        finally:
            busy.release()

    def _turn(self, session: Session) -> AbstractContextManager[None]:
        return nullcontext() if self._turns is None or self._known(session) else self._turns.turn()

    def _known(self, session: Session) -> Dialogue | None:
        started_on, dialogue = self._started.get(session.login.name, (None, None))
        return dialogue if started_on is session else None

    def _dialogue(self, session: Session) -> Dialogue:
        known = self._known(session)
        if known is None:
            known = session.converse(self._command)
            self._started[session.login.name] = (session, known)
        return known

    def _drop(self, name: str) -> None:
        if known := self._started.pop(name, None):
            known[1].close()


def as_result(told: Mapping[str, Any]) -> Result:
    """Return an answer as the output and exit status of the program that is started for one verb."""
    printed = json.dumps(told["answer"]) if "answer" in told else ""
    return Result(printed, str(told.get("said", "")), int(told["status"]))
