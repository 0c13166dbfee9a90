"""evenkeel-traffic on the load balancers, started once for all that a stage asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.release.fleet import ASK_SECONDS, ask
from scripts.release.listening import Listening, as_result
from scripts.release.turns import Turns
from scripts.ssh import CommandError, Session

PROGRAM = "evenkeel-traffic"


class Traffic:
    """Asks evenkeel-traffic over a connection; an order is known by its turn, and does no more the second time."""

    def __init__(self, turns: Turns) -> None:
        self._listening = Listening([PROGRAM, "listen"], turns)

    def ask(self, session: Session, verb: str, order: Mapping[str, Any] | None) -> Any:
        """Return what the verb answers. Raises CommandError with the program's exit status and sentence."""
        told = self._listening.ask(session, verb, order, ASK_SECONDS)
        if told is None:
            return ask(session, [PROGRAM, verb], order)
        if told["status"]:
            raise CommandError(session.login.name, f"{PROGRAM} {verb}", as_result(told))
        return told["answer"]
