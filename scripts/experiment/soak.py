"""Many releases one after another: what they leave behind in memory and on disk, and whether that grows.

`soak.csv` has a row for each host, each of its services and each place on its disk, some twenty times: before releases
and after the last one, with no load, and once the database has written out what users had it keep in memory and in its
commit log, which both fill up whether or not there are releases:

    release,at,host,service,memory_bytes,disk_bytes

`release` is the number of the release that comes next. `service` is a systemd service (memory only), a place on disk
such as «/var/log» (disk only), or empty: the whole host. Memory is what cannot be given back.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.inventory import Role
from scripts.ssh import Login, SshError, map_hosts, run

if TYPE_CHECKING:
    from scripts.experiment.one_run import Bench

COLUMNS = ("release", "at", "host", "service", "memory_bytes", "disk_bytes")
TABLE = "soak.csv"
PROGRAM = Path(__file__).with_name("host_usage.py")
SECONDS = 120.0
WORKERS = 2  # hosts asked at once: they may share the processors of one machine
CONFIDENCE = 0.95
SHARE, LEAST_BYTES = 0.05, 8 * 2**20  # growth over the releases that counts: a twentieth, and 8 MiB or more
# What has to be ruled out is coarser: how much an instance has of garbage when it is looked at differs by 10 MiB.
MOST_SHARE, MOST_BYTES = 0.25, 32 * 2**20
SAMPLES = 20  # about; a look at every host takes seconds
SETTLING = 0.2  # of the releases at the beginning are not counted: caches and heaps fill up once


@dataclass(frozen=True)
class Growth:
    """How something grew: bytes a release, with an interval, over so many releases; `first` is what it was."""

    host: str
    service: str
    kind: str
    first: float
    slope: float
    low: float
    high: float
    releases: int

    @property
    def grows(self) -> bool:
        """Whether it certainly grew, and by an amount that matters."""
        return self.low > 0 and self.slope * self.releases > max(SHARE * self.first, LEAST_BYTES)

    @property
    def most(self) -> float:
        """The bytes by which it has grown over these releases at most."""
        return self.high * self.releases

    @property
    def may_grow(self) -> bool:
        """Whether its samples differ by too much to rule out that it grew by a lot."""
        return not self.grows and self.most > max(MOST_SHARE * self.first, MOST_BYTES)


def is_due(path: Path, release: int, releases: int) -> bool:
    """Whether memory and disk are looked at before this of so many releases.

    One that is made up for, after later ones, comes after all that those have left behind.
    """
    if (release - 1) % max(releases // SAMPLES, 1):
        return False
    return not path.exists() or all(release >= newest for series in read_series(path).values() for newest in series)


def sample(bench: Bench, release: int, say: Callable[[str], None]) -> None:
    """Append what every host uses before a release; a host that cannot be asked has no row, and is named."""
    say(f"memory and disk of {len(bench.inventory.hosts)} hosts")
    write_out(bench, say)
    program = PROGRAM.read_text("utf-8")

    def ask(login: Login) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = loads(run(login, ["python3", "-"], program, timeout=SECONDS).stdout)
        return answer

    at = time.time()
    answers = map_hosts([bench.inventory.login(host) for host in bench.inventory.hosts], ask, WORKERS)
    for name, answer in answers.items():
        if isinstance(answer, SshError):
            say(f"memory and disk of {name} are not known: {answer}")
    found = {name: answer for name, answer in answers.items() if not isinstance(answer, SshError)}
    append(bench.folder.path / TABLE, rows(release, at, found))


def write_out(bench: Bench, say: Callable[[str], None]) -> None:
    """Have every database node write out its tables' part in memory, which empties its commit log too."""
    nodes = [bench.inventory.login(host) for host in bench.inventory.with_role(Role.DATABASE)]
    answers = map_hosts(nodes, lambda login: run(login, ["nodetool", "flush"], timeout=SECONDS), WORKERS)
    for name, answer in answers.items():
        if isinstance(answer, SshError):
            say(f"{name} has not written out what it has in memory: {answer}")


def rows(release: int, at: float, found: Mapping[str, Mapping[str, Any]]) -> Iterable[Sequence[Any]]:
    """The rows of one moment."""
    for host, used in found.items():
        services, places = used["services"], used["disk"]
        yield release, f"{at:.3f}", host, "", services[""], places[""]
        yield from ((release, f"{at:.3f}", host, name, size, "") for name, size in sorted(services.items()) if name)
        yield from ((release, f"{at:.3f}", host, place, "", size) for place, size in sorted(places.items()) if place)


def append(path: Path, lines: Iterable[Sequence[Any]]) -> None:
    """Add rows to the table. An interrupted release is sampled again when it is made: the last sample of it counts."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerows(lines)


def read_series(path: Path) -> dict[tuple[str, str, str], dict[int, float]]:
    """{(host, service or place, «memory» or «disk»): {release: bytes}}."""
    found: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            for kind in ("memory", "disk"):
                if line[f"{kind}_bytes"]:
                    found[line["host"], line["service"], kind][int(line["release"])] = float(line[f"{kind}_bytes"])
    return dict(found)


def growth(path: Path) -> list[Growth]:
    """How everything in soak.csv grew, what grew most first; empty where there are too few releases to tell.

    The slope is Theil and Sen's, the median of the slopes between all pairs of samples, with its interval: one odd
    sample moves it little. What a service of a slot uses is compared with its own, though slots take turns.
    """
    from scipy import stats  # noqa: PLC0415  # takes a second to load, and only the end of a soak needs it

    found = []
    for (host, service, kind), series in read_series(path).items():
        counted = sorted(series)[int(len(series) * SETTLING) :]
        if len(counted) < 4:
            continue
        values = [series[release] for release in counted]
        slope, _, low, high = stats.theilslopes(values, counted, CONFIDENCE)
        releases = counted[-1] - counted[0]
        found.append(Growth(host, service, kind, values[0], float(slope), float(low), float(high), releases))
    return sorted(found, key=lambda each: each.slope * each.releases, reverse=True)


def faults(path: Path) -> list[str]:
    """What is to be found fault with: what grew, what may have grown, what was not looked at; a sentence each."""
    if not path.exists():
        return ["memory and disk were not sampled"]
    return doubts(growth(path)) + unseen(path)


def doubts(found: Sequence[Growth]) -> list[str]:
    """What grew, then what may have grown, a sentence each."""
    growing = [f"it grows: {in_words(each)}" for each in found if each.grows]
    return growing + [f"whether it grows cannot be told: {in_words(each)}" for each in found if each.may_grow]


def unseen(path: Path) -> list[str]:
    """The hosts that did not answer each time, a sentence each."""
    hosts = {host: set(series) for (host, service, _), series in read_series(path).items() if not service}
    times = set[int]().union(*hosts.values())
    return [
        f"{host} was asked {len(times)} times for its memory and disk, and answered {len(seen)} times"
        for host, seen in sorted(hosts.items())
        if seen != times
    ]


def verdict(path: Path) -> list[str]:
    """The soak's growth in sentences: what is wrong with it, or that nothing grows. Its samples must be there."""
    found = growth(path)
    if wrong := doubts(found) + unseen(path):
        return wrong
    if not found:
        return ["too few releases to tell whether memory or disk grow"]
    whole = [each for each in found if not each.service]
    widest = max(found, key=lambda each: each.most)
    return [
        f"nothing grows: {len(found)} series of {len(whole) // 2} hosts; most, {in_words(found[0])}; least sure,"
        f" {in_words(widest)}, {widest.most / 2**20:.0f} MiB over {widest.releases} releases at most"
    ]


def in_words(each: Growth) -> str:
    """A growth in words."""
    what = f"{each.kind} of {each.service or 'all'} on {each.host}"
    slope, low, high = (value / 1024 for value in (each.slope, each.low, each.high))
    return f"{what}: {slope:+.1f} KiB a release ({low:+.1f} to {high:+.1f}) from {each.first / 2**20:.0f} MiB"
