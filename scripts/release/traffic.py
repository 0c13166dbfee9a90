"""evenkeel-traffic on the load balancers, started once for all that a stage asks of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from threading import Lock
from typing import Any

from scripts.release.fleet import ASK_SECONDS, ask
from scripts.ssh import CommandError, DeadlineError, Dialogue, Result, Session, UnreachableError

PROGRAM = "evenkeel-traffic"


class Traffic:
    """Asks evenkeel-traffic over a connection: by `listen`, which answers line by line.

    Starting the program takes most of what an order costs a load balancer, and users feel it where they share its
    processor. Whoever finds the one that listens busy with another thread's order, or ended, starts one of its own.
    """

    def __init__(self) -> None:
        self._listening: dict[str, tuple[Session, Dialogue]] = {}
        self._busy: dict[str, Lock] = {}

    def ask(self, session: Session, verb: str, order: Mapping[str, Any] | None) -> Any:
        """Return what the verb answers. Raises CommandError with the program's exit status and sentence."""
        busy = self._busy.setdefault(session.login.name, Lock())
        if busy.acquire(blocking=False):
            try:
                return self._tell(session, verb, order)
            except DeadlineError:
                self._drop(session.login.name)
                raise
            except (UnreachableError, ValueError):
                self._drop(session.login.name)  # where it is the connection that broke, the next try says so
            finally:
                busy.release()
        return ask(session, [PROGRAM, verb], order)

    def _tell(self, session: Session, verb: str, order: Mapping[str, Any] | None) -> Any:
        name = session.login.name
        known = self._listening.get(name)
        if known is None or known[0] is not session:
            known = self._listening[name] = (session, session.converse([PROGRAM, "listen"]))
        answer = json.loads(known[1].ask(json.dumps({"verb": verb, "order": order}), ASK_SECONDS))
        if answer["status"]:
            raise CommandError(name, f"{PROGRAM} {verb}", Result("", answer["said"], answer["status"]))
        return answer["answer"]

    def _drop(self, name: str) -> None:
        if known := self._listening.pop(name, None):
            known[1].close()
