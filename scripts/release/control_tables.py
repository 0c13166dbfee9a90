"""The data part of a release, from the deployer's side: a method a verb of scripts.tables on the control host.

Refusals (`TablesRefusedError`, nothing was changed) and failures (`StageFailedError`) carry the program's own sentence;
`SshError` when the control host cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scripts.release.documents import Stack
from scripts.release.errors import StageFailedError
from scripts.release.fleet import CONNECT_SECONDS, login
from scripts.release.journal import PROGRAMS, REFUSED, parse
from scripts.release.listening import Listening, as_result
from scripts.ssh import Result, Session, SharedSession, UnreachableError

QUICK_SECONDS, LONG_SECONDS = 60.0, 180.0
# What changes something there waits for what changes something already: a stage that was stopped, or whose deployer was
# killed, leaves its last verb at work, and a mirror that is made after its table was dropped would fail every write.
ONE_AT_A_TIME = "/run/lock/evenkeel-tables.lock"
CHANGING = ("create", "mirror", "drop")
WAIT_SECONDS = LONG_SECONDS + 5.0
PYTHON = "env PYTHONPATH=/opt/evenkeel/python"
LISTEN = f"cd {PROGRAMS} && exec {PYTHON} python3 -m scripts.tables listen"
Answer = dict[str, Any]


class TablesRefusedError(StageFailedError):
    """The database must not be changed like this now; `details` are what the program said beside the sentence."""

    def __init__(self, sentence: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.details = dict(details or {})


class ControlTables:
    """What can be asked about the tables of one data document."""

    def __init__(self, stack: Stack, data: Mapping[str, Any]) -> None:
        self.stack = stack
        self.data = data
        self._session: Session | None = None
        self._listening = Listening(LISTEN)

    def inspect(self) -> Answer:
        """{"nodes": {address: {"up"}}, "agreement", "tables": {name: {"columns", "key", "triggers", …}}}."""
        return self.ask("inspect", LONG_SECONDS)

    def conditional(self) -> Answer:
        """{"tables": {name: nodes that keep conditional writes of it}}."""
        return self.ask("conditional")

    def measure(self) -> Answer:
        """{"seconds", "rows", "measured_seconds"}: how long one scan of both tables takes, tried on a part of them."""
        return self.ask("measure", LONG_SECONDS)

    def create(self) -> Answer:
        """Make the new tables, with the old ones' options and the service's rights; those that are there stay."""
        return self.ask("create", LONG_SECONDS)

    def mirror(self, direction: str, *, on: bool) -> Answer:
        """Create or drop the triggers of a direction (forward or reverse); settled when it returns."""
        return self.ask("mirror", LONG_SECONDS, direction=direction, on=on)

    def mirrored(self) -> Answer:
        """{"tables": {name: whether it has its trigger}}, of the pairs' tables."""
        return self.ask("mirrored")

    def probe(self) -> Answer:
        """Try the mirror through every node, on tables of its own."""
        return self.ask("probe", LONG_SECONDS)

    def droppable(self) -> Answer:
        """Be refused while the pair's tables could not be dropped without loss; changes nothing."""
        return self.ask("droppable", LONG_SECONDS)

    def drop(self, which: str) -> Answer:
        """Take the mirror down and the rights away, wait for what is written late, drop the source or target tables."""
        return self.ask("drop", LONG_SECONDS, which=which)

    def count(self) -> Answer:
        """{"tables": {name: rows}, "about": [names whose rows are an estimate]}."""
        return self.ask("count", LONG_SECONDS)

    def job(self, do: str, kind: str, **more: Any) -> Answer:
        """Start, look at or stop long work."""
        return self.ask("job", do=do, kind=kind, **more)

    def ask(self, verb: str, seconds: float = QUICK_SECONDS, **more: Any) -> Answer:
        """Run one verb there and return its answer; a connection that broke is opened again once."""
        document = {"ring": self.stack.ring, "data": self.data, **more}
        for is_last in (False, True):
            was_open = self._session is not None
            try:
                return read_answer(verb, self._run(verb, seconds, document))
            except UnreachableError:
                self._session = None
                if is_last or not was_open:
                    raise
        raise AssertionError(verb)

    def _run(self, verb: str, seconds: float, document: Mapping[str, Any]) -> Result:
        """Run one verb; a job's state, which is asked for every few seconds, is had from the program that listens."""
        do = document.get("do")
        told = self._listening.ask(self.session(), verb, document, seconds) if do == "state" else None
        if told is not None:
            return as_result(told)
        changes = verb in CHANGING or do not in (None, "state")
        command = command_of(verb, seconds, changes, self.stack.slowness)
        patience = seconds + (WAIT_SECONDS if changes else 0.0) + 5.0
        return self.session().run(command, json.dumps(document), timeout=patience, check=False)

    def session(self) -> Session:
        """Return the connection to the control host, opened if need be."""
        if self._session is None:
            hosts = self.stack.of("control")
            if not hosts:
                raise UnreachableError("control", "the stack has no control host")
            self._session = SharedSession(login(self.stack, hosts[0]), CONNECT_SECONDS)
        return self._session


def command_of(verb: str, seconds: float, changes: bool, slowness: int = 1) -> str:
    """Return the command line of a verb, killed after `seconds`; one that changes something takes its turn."""
    turn = f"flock --wait {WAIT_SECONDS * slowness:.0f} {ONE_AT_A_TIME} " if changes else ""
    run = f"{PYTHON} timeout -s KILL {seconds * slowness:.0f} python3 -m scripts.tables {verb}"
    return f"cd {PROGRAMS} && exec {turn}{run}"


def read_answer(verb: str, result: Result) -> Answer:
    """Return what the program printed; its refusal or failure as an exception."""
    answer = parse(result.stdout) if result.exit_status in (0, REFUSED) else None
    if answer is not None and result.ok:
        return answer
    if answer is not None and "refused" in answer:
        sentence = str(answer.pop("refused"))
        raise TablesRefusedError(sentence, answer)
    lines = result.stderr.strip().splitlines()
    said = lines[-1].removeprefix("scripts.tables: ") if lines else ""
    raise StageFailedError(said or f"scripts.tables {verb} on the control host ended with status {result.exit_status}")
