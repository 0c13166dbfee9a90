"""The journal on the control host, from the deployer's side: a method a verb, documents in and out as there.

Each call runs `python3 -m scripts.journal VERB` over SSH, on the session it was given or, given a login, on one of its
own; given a program that listens there, what may be asked twice is asked of that. What comes back is described in
`scripts.journal.store`. Errors: `JournalRefused` when the journal says no, its `details` beside the sentence;
`JournalError` for any other failure there; `SshError` when the host cannot be reached.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from scripts.release.listening import Listening, as_result
from scripts.ssh import Login, Result, Session

PROGRAMS = "/opt/evenkeel/programs"
LISTEN = f"cd {PROGRAMS} && exec python3 -m scripts.journal listen"
REPEATABLE = ("read", "history", "beat", "verdict")  # a second time they change nothing more
REFUSED = 3
SECONDS = 30.0  # a verb waits up to ten for another one's transaction
Document = Mapping[str, Any]
Answer = dict[str, Any]


class JournalError(Exception):
    """The journal did not do it; the message is one sentence."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


class JournalRefused(JournalError):  # noqa: N818  # «refused» is the word of the protocol
    """The journal says no, and has changed nothing; `details` are what it said beside the sentence."""

    def __init__(self, sentence: str, details: Document | None = None) -> None:
        super().__init__(sentence)
        self.details = dict(details or {})


class Journal:
    """The journal of one control host."""

    def __init__(self, where: Session | Login, timeout: float = SECONDS, listening: Listening | None = None) -> None:
        self._where = where
        self._timeout = timeout
        self._listening = listening

    def read(self, limit: int = 20) -> Answer:
        """Releases, the current one, what is live, lock, hold and open requests, at one moment."""
        return self.ask("read", {"limit": limit})

    def history(self, limit: int = 20, release: str | None = None) -> list[Answer]:
        """The newest releases, newest first, or the one of this id."""
        found: list[Answer] = self.ask("history", {"id": release} if release else {"limit": limit})["releases"]
        return found

    def begin(self, document: Document, token: int) -> Answer:
        """Record that a release begins or goes on; its record."""
        return self._part("begin", "release", {"release": document, "token": token})

    def verdict(self, release: str, verdict: Document, began: float | None = None) -> None:
        """Record a stage's verdict."""
        self.ask("verdict", {"id": release, "verdict": verdict, "began": began})

    def finish(
        self, release: str, state: str, reason: str, live: Document | None = None, earlier: Sequence[Document] = ()
    ) -> Answer:
        """Record how a release ended; its record. `earlier` are verdicts that may not have been recorded yet."""
        asked = {"id": release, "state": state, "reason": reason, "live": live, "earlier": list(earlier)}
        return self._part("finish", "release", asked)

    def pair(self, release: str, state: str, data: Document | None = None, reason: str = "") -> Answer:
        """Record how far a pair of tables has come: making (with `data`), level, apart, left, dropping or dropped."""
        return self._part("pair", "pair", {"id": release, "state": state, "data": data, "reason": reason})

    def acquire(self, holder: Document, lease_seconds: float) -> int:
        """Take the lock, or have it again; its token. `holder` is {"who", "purpose", "version"?, "nonce"}."""
        return int(self.ask("acquire", {"holder": holder, "lease_seconds": lease_seconds})["token"])

    def beat(self, token: int, lease_seconds: float, release: str | None = None, stage: str | None = None) -> Answer:
        """Renew the lease; {"lock", "signals", "hold"}."""
        asked = {"token": token, "lease_seconds": lease_seconds, "release": release, "stage": stage}
        return self.ask("beat", asked)

    def release(self, token: int) -> bool:
        """Give the lock back; whether it still was this token's."""
        return bool(self.ask("release", {"token": token})["released"])

    def break_lock(self, who: str, reason: str) -> Answer | None:
        """Take the lock from its holder; the lock that was broken, None when nobody held it."""
        broken: Answer | None = self.ask("break", {"who": who, "reason": reason})["broken"]
        return broken

    def signal(self, kind: str, who: str, reason: str = "", release: str | None = None) -> str:
        """Tell the release in progress to abort, or answer its gate with confirm or reject; its id."""
        return str(self.ask("signal", {"kind": kind, "who": who, "reason": reason, "id": release})["release"])

    def waiting(self, release: str, gate: str, until: float | None = None) -> None:
        """Mark that a gate («person» or «time») waits."""
        self.ask("waiting", {"id": release, "gate": gate, "until": until})

    def hold(self, who: str, reason: str) -> Answer:
        """Let no release begin; the hold."""
        return self._part("hold", "hold", {"who": who, "reason": reason})

    def unhold(self, who: str) -> Answer | None:
        """Lift the hold; the one that was there."""
        lifted: Answer | None = self.ask("unhold", {"who": who})["lifted"]
        return lifted

    def request(self, version: str, who: str, delivery: str | None = None) -> int:
        """Ask for a release of a version; the request's number."""
        return int(self.ask("request", {"version": version, "who": who, "delivery": delivery})["request"])

    def take(self, who: str) -> Answer | None:
        """Take the oldest request that waits."""
        taken: Answer | None = self.ask("take", {"who": who})["request"]
        return taken

    def answer(self, request: int, state: str, reason: str = "") -> None:
        """Close a request as succeeded, failed or refused."""
        self.ask("answer", {"request": request, "state": state, "reason": reason})

    def events(self, after: int = 0, limit: int = 100) -> list[Answer]:
        """What happened after an event's number, oldest first."""
        found: list[Answer] = self.ask("events", {"after": after, "limit": limit})["events"]
        return found

    def note(self, kind: str, text: str, release: str | None = None, data: Document | None = None) -> int:
        """Append an event of one's own kind; its number."""
        return int(self.ask("note", {"kind": kind, "text": text, "release": release, "data": data})["number"])

    def ask(self, verb: str, document: Document) -> Answer:
        """Run one verb there and return its answer."""
        if self._listening and isinstance(self._where, Session) and verb in REPEATABLE:
            told = self._listening.ask(self._where, verb, document, self._timeout)
            if told is not None:
                return read_answer(as_result(told))
        command = f"cd {PROGRAMS} && exec python3 -m scripts.journal {verb}"
        content = json.dumps(document, ensure_ascii=False)
        if isinstance(self._where, Session):
            return read_answer(self._where.run(command, content, timeout=self._timeout, check=False))
        with Session(self._where) as session:
            return read_answer(session.run(command, content, timeout=self._timeout, check=False))

    def _part(self, verb: str, key: str, document: Document) -> Answer:
        """The part of a verb's answer that the caller is after."""
        part: Answer = self.ask(verb, document)[key]
        return part


def whoami() -> str:
    """user@host, for the audit."""
    user = "unknown"
    with suppress(KeyError, OSError):  # a user without a name in a container
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"


def read_answer(result: Result) -> Answer:
    """What the program printed; its refusal or failure as an exception."""
    answer = parse(result.stdout) if result.exit_status in (0, REFUSED) else None
    if answer is not None and result.ok:
        return answer
    if answer is not None and "refused" in answer:
        sentence = str(answer.pop("refused"))
        raise JournalRefused(sentence, answer)
    raise failure(result)


def parse(printed: str) -> Answer | None:
    """The JSON object in a program's output, None when there is none."""
    try:
        answer = json.loads(printed)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def failure(result: Result) -> JournalError:
    """A failure of the program there, in its own last words."""
    lines = result.stderr.strip().splitlines()
    said = lines[-1].removeprefix("scripts.journal: ") if lines else ""
    if "No module named" in said or "can't cd" in said or PROGRAMS in said:
        return JournalError(
            "the control host does not have the journal's program", "run `pulumi up`, which installs it"
        )
    if result.exit_status == 0:
        return JournalError("the journal's program answered with something that is no JSON object")
    return JournalError(said or f"the journal's program ended with status {result.exit_status} and no word")
