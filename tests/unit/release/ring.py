"""The database of the stack in memory: tables with rows, triggers that mirror, long work, and what nodes have of it.

Small, but it keeps the rules that matter: a write reaches a table's twin where its trigger is there, and fails where a
node has not been told of the twin; triggers change only while every node is up; a table goes only when no instance that
uses it runs. Each look at a job does one of its ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RANGES = 4
COLUMNS = {"id": "uuid", "name": "text"}


class RefusedHere(Exception):  # noqa: N818  # as the program's own
    """The program's refusal: exit status 3."""


class FailedHere(Exception):  # noqa: N818
    """The program's failure: exit status 1."""


@dataclass
class Table:
    """A table: columns, and {key: (value, time)}; a value of None is a deletion."""

    columns: dict[str, str]
    rows: dict[str, tuple[str | None, int]] = field(default_factory=dict)
    grace: int = 864_000
    counter: bool = False
    dropped: list[str] = field(default_factory=list)  # columns that it had once

    def take(self, key: str, value: str | None, at: int) -> None:
        """Write; the newer wins."""
        if key not in self.rows or self.rows[key][1] < at:
            self.rows[key] = value, at

    def alive(self) -> dict[str, tuple[str | None, int]]:
        """The rows that are there."""
        return {key: row for key, row in self.rows.items() if row[0] is not None}


@dataclass
class Job:
    """Long work."""

    kind: str
    state: str = "running"
    done: int = 0
    starts: int = 1
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    deletes: bool = False  # a scan takes back what only the new table has

    def as_dict(self) -> dict[str, Any]:
        """As the program tells it."""
        rows = 25 * self.done
        return {"job": self.kind, "state": self.state, "rows": rows, "ranges": RANGES, "ranges_done": self.done,
                "rate": 10.0, "left_seconds": 1.0, "reason": self.reason, "figures": self.figures,
                "began": 1.0, "ended": 3.0}  # fmt: skip


@dataclass
class Node:
    """A database node's host."""

    jar: str | None = "f" * 64
    pairs: dict[str, str] = field(default_factory=dict)
    free: int = 10**9
    used: int = 10**6
    in_memory: int = 0
    machine: str = ""  # whose disk it has, where not its own

    def on_disk(self, host: str, program: str, arguments: Sequence[str]) -> str:
        """Be what is run on the host to learn of its disk."""
        if program == "nodetool":
            assert arguments[:2] == ["flush", "evenkeel"] and all(name.startswith("item") for name in arguments[2:])
            self.used, self.in_memory = self.used + self.in_memory, 0
            return ""
        told = {"df": f"Avail\n{self.free}", "du": f"{self.used}\t/somewhere", "stat": "64768"}
        return {**told, "cat": self.machine or host}[program] + "\n"


@dataclass
class RingInMemory:
    """The database. `uses` tells which of these tables a running instance uses; the test's machines set it."""

    nodes: dict[str, Node]
    tables: dict[str, Table] = field(default_factory=lambda: {"item": Table(dict(COLUMNS))})
    triggers: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)  # nodes
    agreed: bool = True
    no_quorum: bool = False
    imported: set[str] = field(default_factory=set)  # nodes that took files over
    breaks: str = ""  # what ends every copy
    no_import: str = ""  # why nodes cannot
    conditional: dict[str, list[str]] = field(default_factory=dict)
    forgets: set[str] = field(default_factory=set)  # directions in which the mirror loses what it should write
    verbs: list[str] = field(default_factory=list)
    told: list[dict[str, float]] = field(default_factory=list)  # how users fare, as told to the copy
    slowest: list[float] = field(default_factory=list)  # the pace that each job was started with
    uses: Callable[[str], list[str]] = lambda table: []
    clock: int = 1_000
    scan_seconds: float = 2.0  # as measured beforehand
    hints: set[str] = field(default_factory=set)  # nodes that keep what others have missed
    breaks_off: str = ""  # what ends a drop after it has taken the mirror down

    def write(self, table: str, key: str, value: str | None) -> None:
        """Write as a service does: both tables or an error."""
        if self.no_quorum:
            raise FailedHere("no quorum")
        twin = self.triggers.get(table)
        if twin and not all(f"evenkeel.{table}" in node.pairs for node in self.nodes.values()):
            raise FailedHere(f"a node does not know the twin of {table}")
        self.clock += 1
        self.tables[table].take(key, value, self.clock)
        if twin and table not in self.forgets:
            self.tables[twin].take(key, value, self.clock)

    def ask(self, verb: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do a verb of scripts.tables."""
        assert asked["ring"], "the ring is not told"
        what = asked.get("kind") or asked.get("direction") or asked.get("which") or ""
        self.verbs.append(" ".join(filter(None, [verb, asked.get("do", ""), what, asked.get("run", "")])))
        found: dict[str, Any] = getattr(self, f"do_{verb}")(asked["data"], asked)
        return found

    def change(self) -> None:
        """Refuse to change the schema while a node is down."""
        if self.down or not self.agreed:
            raise RefusedHere(f"the node {', '.join(sorted(self.down)) or 'x'} is down; nothing was changed")

    def do_inspect(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        tables = {
            name: {
                "columns": table.columns,
                "dropped": table.dropped,
                "key": ["id"],
                "triggers": ["evenkeel_mirror"] if name in self.triggers else [],
                "gc_grace_seconds": table.grace,
                "counter": table.counter,
                "rows": len(table.alive()),
            }
            for name, table in self.tables.items()
        }
        nodes = {name: {"up": name not in self.down} for name in self.nodes}
        return {"nodes": nodes, "agreement": self.agreed, "tables": tables}

    def do_conditional(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return {"tables": self.conditional}

    def do_probe(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        without = [name for name, node in self.nodes.items() if not node.jar]
        if without:
            raise RefusedHere(f"{without[0]} does not mirror")
        return {"nodes": len(self.nodes)}

    def do_measure(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return {"seconds": self.scan_seconds, "rows": 20, "measured_seconds": 0.1}

    def do_create(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        self.change()
        for table in data["tables"]:
            self.tables.setdefault(table["target"], Table(dict(table["target_columns"])))
        for made in data.get("created", ()):
            self.tables.setdefault(made["target"], Table({}))
        return {}

    def do_mirror(self, data: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        self.change()
        sides = ("source", "target") if asked["direction"] == "forward" else ("target", "source")
        for table in data["tables"]:
            name, twin = (table[side] for side in sides)
            if not asked["on"]:
                self.triggers.pop(name, None)
                continue
            assert name in self.tables and twin in self.tables
            assert self.triggers.get(name, twin) == twin, f"{name} is mirrored to {self.triggers[name]} already"
            assert all(f"evenkeel.{name}" in node.pairs for node in self.nodes.values()), "mirrored before configured"
            if asked["direction"] == "reverse":
                job = self.jobs.get(f"backfill-{data['number']}")
                assert self.imported or (job and job.state == "done"), "the copy would be mirrored back"
            self.triggers[name] = twin
        return {}

    def do_mirrored(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        names = [table[side] for table in data["tables"] for side in ("source", "target")]
        return {"tables": {name: name in self.triggers for name in names}}

    def do_droppable(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        self.change()
        if self.hints:
            raise RefusedHere(f"{', '.join(sorted(self.hints))} may keep writes that another node has missed")
        return {}

    def do_drop(self, data: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        self.change()
        sides = {table["source"]: table["target"] for table in data["tables"]}
        for name in (*sides, *sides.values()):
            self.triggers.pop(name, None)
        if self.breaks_off:
            raise FailedHere(self.breaks_off)
        made = [table["target"] for table in data.get("created", ())] if asked["which"] == "target" else []
        for name in [*(table[asked["which"]] for table in data["tables"]), *made]:
            assert not self.uses(name), f"{name} dropped while {self.uses(name)} use it"
            self.tables.pop(name, None)
        running = [name for name, job in self.jobs.items() if job.state == "running"]
        assert not [name for name in running if name.split("-")[1] == str(data["number"])], "dropped while work runs"
        return {}

    def do_count(self, data: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return {"tables": {name: len(table.alive()) for name, table in self.tables.items()}, "about": []}

    def do_job(self, data: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        name = "-".join(filter(None, [asked["kind"], str(data["number"]), asked.get("run", "")]))
        if asked["do"] == "start":
            self.slowest.append(asked.get("slowest", 0.0))
        if "users" in asked:
            self.told.append(dict(asked["users"]))
        job = self.jobs.get(name)
        if asked["do"] == "start" and (job is None or (asked.get("afresh") and job.state != "running")):
            job = self.jobs[name] = Job(asked["kind"], deletes=asked.get("deletes", False))
        elif asked["do"] == "start" and job is not None and job.state == "failed":
            job.state, job.starts = "running", job.starts + 1
        elif asked["do"] == "stop" and job is not None and job.state == "running":
            job.state, job.reason = "failed", "stopped"
        elif asked["do"] == "state" and job is not None and job.state == "running":
            self.work(job, data)
        return job.as_dict() if job else Job(asked["kind"], "absent").as_dict()

    def work(self, job: Job, data: Mapping[str, Any]) -> None:
        """Do one range."""
        if self.no_quorum:
            job.reason = "waits: no quorum"
            return
        job.reason = ""
        if self.breaks:
            job.state, job.reason = "failed", self.breaks
            return
        if job.kind in ("backfill", "scan"):
            self.copy(data, job.done)
        if job.deletes:
            self.take_back(data, job.done)
        job.done += 1
        if job.done == RANGES:
            job.state = "done"
            job.figures = self.differences(data) if job.kind == "compare" or job.deletes else {}

    def take_back(self, data: Mapping[str, Any], number: int) -> None:
        """End the rows of one range that only the new table has."""
        for table in data["tables"]:
            source, target = self.tables[table["source"]].alive(), self.tables[table["target"]]
            for key in target.alive():
                if key not in source and sum(key.encode()) % RANGES == number:
                    target.rows[key] = None, target.rows[key][1]

    def copied(self, data: Mapping[str, Any], ranges: int) -> None:
        """Have so many ranges copied."""
        for number in range(ranges):
            self.copy(data, number)

    def copy(self, data: Mapping[str, Any], number: int) -> None:
        """Copy one range."""
        for table in data["tables"]:
            source, target = self.tables[table["source"]], self.tables[table["target"]]
            for key in sorted(source.rows):
                value, at = source.rows[key]
                if value is not None and sum(key.encode()) % RANGES == number:
                    target.take(key, value, at)

    def differences(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Hold the tables against each other."""
        found: dict[str, Any] = {"rows": 0, "missing": 0, "extra": 0, "different": 0, "examples": []}
        for table in data["tables"]:
            source, target = self.tables[table["source"]].alive(), self.tables[table["target"]].alive()
            for key in sorted({*source, *target}):
                found["rows"] += 1
                if source.get(key) == target.get(key):
                    continue
                what = "missing" if key not in target else "extra" if key not in source else "different"
                found[what] += 1
                found["examples"].append({"key": {"id": key}, "column": None, "what": what, "why": "it differs"})
        return found

    def take_over(self, host: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Be evenkeel-import on a node's host: every node has every row here."""
        source, target = self.tables[request["source"]], self.tables[request["target"]]
        for key, (value, at) in source.rows.items():
            target.take(key, value, at)
        self.imported.add(host)
        return {"sstables": 2, "bytes": 1 << 20, "seconds": 0.1}

    def on_node(self, host: str, verb: str, document: Any) -> dict[str, Any]:
        """Be evenkeel-mirror on a node's host."""
        node = self.nodes[host]
        if verb == "configure":
            node.pairs |= {f"{one['keyspace']}.{one['table']}": one["twin"] for one in document}
        elif verb == "remove":
            gone: Iterable[str] = document["tables"]
            assert not {name.partition(".")[2] for name in gone} & set(self.triggers), "removed while mirrored"
            for name in gone:
                node.pairs.pop(name, None)
        return {"jar_sha256": node.jar, "pairs": node.pairs}
