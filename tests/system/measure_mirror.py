"""What the mirror costs a write: `python -m tests.system.measure_mirror [OPERATIONS] [CLIENTS]`, figures as JSON.

Three Cassandra nodes on loopback addresses; the same INSERTs of seven columns with the mirror off and on in turn, three
times each, so that a machine that is busy meanwhile is busy for both. Needs no stack, but the host image and javac.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

from scripts.mirror.build import build
from scripts.tables import mirroring, structure
from tests.system.checker_ring import Ring, cassandra_jars
from tests.system.mirror_lab import KEYSPACE, OLD, MirrorLab, require_logins

ROUNDS = 3
WARM_UP = 500
INSERT = (
    f"INSERT INTO {KEYSPACE}.{OLD} (shop, id, name, description, quantity, tags, size)"  # noqa: S608 - our own names
    " VALUES (?, ?, 'a name', 'a description of some length', ?, {'one', 'two'}, [1, 2, 3])"
)


def measure(operations: int, clients: int) -> dict[str, Any]:
    """Return {"off", "on"}: latencies in milliseconds and writes a second of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jars = cassandra_jars(folder)
        if jars is None:
            sys.exit("no Cassandra jars: `make up` builds the host image")
        ring = Ring(jars, folder, nodes=3)
        require_logins(ring)
        for node in ring.nodes:
            shutil.copyfile(build(), node.triggers / "evenkeel-mirror.jar")
        with ring:
            lab = MirrorLab(ring)
            lab.make()
            lab.verb(structure.create)
            write(lab, WARM_UP, clients)
            taken: dict[bool, list[float]] = {False: [], True: []}
            seconds = {False: 0.0, True: 0.0}
            for on in [False, True] * ROUNDS:
                lab.verb(mirroring.mirror, direction="forward", on=on)
                begin = time.monotonic()
                taken[on] += write(lab, operations, clients)
                seconds[on] += time.monotonic() - begin
    return {word: figures(taken[on], seconds[on]) for word, on in (("off", False), ("on", True))}


def write(lab: MirrorLab, operations: int, clients: int) -> list[float]:
    """Do so many INSERTs; return how many milliseconds each took."""
    taken: list[float] = []
    todo = count()
    with lab.session() as session:
        insert = session.prepare(INSERT)

        def client(number: int) -> None:
            while (each := next(todo)) < operations:
                begin = time.perf_counter()
                session.execute(insert, (f"s{number}-{each % 97}", each, each), timeout=60)
                taken.append((time.perf_counter() - begin) * 1000)

        workers = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return taken


def figures(taken: list[float], seconds: float) -> dict[str, Any]:
    """Return what a person reads."""
    parts = statistics.quantiles(taken, n=100)
    named = {"p50_ms": parts[49], "p95_ms": parts[94], "p99_ms": parts[98], "writes_per_second": len(taken) / seconds}
    return {"writes": len(taken), **{name: round(value, 2) for name, value in named.items()}}


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    print(json.dumps(measure(*(numbers + [3_000, 8][len(numbers) :])), indent=1))
