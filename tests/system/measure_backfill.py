"""How fast rows are copied, and what users feel: `python -m tests.system.measure_backfill [ROWS [paced]]`.

On a running stack, a line of JSON with figures for each:

- the table of 1.0.0 copied as 4.0.0 has it, unpaced, at a hundredth and a tenth of the rows and at all of them: rows a
  second, and the copy's memory
- cqlsh's COPY TO and COPY FROM of the same rows, from the deployer's machine
- 4.0.0's table taken over as 5.0.0's by its files
- the first copy again, paced, while users send 100 requests a second: their times with the copy standing still and
  going on, in turns, for a machine that others share changes within minutes; with `paced` this alone

Works on tables of its own, which nobody else writes, and drops them. cqlsh is installed where it leaves nothing.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from cassandra.cluster import Session

from components.manifest import Manifest, parse_manifest
from components.migration import plan
from components.tables import Table
from scripts.cli.undo import as_stack
from scripts.database.connection import ADMIN, Login, connected
from scripts.experiment.load.attack import Load, LoadTest
from scripts.experiment.load.figures import Request
from scripts.inventory import Inventory, load
from scripts.release.control_tables import ControlTables
from scripts.release.databases import Databases
from scripts.release.documents import Stack
from scripts.release.jobs import LONGEST_LOOK_SECONDS, Users
from scripts.release.load_balancers import LoadBalancers
from scripts.release.users import slowest_of
from scripts.tables.held import job_name
from scripts.tables.request import read_data, read_ring
from scripts.tables.sstables import obstacle, requests
from tests.system.running import ROOT, STACK

KEYSPACE, SOURCE = "evenkeel", "sized"
CQLSH = "cqlsh==6.2.2"
AT_ONCE = " WITH MAXINFLIGHTMESSAGES = 64"
COLUMNS = "id, created_at, description, name, quantity, tags, updated_at"
RATE, TURNS, TURNS_LEAST, TURN_SECONDS, SETTLE_SECONDS = 100, 8, 5, 45.0, 4.0
# What a copy that goes on again hears of its users is of before, until all load balancers were asked.
HEARD_SECONDS, START_SECONDS, RESAMPLES = 26.0, 60.0, 2_000
JOB_SECONDS = 3600.0
Span = tuple[float, float]


def main(rows: int, only: str) -> None:
    """Measure all of it, or `only` the paced copy."""
    inventory = load(STACK, refresh=True)
    stack = as_stack(inventory)
    with tempfile.TemporaryDirectory() as name, own_tables(stack) as session:
        peer = Cqlsh(stack, Path(name))
        if only == "paced":
            write_csv(Path(name) / "rows.csv", rows)
            peer.copy(SOURCE, "FROM", rows)
        else:
            unpaced_and_peers(stack, session, peer, Path(name), rows)
        tell("paced", **paced(inventory, stack))


def unpaced_and_peers(stack: Stack, session: Session, peer: Cqlsh, folder: Path, rows: int) -> None:
    """Measure the copy as fast as it goes at three sizes, cqlsh beside it, and the same rows taken over by files."""
    for part, number in ((rows // 100, 9001), (rows // 10, 9002), (rows, 9003)):
        session.execute(f"TRUNCATE {KEYSPACE}.{SOURCE}", timeout=120)
        write_csv(folder / "rows.csv", part)
        tell("cqlsh COPY FROM", rows=part, **peer.copy(SOURCE, "FROM", part))
        tell("unpaced", **unpaced(tables(stack, "1.0.0", {"item": SOURCE}, "4.0.0", number)))
    tell("cqlsh COPY TO", rows=rows, **peer.copy(SOURCE, "TO", rows))
    tell("taken over by files", **taken_over(stack, rows))


def tell(what: str, **figures: Any) -> None:
    """Print one line."""
    print(json.dumps({"what": what, **figures}), flush=True)


@contextmanager
def own_tables(stack: Stack) -> Iterator[Session]:
    """Give a session beside an empty source table; drop it, and all that came of it, at the end."""
    ring = read_ring({"ring": stack.ring})
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        drop(session)
        (item,) = manifest("1.0.0").tables
        columns = ", ".join(f"{column} {kind}" for column, kind in item.columns.items())
        session.execute(f"CREATE TABLE {KEYSPACE}.{SOURCE} ({columns}, PRIMARY KEY ({', '.join(item.primary_key)}))")
        try:
            yield session
        finally:
            drop(session)


def drop(session: Session) -> None:
    """Drop the source and every table that came of it."""
    for name in (SOURCE, *(f"item_r{number}" for number in range(9001, 9006))):
        session.execute(f"DROP TABLE IF EXISTS {KEYSPACE}.{name}", timeout=120)


def manifest(version: str) -> Manifest:
    """Return a sample version's manifest."""
    return parse_manifest((ROOT / f"app/releases/{version}/evenkeel.toml").read_text("utf-8"))


def tables(stack: Stack, before: str, names: dict[str, str], version: str, number: int) -> ControlTables:
    """Return a change of the tables as preflight plans it, with the new table made and nothing mirrored."""
    live: tuple[Table, ...] = manifest(before).tables
    data = plan(live, names, manifest(version), release_id=f"measure-{number}", number=number, keyspace=KEYSPACE)
    assert data is not None
    made = ControlTables(stack, data.as_dict())
    made.create()
    return made


def unpaced(copy: ControlTables) -> dict[str, Any]:
    """Copy everything as fast as it goes; return the job's own figures."""
    state, end = copy.job("start", "backfill", paced=False, afresh=True), time.monotonic() + JOB_SECONDS
    while state["state"] == "running":
        assert time.monotonic() < end, state
        time.sleep(1)
        state = copy.job("state", "backfill")
    assert state["state"] == "done", state
    figures = state["figures"]
    kept = {key: figures[key] for key in ("rows", "seconds", "rows_per_second", "retries")}
    return {**kept, "memory_mb": round(figures["peak_rss_kb"] / 1024, 1)}


def taken_over(stack: Stack, rows: int) -> dict[str, Any]:
    """Have each node take over its files of the table that was copied last; count what is there."""
    change = tables(stack, "4.0.0", {"item": "item_r9003"}, "5.0.0", 9004)
    data, databases = read_data({"data": change.data}), Databases(stack)
    assert obstacle(data, {}) is None
    begin = time.monotonic()
    answers = databases.take_over(requests(data)[0])
    seconds = time.monotonic() - begin
    found = change.count()["tables"]["item_r9004"]
    assert found == rows, found
    mib = sum(int(answer["bytes"]) for answer in answers.values()) / (1 << 20)
    return {"rows": found, "seconds": round(seconds, 1), "rows_per_second": round(rows / seconds), "mib": round(mib)}


def paced(inventory: Inventory, stack: Stack) -> dict[str, Any]:
    """Let the copy go on and stand still in turn under load; return users' times of both, and the copy's rate."""
    copy = tables(stack, "1.0.0", {"item": SOURCE}, "4.0.0", 9005)
    balancers = LoadBalancers(stack, 0, 0)
    pairs: list[tuple[Span, Span]] = []
    rates: list[float] = []
    with LoadTest(inventory, Load(rate=RATE, seconds=TURNS * (TURN_SECONDS + HEARD_SECONDS) * 2.5 + 240)) as test:
        time.sleep(SETTLE_SECONDS + TURN_SECONDS)
        alone = [slowest_of(balancers, TURN_SECONDS)]
        users = Users(balancers, alone[0])
        copy.job("start", "backfill", paced=True, afresh=True)
        follow(copy, users, START_SECONDS)  # a copy starts once, which is not what a turn is to show
        for _ in range(TURNS):
            still = stand_still(copy)
            alone.append(slowest_of(balancers, TURN_SECONDS))
            users.before_ms = statistics.median(each for each in alone if each is not None)
            if (turn := going(copy, users, TURN_SECONDS)) is None:
                break
            pairs.append((still, turn[0]))
            rates.append(turn[1])
        copy.job("stop", "backfill")
    assert len(pairs) >= TURNS_LEAST, f"the copy ended after {len(pairs)} turns, take more rows"
    told = {"requests": test.report.requests, "failed": test.report.failed, "rows_per_second": rates}
    return {**told, **compared(test.report.all, pairs)}


def compared(requests: list[Request], pairs: list[tuple[Span, Span]]) -> dict[str, Any]:
    """Return users' times of both kinds of turns, and the ratio of their p99 with its 95 % interval.

    The interval is a percentile bootstrap over pairs of turns: requests of one turn are not independent (Efron 1979).
    """
    turns = [tuple([one.ms for one in within(requests, span)] for span in pair) for pair in pairs]
    told: dict[str, Any] = {}
    for place, what in enumerate(("still", "going")):
        times = np.concatenate([turn[place] for turn in turns])
        each = [round(float(np.percentile(turn[place], 99)), 1) for turn in turns]
        p50, p99 = np.percentile(times, [50, 99])
        told[what] = {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1), "p99_each_ms": each}
    chance = np.random.default_rng(1979)
    ratios = [p99_ratio([turns[i] for i in chance.integers(len(turns), size=len(turns))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return {**told, "p99_ratio": round(p99_ratio(turns), 3), "p99_ratio_95": [round(low, 3), round(high, 3)]}


def p99_ratio(turns: list[Any]) -> float:
    """Return the 99th percentile of all requests while the copy went on, over that while it stood still."""
    still, going_on = (np.percentile(np.concatenate([turn[place] for turn in turns]), 99) for place in (0, 1))
    return float(going_on / still)


def stand_still(copy: ControlTables) -> Span:
    """Let users be alone for a turn; return from when to when."""
    signal(copy, "STOP")
    time.sleep(SETTLE_SECONDS)
    began = time.time()
    time.sleep(TURN_SECONDS)
    return began, time.time()


def going(copy: ControlTables, users: Users, seconds: float) -> tuple[Span, float] | None:
    """Copy for a turn as a release does; return from when to when, and the rows a second; None: no rows are left."""
    signal(copy, "CONT")
    follow(copy, users, HEARD_SECONDS)
    began, before = time.time(), copy.job("state", "backfill")
    follow(copy, users, seconds)
    state, ended = copy.job("state", "backfill"), time.time()
    assert state["state"] in ("running", "done"), state
    if state["state"] == "done":
        return None
    rows = int(state["rows"]) - int(before["rows"])
    return (began, ended), round(rows / (state["updated"] - before["updated"]), 1)


def signal(copy: ControlTables, name: str) -> None:
    """Let the copy's process stand still or go on."""
    unit = job_name({"kind": "backfill", "data": copy.data})
    copy.session().run(["systemctl", "kill", f"--signal={name}", unit], timeout=30)


def follow(copy: ControlTables, users: Users, seconds: float) -> None:
    """Look at the copy as often as a release does, for some time, and tell it how users fare."""
    end = time.time() + seconds
    while (left := end - time.time()) > 0:
        copy.job("state", "backfill", **users.look())
        time.sleep(min(left, LONGEST_LOOK_SECONDS))


def within(requests: list[Request], span: Span) -> list[Request]:
    """Return the requests that were due in a span of time."""
    return [request for request in requests if span[0] <= request.at < span[1]]


def write_csv(path: Path, rows: int) -> None:
    """Write so many items as cqlsh's COPY FROM takes them, the columns in COLUMNS' order."""
    chance = random.Random(rows)  # noqa: S311 - the same rows each time
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            name = uuid.UUID(int=chance.getrandbits(128), version=4)
            moment = "2026-11-24 12:00:00.000+0000"
            tags = "\"{'one', 'two'}\""
            file.write(
                f"{name},{moment},a description of item {number},item {number},{number % 1000},{tags},{moment}\n"
            )


class Cqlsh:
    """cqlsh on the deployer's machine, in an environment of its own, logged in to the stack's ring."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.folder = folder
        self.ring = read_ring({"ring": stack.ring})
        subprocess.run([sys.executable, "-m", "venv", str(folder / "cqlsh")], check=True)
        pip = [str(folder / "cqlsh/bin/pip"), "install", "--quiet", "--disable-pip-version-check", CQLSH]
        subprocess.run(pip, check=True)

    def copy(self, table: str, direction: str, rows: int) -> dict[str, Any]:
        """Run COPY between a table and rows.csv; return how long it took, its start included, and what it tried again.

        With the consistency of our own copy, and COPY FROM with fewer batches at once than by default, which are more
        than nodes of this size answer in time; and cqlsh sleeps for each. It ends with an error also where a second try
        succeeded.
        """
        place = self.folder / ("rows.csv" if direction == "FROM" else "out.csv")
        credentials = self.folder / "credentials"
        credentials.touch(mode=0o600)
        credentials.write_text(
            f"[PlainTextAuthProvider]\nusername = {ADMIN}\npassword = {self.ring.admin_password}\n", "utf-8"
        )
        options = AT_ONCE if direction == "FROM" else ""
        line = f"CONSISTENCY LOCAL_QUORUM; COPY {KEYSPACE}.{table} ({COLUMNS}) {direction} '{place}'{options}"
        program, where = str(self.folder / "cqlsh/bin/cqlsh"), self.ring.contact_points[0]
        command = [program, "--credentials", str(credentials), where, "-e", line]
        begin = time.monotonic()
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=JOB_SECONDS,
            env={**os.environ, "HOME": str(self.folder)},
        )
        seconds = time.monotonic() - begin
        assert re.search(rf"\n{rows} rows (exported|imported .*\(0 skipped\))", done.stdout), (
            f"{done.stdout[-500:]} {done.stderr[-1000:]}"
        )
        retries = done.stderr.count("will retry later")
        return {"seconds": round(seconds, 1), "rows_per_second": round(rows / seconds), "retries": retries}


if __name__ == "__main__":
    size, part = (sys.argv[1:] + ["1000000", "all"][len(sys.argv) - 1 :])[:2]
    main(int(size), part)
