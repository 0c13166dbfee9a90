"""The application servers' slots, asked and changed through evenkeel-slot on several sites at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scripts.release.documents import Stack
from scripts.release.errors import StageFailedError
from scripts.release.fleet import Fleet, ask
from scripts.release.turns import Turns
from scripts.ssh import CommandError, Session, SshError

UPLOAD_SECONDS = 120.0
START_SECONDS = 150.0
STOP_SECONDS = 60.0
WARM_REQUESTS = 100
WARM_SECONDS = 30.0  # what evenkeel-slot gives warming at the most (20 s), and some more
TURN_SECONDS = 10.0  # the next instance starts that long after the one before at the latest

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Slot:
    """What a slot holds and whether it runs; `restarts` counts since it was started, `memory_mb` may be None.

    `tables` are its tables' names in the database, as in `Version`; `schema` is what its manifest says of them, None
    where the slot does not tell.
    """

    version: str | None
    sha256: str | None
    is_active: bool
    restarts: int
    memory_mb: float | None
    limit_mb: int | None
    tables: Mapping[str, str] = field(default_factory=dict)
    schema: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Slot:
        """Return one slot of what `evenkeel-slot show` printed."""
        held = document["installed"] or {}
        return cls(
            version=held.get("version"),
            sha256=held.get("sha256"),
            is_active=document["active"],
            restarts=int(document.get("restarts") or 0),
            memory_mb=document.get("memory_mb"),
            limit_mb=(held.get("limits") or {}).get("memory_mb"),
            tables=held.get("tables") or {},
            schema=held.get("schema"),
        )

    def uses(self, logical: str, table: str) -> bool:
        """Tell whether the version in the slot has a table `logical`, and knows it by this name in the database."""
        has = self.schema is None or logical in {described["name"] for described in self.schema}
        return has and self.sha256 is not None and self.tables.get(logical, logical) == table


class AppServers(Fleet):
    """Every application server, by site. Answers are {site: result or the sentence that says why not}."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, stack.of("app"))
        self.by_site = {str(host.site): host.name for host in self.hosts.values()}

    def on_sites(
        self, sites: Iterable[str], action: Callable[[Session], Answer]
    ) -> dict[str, Answer | StageFailedError]:
        """Do something on these sites' application servers at once."""
        names = {self.by_site[site]: site for site in sites}

        def attempt(session: Session) -> Answer | StageFailedError:
            try:
                return action(session)
            except StageFailedError as error:
                return error

        answers = self.each(lambda _, session: attempt(session), names)
        return {
            names[name]: failed(answer) if isinstance(answer, SshError) else answer for name, answer in answers.items()
        }

    def slots(self, sites: Iterable[str]) -> dict[str, dict[str, Slot] | StageFailedError]:
        """Return {site: {slot: what it holds}}."""
        return self.on_sites(sites, show)


def show(session: Session) -> dict[str, Slot]:
    """Return both slots of one application server."""
    return {name: Slot.parse(part) for name, part in ask(session, ["evenkeel-slot", "show"]).items()}


def install(
    session: Session,
    slot: str,
    sha256: str,
    content: bytes,
    *,
    turns: Turns,
    tables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Bring a slot to an artifact and its tables' names, start it in its turn, wait until it is ready, and warm it.

    A slot that runs this very artifact on these tables is left alone. Returns {"changed", "started", "warm_p50_ms",
    "warm_failed"}.
    """
    held, tables = show(session)[slot], dict(tables or {})
    same = held.sha256 == sha256 and held.tables == tables
    if held.is_active and not same:
        session.run(["evenkeel-slot", "stop", slot], timeout=STOP_SECONDS)
    if not same:
        named = [f"{logical}={table}" for logical, table in sorted(tables.items())]
        session.run(["evenkeel-slot", "install", slot, sha256, *named], content, timeout=UPLOAD_SECONDS)
    started = not (same and held.is_active)
    figures: dict[str, Any] = {"changed": not same, "started": started}
    with turns.turn():
        if not started:
            session.run(slot_command(session, "start", slot), timeout=START_SECONDS)
            return figures
        # Users should not meet it cold. Failures are counted and no more: the smoke checks, which come next, say in
        # words what is wrong.
        command = slot_command(session, "start", slot, str(WARM_REQUESTS))
        warmed = ask(session, command, timeout=START_SECONDS + WARM_SECONDS)["warmed"]
        return figures | {"warm_p50_ms": warmed["p50_ms"], "warm_failed": warmed["failed"]}


def slot_command(session: Session, *arguments: str) -> list[str]:
    """Return a command to evenkeel-slot, told how slow its host is; not where it is not, which older ones take too."""
    return ["evenkeel-slot", *arguments, *session.login.slowness_arguments()]


def smoke(session: Session, slot: str) -> dict[str, Any]:
    """Run the manifest's smoke checks against one instance; raises StageFailedError with the check that failed."""
    done: dict[str, Any] = ask(session, slot_command(session, "smoke", slot), timeout=80)
    if done["failed"]:
        raise StageFailedError(done["failed"]["reason"])
    held = show(session)[slot]
    if not held.is_active or held.restarts:
        raise StageFailedError(f"the instance ended and was started again {held.restarts} time(s)")
    return {"checks": done["passed"], "slowest_ms": max((check["ms"] for check in done["checks"]), default=0)}


def failed(error: SshError) -> StageFailedError:
    """Return a host tool's or connection's failure as a sentence without the command line around it."""
    if isinstance(error, CommandError):
        said = error.result.stderr.strip().splitlines()
        return StageFailedError(said[-1].partition(": ")[2] or said[-1] if said else error.reason)
    return StageFailedError(error.reason)
