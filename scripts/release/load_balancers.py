"""All load balancers as one: what they route, changed on all of them together, through evenkeel-traffic."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scripts.release.documents import Stack, Version, listed
from scripts.release.errors import FencedError, HeldError, RevertedError, StageFailedError
from scripts.release.fleet import Fleet
from scripts.release.traffic import Traffic
from scripts.ssh import CommandError, Session, SshError, UnreachableError

WEIGHT = 100
RESTART_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 1.0
Left = TypeVar("Left")
FENCED, HELD, FIRED, AWAY = 4, 5, 6, 7  # evenkeel-traffic's exit statuses


@dataclass(frozen=True)
class Server:
    """One slot of one application server, as one load balancer sees it."""

    state: str
    weight: int
    is_up: bool
    sessions: int

    @property
    def serves(self) -> bool:
        """Whether users' requests go there."""
        return self.state == "ready" and self.is_up and self.weight > 0


@dataclass(frozen=True)
class Routing:
    """What one load balancer routes: its servers, the release and version it knows of, its dead-man timer, and writes.

    `is_frozen`: writes wait, by its own HAProxy or by its record, which a restart follows.
    """

    servers: Mapping[str, Server]
    release: str | None = None
    live: Version | None = None
    fence: tuple[int, int] = (0, 0)
    armed_for: str | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)
    is_frozen: bool = False
    writes: int = 0  # let through and not answered yet

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Routing:
        """Return what `evenkeel-traffic state` printed."""
        routing, deadman, writes = document["routing"] or {}, document["deadman"] or {}, document.get("writes") or {}
        return cls(
            servers={
                name: Server(server["state"], server["weight"], server["up"], server["sessions"])
                for name, server in document["servers"].items()
            },
            release=routing.get("release"),
            live=Version.parse(routing.get("live")),
            fence=(routing.get("token", 0), routing.get("turn", 0)),
            armed_for=deadman.get("release") if not deadman.get("fired") else None,
            remembered=routing,
            is_frozen=bool(writes.get("frozen") or routing.get("frozen")),
            writes=int(writes.get("under_way", 0)),
        )

    @property
    def is_alone(self) -> bool:
        """Whether what the live version writes is in its own tables only, as this load balancer was told."""
        return bool((self.remembered.get("live") or {}).get("alone"))

    def ready(self) -> list[str]:
        """Return the servers that users' requests may go to."""
        return sorted(name for name, server in self.servers.items() if server.state == "ready")

    def capacity(self) -> int:
        """Return how many application servers serve through this load balancer, whichever slot it is."""
        return len({name.rpartition("-")[0] for name, server in self.servers.items() if server.serves})


class LoadBalancers(Fleet):
    """Every load balancer of the stack. Changes carry the lock's token and the stage's turn, so an old one is refused.

    One that cannot be reached is in `lost`; the others go on. Raises FencedError when somebody newer has spoken,
    RevertedError when a dead-man timer has taken the shift back, StageFailedError when none can be reached.
    """

    def __init__(self, stack: Stack, token: int, turn: int) -> None:
        super().__init__(stack, stack.of("lb"))
        self.token = token
        self.turn = turn
        self._traffic = Traffic(self.opening)
        # Set by the stage that repairs: it is heard even after a dead-man timer has fired.
        self.force = False

    def state(self) -> dict[str, Routing]:
        """Return what each reachable load balancer routes."""
        return self._send("state", None)

    def apply(
        self,
        release: str,
        servers: Mapping[str, Mapping[str, Any]],
        *,
        deadman_seconds: int | None = None,
        versions: Mapping[str, str] | None = None,
        live: Version | None = None,
        alone: bool = False,
        thaw: bool = False,
    ) -> dict[str, Routing]:
        """Change servers' states on all load balancers, then let writes through if asked; return what they route.

        `alone` is about `live`, as in `confirm`.
        """
        document: dict[str, Any] = {"release": release, "servers": servers}
        if deadman_seconds is not None:
            document["deadman"] = {"seconds": deadman_seconds}
        if live is not None:
            document["live"] = told_of(live, alone)
        if versions:
            document["versions"] = versions
        if thaw:
            document["freeze"] = None
        return self._send("apply", document)

    def freeze(self, release: str, retry_seconds: int, deadman_seconds: int | None) -> dict[str, Routing]:
        """Have writes answered with 503 until `apply(thaw=True)`, a timer's end, or a revert."""
        order: dict[str, Any] = {"release": release, "servers": {}, "freeze": retry_seconds}
        if deadman_seconds is not None:
            order["deadman"] = {"seconds": deadman_seconds}
        return self._send("apply", order)

    def renew(self, seconds: int) -> dict[str, Routing]:
        """Tell the dead-man timers that the deployer lives."""
        return self._send("renew", {"seconds": seconds})

    def confirm(self, live: Version | None, *, alone: bool = False) -> dict[str, Routing]:
        """End the dead-man timers: what is routed now stays. `alone`: no other version's tables have what it writes."""
        return self._send("confirm", {"live": told_of(live, alone) if live else None})

    def revert(self) -> dict[str, Routing]:
        """Have each load balancer go back to what it routed before the shift began."""
        return self._send("revert", {})

    def samples(self, seconds: float, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return load balancers' own accounts of the last seconds: {lb: {server: {requests, errors, times_ms}}}.

        Of those named, else of all, at the same time. Reading a log takes a processor for 40 ms, which users feel.
        """
        order = {"seconds": round(seconds)}
        answers = self.each(lambda _, session: self._traffic.ask(session, "samples", order)["servers"], names)
        return {name: answer for name, answer in answers.items() if not isinstance(answer, SshError)}

    def wait_until_up(self, names: Collection[str], seconds: float) -> dict[str, list[str]]:
        """Wait until every load balancer sees these servers up; return {server: load balancers that do not}."""
        return patiently(lambda: seen_down(self.state(), names), seconds * self._stack.slowness)

    def wait_until_idle(
        self, names: Collection[str], seconds: float, known: Mapping[str, Routing] | None = None
    ) -> int:
        """Wait until no request is in progress on these servers; return how many still are when the time is over.

        `known` is what the load balancers said a moment ago, if they did: they are asked only where it says busy.
        """
        if known is not None and not busy(known, names):
            return 0
        return patiently(lambda: busy(self.state(), names), seconds * self._stack.slowness)

    def _send(self, verb: str, document: Mapping[str, Any] | None) -> dict[str, Routing]:
        """Run a verb on every load balancer and sort out the answers."""
        order = {"token": self.token, "turn": self.turn, "force": self.force}
        full = None if document is None else {**order, **document}

        def act(_: str, session: Session) -> Routing:
            return Routing.parse(ask_patiently(self._traffic, session, verb, full))

        answers = self.each(act)
        for name, answer in answers.items():
            if isinstance(answer, CommandError):
                raise_for(name, answer)
            elif isinstance(answer, SshError):
                self.forget(name, answer)
        if not self.reachable:
            raise StageFailedError(f"no load balancer can be reached: {listed(self.hosts)}")
        return {name: answer for name, answer in answers.items() if not isinstance(answer, SshError)}


def patiently(look: Callable[[], Left], seconds: float) -> Left:
    """Look until nothing is left, or the time is over; return what is left.

    Less and less often: each look is work for every load balancer, which users feel where these are busy.
    """
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while (left := look()) and time.monotonic() < end:
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return left


def told_of(live: Version, alone: bool) -> dict[str, Any]:
    """Return what load balancers are told of the version that is live."""
    return live.as_dict() | ({"alone": True} if alone else {})


def ask_patiently(traffic: Traffic, session: Session, verb: str, document: Mapping[str, Any] | None) -> Any:
    """Ask evenkeel-traffic; a HAProxy that is just restarted gets a moment, one that stays away is unreachable."""
    end = time.monotonic() + session.login.patience(RESTART_SECONDS)
    while True:
        try:
            return traffic.ask(session, verb, document)
        except CommandError as error:
            if error.result.exit_status != AWAY:
                raise
            if time.monotonic() > end:
                raise UnreachableError(session.login.name, "its HAProxy does not answer") from error
        time.sleep(0.25)


def raise_for(name: str, error: CommandError) -> None:
    """Raise what a load balancer's refusal means."""
    said = (error.result.stderr.strip().splitlines() or [error.reason])[-1]
    meant = {FENCED: FencedError, HELD: HeldError, FIRED: RevertedError}
    raise meant.get(error.result.exit_status, StageFailedError)(f"{name}: {said}")


def busy(routings: Mapping[str, Routing], names: Iterable[str]) -> int:
    """Return how many requests are in progress on these servers."""
    return sum(routing.servers[name].sessions for name in names for routing in routings.values())


def capacity(routings: Mapping[str, Routing]) -> int:
    """Return how many application servers serve, as the load balancer that sees the fewest sees it."""
    return min((routing.capacity() for routing in routings.values()), default=0)


def seen_down(routings: Mapping[str, Routing], names: Iterable[str]) -> dict[str, list[str]]:
    """Return those of the servers that are down for some load balancer: {server: load balancers}."""
    found = {name: [lb for lb, routing in routings.items() if not routing.servers[name].is_up] for name in names}
    return {name: where for name, where in found.items() if where}


def states(names: Iterable[str], state: str, weight: int | None = WEIGHT) -> dict[str, dict[str, Any]]:
    """Return a change that gives all these servers one state, and a weight where it matters."""
    return {name: {"state": state, **({"weight": weight} if weight is not None else {})} for name in names}
