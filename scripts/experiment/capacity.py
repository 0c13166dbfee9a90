"""How many application servers serve users while something happens, as every load balancer has it."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.inventory import Host, Inventory, Role
from scripts.ssh import Session, SshError

PROGRAM = Path(__file__).with_name("capacity_watch.py")
Sample = tuple[float, int]


class CapacityWatch:
    """Watches while a block runs. Afterwards `samples` are (time, how many serve by the load balancer that sees least).

    A load balancer that cannot be asked is left out and named in `problems`.
    """

    def __init__(self, inventory: Inventory, seconds: float) -> None:
        self.samples: list[Sample] = []
        self.problems: list[str] = []
        self._inventory = inventory
        self._seconds = seconds
        self._folder = f"/tmp/evenkeel-capacity-{uuid.uuid4().hex[:12]}"  # noqa: S108 - made by us, 0700
        self._watching: list[tuple[Session, Future[str]]] = []
        self._pool = ThreadPoolExecutor(max(1, len(inventory.with_role(Role.LOAD_BALANCER))))

    def __enter__(self) -> Self:
        for host in self._inventory.with_role(Role.LOAD_BALANCER):
            try:
                self._watch(host)
            except SshError as error:
                self.problems.append(f"capacity is not known there: {error}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        found = []
        for session, watching in self._watching:
            try:
                session.run(["touch", f"{self._folder}/stop"])
                found.append(parse(watching.result(30)))
                session.run(["rm", "-rf", self._folder], check=False)
            except (SshError, TimeoutError) as lost:
                self.problems.append(f"capacity is not known there: {lost}")
            finally:
                session.close()
        self._pool.shutdown(wait=True)
        self.samples = lowest(found)

    def _watch(self, host: Host) -> None:
        """Begin to watch on one load balancer."""
        session = Session(self._inventory.login(host), 20)
        session.run(["mkdir", "-m", "700", self._folder])
        session.put(PROGRAM.read_text("utf-8"), f"{self._folder}/watch.py")
        line = f"cd {shlex.quote(self._folder)} && exec python3 watch.py {self._seconds:g}"
        watching = self._pool.submit(lambda: session.run(line, timeout=self._seconds + 30).stdout)
        self._watching.append((session, watching))


def parse(printed: str) -> list[Sample]:
    """The samples that capacity_watch.py printed."""
    pairs = (line.split() for line in printed.splitlines() if line.strip())
    return [(float(moment), int(count)) for moment, count in pairs]


def lowest(found: Iterable[Sequence[Sample]]) -> list[Sample]:
    """What the one that sees least sees, at each moment at which that changes."""
    known: dict[int, int] = {}
    changes = sorted((moment, place, count) for place, samples in enumerate(found) for moment, count in samples)
    result: list[Sample] = []
    for moment, place, count in changes:
        known[place] = count
        least = min(known.values())
        if not result or result[-1][1] != least:
            result.append((moment, least))
    return result
