"""A laboratory for the checker: two versions write two tables of a real ring through a release of the data.

The steps are those of a release, with the real mirror, the real copy and the real comparison:

    prepare -> mirror old to new -> settle -> copy -> compare -> mirror new to old -> both write -> a node dies -> judge

A `Procedure` says how; the sound one is the default, checker_mutants.py has those with one thing switched off.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import RoundRobinPolicy, WhiteListRoundRobinPolicy

from scripts.checker.history import Kind, plain
from scripts.checker.judge import State, judge
from scripts.checker.verdict import Verdict
from scripts.tables import backfill, compare
from scripts.tables.progress import Progress
from scripts.tables.sentences import sentence
from scripts.tables.work import Work, written_down
from tests.system.checker_ring import DATACENTER, WRITE_MS, Ring
from tests.system.checker_writers import COLUMNS, LONG_AGO, Client, Log, Statements, Version

ROOT = Path(__file__).parents[2]
MIRROR = "evenkeel.Mirror"
OLD = Version("1.0.0", "item", {name: name for name in COLUMNS})
NEW = Version("4.0.0", "item_r2", {**OLD.columns, "description": "summary"})
TYPES = {"id": "uuid", "name": "text", "description": "text", "quantity": "int", "tags": "set<text>",
         "created_at": "timestamp"}  # fmt: skip
NEW_TYPES = {"id": "uuid", "name": "text", "summary": "text", "quantity": "bigint", "tags": "set<text>",
             "created_at": "timestamp", "category": "text"}  # fmt: skip
PAIRS = [(name, NEW.columns.get(name, name)) for name in TYPES if name != "id"]
PREPARED, LATE, SHARED = 120, 12, 6
GC_GRACE_SECONDS = 864_000


def data_document(keyspace: str) -> dict[str, Any]:
    """The data document of the laboratory's release: a column renamed, one wider, one new."""
    return {
        "keyspace": keyspace, "release": "r2-4.0.0-laboratory", "number": 2, "mirror": "trigger",
        "names": {"item": NEW.table}, "previous_names": {"item": OLD.table}, "created": [],
        "tables": [{
            "name": "item", "source": OLD.table, "target": NEW.table, "key": ["id"], "partition": ["id"],
            "source_columns": TYPES, "target_columns": NEW_TYPES,
            "pairs": [{"source": old, "target": new, "from": TYPES[old], "to": NEW_TYPES[new]} for old, new in PAIRS],
            "added": [{"target": "category", "type": "text", "default": "general"}], "dropped": [], "statics": [],
        }],
    }  # fmt: skip


def mirror_files(keyspace: str) -> dict[str, dict[str, Any]]:
    """The mirror's file of each direction, by name."""
    forward = [{"from": old, "to": new, "type": TYPES[old], "twin_type": NEW_TYPES[new]} for old, new in PAIRS]
    reverse = [{"from": new, "to": old, "type": NEW_TYPES[new], "twin_type": TYPES[old]} for old, new in PAIRS]
    default = {"column": "category", "type": "text", "value": "general"}
    return {
        f"{keyspace}.{OLD.table}.json": {
            "keyspace": keyspace, "table": OLD.table, "twin": NEW.table, "columns": forward, "defaults": [default],
        },
        f"{keyspace}.{NEW.table}.json": {
            "keyspace": keyspace, "table": NEW.table, "twin": OLD.table, "columns": reverse, "dropped": ["category"],
        },
    }  # fmt: skip


Step = Callable[["Release"], None]


@dataclass(frozen=True)
class Procedure:
    """How a release of the data goes. `forward` and `reverse` are the triggers' classes, None for none.

    `mirror` makes the first trigger and waits until every coordinator has it; `tail` comes where the sound way turns
    the second one on; `judged` are the tables that the procedure itself would vouch for.
    """

    name: str
    forward: str | None = MIRROR
    reverse: str | None = MIRROR
    mirror: Step = lambda release: release.mirror_and_settle()
    copy: Step = lambda release: release.backfill()
    tail: Step = lambda release: None
    judged: tuple[Version, ...] = (OLD, NEW)


SOUND = Procedure("sound")


@dataclass
class Result:
    """What a run came to: the checker's verdict, and what the comparison said after the copy and at the end."""

    verdict: Verdict
    compared: str
    compared_at_end: str
    seconds: float
    steps: dict[str, float] = field(default_factory=dict)


class Laboratory:
    """A ring with the mirror's jar and the mutants', and sessions on it. Made before the ring is started."""

    def __init__(self, ring: Ring, folder: Path) -> None:
        self.ring, self.folder = ring, folder
        jar = build_jar(ring.jars, folder)
        for node in ring.nodes:
            (node.triggers / jar.name).write_bytes(jar.read_bytes())

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session with a profile for each node by its number, and one for all of them."""

        def profile(policy: Any) -> ExecutionProfile:
            return ExecutionProfile(
                policy, consistency_level=ConsistencyLevel.QUORUM, request_timeout=4 * WRITE_MS / 1000
            )

        nodes = {node.number: profile(WhiteListRoundRobinPolicy([node.address])) for node in self.ring.nodes}
        cluster = Cluster(
            self.ring.addresses, protocol_version=5, connect_timeout=60, max_schema_agreement_wait=0,
            control_connection_timeout=60,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile(RoundRobinPolicy()), **nodes},
        )  # fmt: skip
        try:
            yield cluster.connect()
        finally:
            cluster.shutdown()

    def run(self, procedure: Procedure, writing_seconds: float = 8.0) -> Result:
        """Run a release by a procedure, and judge it."""
        began = time.monotonic()
        with self.session() as session:
            release = Release(self, session, procedure)
            try:
                release.go(writing_seconds)
            finally:
                release.end_clients()
            release.heal()
            verdict = release.judge()
            at_end = release.compare()
            return Result(verdict, release.compared, at_end, time.monotonic() - began, release.steps)


class Release:
    """One run of a procedure, in a keyspace of its own."""

    def __init__(self, laboratory: Laboratory, session: Session, procedure: Procedure) -> None:
        self.ring, self.folder, self.session = laboratory.ring, laboratory.folder, session
        self.procedure = procedure
        self.keyspace = f"lab_{uuid.uuid4().hex[:8]}"
        self.log = Log(self.keyspace)
        self.compared = ""
        self.steps: dict[str, float] = {}
        self._clients: list[Client] = []
        self._began = time.monotonic()

    def go(self, writing_seconds: float) -> None:
        """Do it all, step by step."""
        self._step("tables", self._create_tables)
        self._old, self._new = (Statements(self.session, self.keyspace, version) for version in (OLD, NEW))
        self._step("prepare", self._prepare)
        self.start_clients(self._old, first=0, count=4)
        self._step("mirror", lambda: self.procedure.mirror(self))
        late = self._begin_late_writes()
        self._step("copy", lambda: self.procedure.copy(self))
        self._step("late", lambda: self._finish_late_writes(late))
        self.compared = self.compare()
        self._step("tail", lambda: self.procedure.tail(self))
        if self.procedure.reverse:
            self._step("reverse", self._mirror_back)
        self.start_clients(self._new, first=10, count=3)
        self.write_for(writing_seconds)
        self._step("node dies", self._kill_a_node)
        self.write_for(writing_seconds)

    def _step(self, name: str, do: Callable[[], object]) -> None:
        began = time.monotonic()
        do()
        self.steps[name] = round(time.monotonic() - began, 1)

    # --- tables and triggers -----------------------------------------------------------------------------------------

    def _create_tables(self) -> None:
        replication = f"{{'class': 'NetworkTopologyStrategy', '{DATACENTER}': {min(len(self.ring.nodes), 3)}}}"
        self.change(f"CREATE KEYSPACE {self.keyspace} WITH replication = {replication}")
        for version, types in ((OLD, TYPES), (NEW, NEW_TYPES)):
            columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
            self.change(f"CREATE TABLE {self.keyspace}.{version.table} ({columns}, PRIMARY KEY (id))")
        for node in self.ring.nodes:
            for name, document in mirror_files(self.keyspace).items():
                (node.mirror / name).write_text(json.dumps(document), "utf-8")

    def change(self, statement: str) -> None:
        """Change the schema through the first node, and wait until every node has it."""
        self._tell_first(statement)
        self.agree()

    def _tell_first(self, statement: str, seconds: float = 60) -> None:
        """Have the first node do something; the driver may still take it for down after the release before."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.session.execute(statement, execution_profile=1, timeout=60)
                return
            except NoHostAvailable:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def agree(self, seconds: float = 120) -> None:
        """Wait until each node, asked itself, has the same schema."""
        end = time.monotonic() + seconds
        query = "SELECT schema_version FROM system.local"
        while True:
            try:
                found = {
                    self.session.execute(query, execution_profile=node.number).one()[0] for node in self.ring.nodes
                }
            except Exception:
                found = set()
            if len(found) == 1:
                return
            assert time.monotonic() < end, "the nodes do not agree on the schema"
            time.sleep(0.3)

    def create_trigger(self, version: Version, kind: str, forget: bool = True) -> None:
        """Have a table mirrored, as the first node sees it; statements that were prepared before, too.

        Cassandra 5.0 keeps prepared statements with the table's triggers of that moment, and a new trigger is no reason
        for it to forget them: they would go on unmirrored. Another gc_grace_seconds is one (TableMetadata,
        changeAffectsPreparedStatements).
        """
        table = f"{self.keyspace}.{version.table}"
        statements = [f"CREATE TRIGGER evenkeel_mirror ON {table} USING '{kind}'"]
        if forget:
            statements.append(f"ALTER TABLE {table} WITH gc_grace_seconds = {GC_GRACE_SECONDS + 1}")
        for statement in statements:
            self._tell_first(statement)

    def mirror_and_settle(self) -> None:
        """The sound way: the trigger, every node asked whether it has it, and longer than a write may take."""
        if self.procedure.forward:
            self.create_trigger(OLD, self.procedure.forward)
        self.agree()
        time.sleep(WRITE_MS / 1000 + 1)

    def _mirror_back(self) -> None:
        assert self.procedure.reverse is not None
        self.create_trigger(NEW, self.procedure.reverse)
        self.agree()

    # --- rows and clients ---------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Rows from long ago: some for each client, some for all of them, some for writes that come late."""
        preparer = Client(-1, self._old, self.log, profile=EXEC_PROFILE_DEFAULT, skew=-LONG_AGO / 1e6)
        self.prepared = [str(uuid.uuid4()) for _ in range(PREPARED)]
        for key in self.prepared:
            preparer.write(Kind.INSERT, key)

    def start_clients(self, statements: Statements, first: int, count: int) -> None:
        """Start clients of a version. One clock is five seconds ahead, one behind; the last keeps to one node."""
        shared = self.prepared[LATE : LATE + SHARED]
        own = self.prepared[LATE + SHARED :]
        for number in range(count):
            last = number == count - 1
            profile = len(self.ring.nodes) if last else EXEC_PROFILE_DEFAULT
            client = Client(first + number, statements, self.log, profile=profile, skew=(0, 5, -5, 0)[number % 4])
            client.shared = shared
            if first == 0:  # the new version's clients have only rows that they make, and everybody's
                client.own = own[number::count]
            client.start()
            self._clients.append(client)

    def write_for(self, seconds: float) -> None:
        """Let clients write for so long; on a slow machine longer, until each has done several operations."""
        began, before = time.monotonic(), len(self.log)
        while time.monotonic() < began + seconds or len(self.log) < before + 8 * len(self._clients):
            assert time.monotonic() < began + 600, "the clients get nothing done"
            time.sleep(0.2)

    def end_clients(self) -> None:
        """Have all clients end after what they are at."""
        for client in self._clients:
            client.over.set()
        for client in self._clients:
            client.join(120)
        self._clients = []

    def _begin_late_writes(self) -> list[tuple[Client, int, Kind, str, dict[str, Any], int]]:
        """Writes whose time is fixed before the copy and which arrive after it, below a newer cell of their row."""
        slow, quick = (Client(process, self._old, self.log, profile=EXEC_PROFILE_DEFAULT) for process in (20, 21))
        late = []
        for place, key in enumerate(self.prepared[:LATE]):
            number = self.log.number()
            kind = Kind.DELETE if place % 3 == 0 else Kind.UPDATE
            values = {} if kind is Kind.DELETE else {"name": f"{self.keyspace}-{number}"}
            late.append((slow, number, kind, key, values, slow.clock()))
            time.sleep(0.002)
            quick.write(Kind.UPDATE, key, quantity=self.log.number())
        return late

    def _finish_late_writes(self, late: list[tuple[Client, int, Kind, str, dict[str, Any], int]]) -> None:
        for client, number, kind, key, values, clock in late:
            client.send(number, kind, key, values, clock)

    # --- copy, comparison, judgement ----------------------------------------------------------------------------------

    def _work(self, kind: str) -> Work:
        ring = {"contact_points": self.ring.addresses, "datacenter": DATACENTER, "admin_password": "none"}
        document = {
            "ring": ring, "data": data_document(self.keyspace), "kind": kind, "paced": False, "streams": 2,
        }  # fmt: skip
        name = f"{self.keyspace}-{kind}-{time.monotonic_ns()}"
        progress = Progress(self.folder / "tables.sqlite")
        progress.begin(name, kind, os.getpid())
        return Work(name, document, progress, self.session)

    def backfill(self) -> None:
        """The product's own copy."""
        work = self._work("backfill")
        with written_down(work):
            backfill.run(work)

    def compare(self) -> str:
        """The product's own comparison, in a sentence."""
        work = self._work("compare")
        with written_down(work):
            return sentence(compare.run(work))

    def _kill_a_node(self) -> None:
        """Kill the node in the middle while all write, and have it back."""
        node = self.ring.nodes[len(self.ring.nodes) // 2]
        node.kill()
        time.sleep(3)
        node.start()

    def heal(self) -> None:
        """Wait until all nodes are back, and what waits for them and in the log of batches has been done."""
        for node in self.ring.nodes:
            node.wait()
        self.agree()
        time.sleep(2 * WRITE_MS / 1000)  # the log of batches is replayed for what is older than twice a write
        for node in self.ring.nodes:
            self.ring.nodetool(node.number, "replaybatchlog")

    def judge(self) -> Verdict:
        """Read the tables that the procedure vouches for, and hold them against what clients were told."""
        return judge(self.log.history, [self.read(version) for version in self.procedure.judged])

    def read(self, version: Version) -> State:
        """All rows of a table that count as rows: those with `created_at`."""
        columns = ", ".join(version.columns[name] for name in COLUMNS)
        query = f"SELECT id, created_at, {columns} FROM {self.keyspace}.{version.table}"  # noqa: S608
        rows = {}
        for row in self.session.execute(query, timeout=120):
            if row[1] is not None:
                rows[str(row[0])] = {name: plain(_json(row[2 + place])) for place, name in enumerate(COLUMNS)}
        return State(f"table {version.table}", COLUMNS, rows)


def _json(value: Any) -> Any:
    is_set = hasattr(value, "__iter__") and not isinstance(value, str)
    return list(value) if is_set else value


def build_jar(jars: Path, folder: Path) -> Path:
    """One jar with the product's mirror and the laboratory's mutants of it, compiled against the ring's Cassandra."""
    classes, jar = folder / "classes", folder / "mirror-and-mutants.jar"
    sources = [*(ROOT / "mirror/src").rglob("*.java"), *(ROOT / "tests/system/mutants").rglob("*.java")]
    compiler = ["javac", "-proc:none", "-nowarn", "--release", "17", "-d", str(classes), "-cp", f"{jars}/*"]
    subprocess.run([*compiler, *map(str, sources)], check=True)
    subprocess.run(["jar", "cf", str(jar), "-C", str(classes), "."], check=True)
    return jar
