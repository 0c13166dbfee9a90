"""Load on a running service, and what came of it.

    with LoadTest(inventory, Load(rate=100)) as test:
        ...  # what is to happen under load
    assert test.report.failed == 0, test.report.reasons()
    assert test.report.between(began, ended).p99 < 50

The runner's vegeta sends `rate` requests a second, 70 of a hundred reads and 30 writes (targets.py), each with the one
answer that is right, and goes on sending whether or not answers come, as long as fewer than `workers` are on their
way. What is strict, on purpose:

- Without keep-alive every request has a connection of its own, to one address that is picked from the name's answer
  at random: no other address is tried when that one does not answer, as a browser might. The request failed.
- With keep-alive a client stays with the address it has, so the load is many clients at once: the name is resolved
  when the load begins and requests go round its addresses, each of which keeps its connections. Go's HTTP client then
  sends an idempotent request again by itself if a kept connection turns out to be closed; the load balancers' logs
  tell (retries.py).
"""

from __future__ import annotations

import json
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.experiment.load.figures import Report, read_report
from scripts.experiment.load.place import HostPlace, Place
from scripts.experiment.load.results import BODY_READ
from scripts.experiment.load.targets import MADE, Entrance
from scripts.experiment.plan import MOST_WORKERS
from scripts.inventory import Inventory, Role
from scripts.ssh import Result, SshError

HERE = Path(__file__).parent
PROGRAMS = ("targets.py", "results.py")
START_SECONDS = 40
END_SECONDS = 60  # beyond the time-out of the last requests, until vegeta must have ended
REDUCE_SECONDS = 240
DELETES_SECONDS = 60  # beyond the planned length, so long a load goes on deleting what it made
SAMPLE_BODY = 1024  # bytes of each answer of the sample, whose right texts are at the beginning


class LoadError(Exception):
    """The load itself went wrong: what it found, or did not find, says nothing about the service."""


@dataclass(frozen=True)
class Load:
    """How much load, and of what.

    `rate` requests a second, at most `workers` on their way at once (None: as many as the time-out allows); `seconds`
    is the planned length, `longest` the one that bounds it; `warmup` seconds of the same load go before, judged by
    nobody. `requests` is one of SHARES in targets.py, or a list as that takes it. `keeps_items` leaves the items that
    the load makes to whoever removes them later, rather than have lists of the next load step over what is deleted.
    """

    rate: float = 100
    keepalive: bool = False
    seconds: float = 300
    longest: float | None = None
    workers: int | None = None
    warmup: float = 0
    timeout: float = 10
    requests: str | Sequence[Mapping[str, Any]] = "mix"
    keeps_items: bool = False

    @property
    def bound(self) -> float:
        """After so many seconds it ends by itself."""
        return self.longest or self.seconds

    @property
    def most_workers(self) -> int:
        """How many requests may be on their way at once."""
        return self.workers or int(min(MOST_WORKERS, max(10, self.rate * self.timeout)))

    @property
    def body_bytes(self) -> int:
        """How much of each answer the runner's disk holds until it is judged; no more than that needs."""
        own = () if isinstance(self.requests, str) else self.requests
        return BODY_READ if any(request.get("contains") for request in own) else SAMPLE_BODY


class LoadTest:
    """Load while a block runs. One that goes on for longer than the load is an error: its end was not watched.

    After the block: `report`; `table`, the requests as gzipped CSV; `summary`, what results.py printed; `notes`, what
    of the load is still there; `items`, the ids of those that are left on purpose. `name` is what the requests say in
    their header X-Vegeta-Attack.
    """

    report: Report
    table: bytes
    summary: dict[str, Any]

    def __init__(self, inventory: Inventory, load: Load | None = None, place: Place | None = None) -> None:
        self.inventory = inventory
        self.load = load or Load()
        self.name = f"load-{uuid.uuid4().hex[:12]}"
        self.notes: list[str] = []
        self.items: list[str] = []
        self._place = place
        self._pool = ThreadPoolExecutor(1)
        self._attack: Future[Result] | None = None

    def __enter__(self) -> Self:
        self._at = self._place or HostPlace(self.inventory.login(self.inventory.host("runner")))
        try:
            self._prepare()
            self._warm_up()
            self._start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            ended_before = self._stop()
            self._reduce()
        except Exception:
            if kind is None:  # else the block's own error is the one to tell
                raise
        else:
            if kind is None and ended_before and self.load.longest is None:
                raise LoadError(f"the load of {self.load.bound:g} s ended before what was to happen under it")
        finally:
            self._leave()

    @property
    def is_over(self) -> bool:
        """Whether the load has come to its bound."""
        return self._attack is not None and self._attack.done()

    def _prepare(self) -> None:
        """Have the programs and the list of requests on the runner, and know how its clock differs."""
        load = self.load
        for name in PROGRAMS:
            self._at.put(name, (HERE / name).read_text("utf-8"))
        warmup = int(load.rate * load.warmup) + (load.most_workers if load.warmup else 0)
        plan = {
            "warmup": warmup,
            # A few more than will be sent: vegeta would begin again with the first.
            "count": int(load.rate * (load.bound + 1)) + load.most_workers,
            "deletes_end": warmup + int(load.rate * (load.seconds + DELETES_SECONDS)),
            "seed": time.time_ns() % 2**32,
            "service": self.inventory.service,
            "entrances": [asdict(entrance) for entrance in self._entrances()],
            "requests": load.requests,
        }
        self._at.run("python3 targets.py prepare", json.dumps(plan), 120 + load.bound)
        asked = time.time()
        theirs = float(self._at.run("python3 -c 'import time; print(time.time())'").stdout)
        self._ahead_ns = int(ahead(asked, theirs, time.time()) * 1e9)

    def _entrances(self) -> list[Entrance]:
        """The service's name; with keep-alive, every address it has."""
        service = self.inventory.service
        if not self.load.keepalive:
            return [Entrance(f"http://{service}", "")]
        host, colon, port = service.partition(":")
        found = self._at.run(f"getent ahostsv4 {shlex.quote(host)}").stdout.splitlines()
        addresses = sorted({line.split()[0] for line in found})
        expected = sorted(host.address for host in self.inventory.with_role(Role.LOAD_BALANCER))
        if addresses != expected:
            raise LoadError(f"{service} should have the addresses {expected}, and has {addresses}")
        return [Entrance(f"http://{address}{colon}{port}", service) for address in addresses]

    def _line(self, name: str, targets: str, output: str, seconds: float) -> str:
        """The command that sends the requests of a file under a name; their numbers begin with 0."""
        load = self.load
        options = {
            "name": name,
            "format": "json",
            "targets": targets,
            "output": output,
            "rate": f"{round(load.rate * 60)}/1m",
            "duration": f"{seconds:g}s",
            "timeout": f"{load.timeout:g}s",
            "keepalive": str(load.keepalive).lower(),
            "dns-ttl": "5s",  # with a cache, vegeta picks one address at random; without, it would try them all
            "workers": str(min(10, load.most_workers)),
            "max-workers": str(load.most_workers),
            "max-body": str(load.body_bytes),
            "redirects": "-1",  # an answer that redirects is an answer: it is judged, and not followed
        }
        return "vegeta attack " + " ".join(f"-{name}={value}" for name, value in options.items())

    def _warm_up(self) -> None:
        """Send the same load for a while, judged by nobody."""
        seconds = self.load.warmup
        if seconds:
            # By another name: the logs would else have its numbers beside those of the measured load.
            line = self._line(f"{self.name}-warmup", "warmup.json", "warmup.gob", seconds)
            self._at.run(f"{line}; status=$?; rm -f warmup.gob; exit $status", timeout=seconds + self.load.timeout + 60)

    def _start(self) -> None:
        """Start vegeta; return when the first answers are there."""
        line = f"echo $$ > pid; exec {self._line(self.name, 'targets.json', 'results.gob', self.load.bound)}"
        limit = self.load.bound + self.load.timeout + 60
        attacking = self._attack = self._pool.submit(self._at.run, line, "", limit)
        end = time.monotonic() + START_SECONDS
        while not self._at.run("test -s results.gob", check=False).ok:
            if attacking.done():
                attacking.result()
            if time.monotonic() > end:
                raise LoadError(f"after {START_SECONDS} s the load has had no answer")
            time.sleep(0.2)

    def _stop(self) -> bool:
        """Have vegeta send no more, and wait for the answers that are due; whether it had ended by itself before."""
        attack = self._attack
        if attack is None:
            raise LoadError("the load was not begun")
        ended_before = attack.done()
        if not ended_before:
            self._at.run('kill -INT "$(cat pid)"', check=False)
        limit = self.load.timeout + END_SECONDS
        try:
            attack.result(limit)
        except TimeoutError as error:
            raise LoadError(f"vegeta was told to end and had not {limit:g} s later") from error
        return ended_before

    def _reduce(self) -> None:
        """Judge the results on the runner, fetch them, and have the load's items removed."""
        limit = REDUCE_SECONDS + self.load.bound
        judge = f"python3 results.py {self.load.rate} {self.load.most_workers} {self._ahead_ns} < results.json"
        line = f"vegeta encode -to=json -output=results.json results.gob && {judge}"
        self.summary = json.loads(self._at.run(line, "", limit).stdout)
        self.table = self._at.read("requests.csv.gz", limit)
        self.report = read_report(self.table, self.summary)
        if isinstance(self.load.requests, str):
            self._tidy(limit)

    def _tidy(self, limit: float) -> None:
        """Remove the items that the load made, or tell which. Those that stay are worth a note: all is measured."""
        try:
            if self.load.keeps_items:
                self.items = [item for name in MADE for item in json.loads(self._at.read(name, limit))]
            else:
                self._at.run(f"python3 targets.py tidy {shlex.quote(self.inventory.service)}", "", limit)
        except SshError as error:
            self.notes.append(f"items that the load made stay in the table: {error}")

    def _leave(self) -> None:
        """Leave nothing on the runner, and nothing running."""
        try:
            if self._attack is not None and not self._attack.done():
                self._at.run('kill -KILL "$(cat pid)"', check=False)
            self._at.leave()
        finally:
            self._pool.shutdown(wait=True)


def ahead(asked: float, theirs: float, answered: float) -> float:
    """By how many seconds a clock that said `theirs`, asked and answered at these times of ours, is surely ahead.

    0 where it is between the two: what they are apart is how long asking took, which grows with the load.
    """
    return max(theirs - answered, 0.0) + min(theirs - asked, 0.0)
