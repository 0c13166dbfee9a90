# ruff: noqa: S608, S311 - the statements' names and words, and their order by chance, are the laboratory's own
"""A laboratory for the mirror: two tables of a real ring that are written at once, at random, by several clients.

    with MirrorLab(ring) as lab:
        lab.pair()                      # both tables, mirrored both ways by scripts.tables' own verbs
        lab.write(10_000, clients=8)    # inserts, updates, deletions of every kind, TTLs, collections, on either table
        assert lab.differences() == []  # row by row, cell by cell, with write times and expiry

Every write names its key at random among few, so that clients meet; nothing is ever written twice at one timestamp.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Session

from scripts.database.connection import ADMIN, Login, connected
from scripts.database.request import Ring as RingRequest
from scripts.database.request import read_ring
from scripts.database.roles import administered, ensure_app_role
from scripts.mirror.install import probe
from scripts.tables import mirroring, structure
from scripts.tables.cells import Reader, Row, open_table
from scripts.tables.tokens import LAST_TOKEN, LEAST_TOKEN, TokenRange
from scripts.tables.wire import raw_session
from tests.system.checker_ring import DATACENTER, Node, Ring

KEYSPACE, OLD, NEW = "shop", "item", "item_r2"
CREATE = (
    f"CREATE TABLE {KEYSPACE}.{OLD} (shop text, id int, shelf text static, name text, description text, quantity int,"
    " tags set<text>, prices map<text, int>, size frozen<list<int>>, place measure, gone text, PRIMARY KEY (shop, id))"
    " WITH CLUSTERING ORDER BY (id DESC)"
)
SHARED = {"shelf": "text", "name": "text", "prices": "map<text, int>", "size": "frozen<list<int>>", "place": "measure"}
OLD_COLUMNS = {"shop": "text", "id": "int", **SHARED, "description": "text", "quantity": "int", "tags": "set<text>",
               "gone": "text"}  # fmt: skip
NEW_COLUMNS = {"shop": "text", "id": "int", **SHARED, "summary": "text", "quantity": "bigint", "labels": "set<text>",
               "category": "text"}  # fmt: skip
PAIRS = {**{name: name for name in SHARED}, "description": "summary", "quantity": "quantity", "tags": "labels"}
ALONE = {OLD: "gone", NEW: "category"}
SHOPS, IDS = 25, 40
WHOLE_SECONDS = 240
EXPIRY_SLACK = 3  # seconds: what is left of a life is told in whole seconds, at two moments
Types = dict[str, str]  # CQL types by column
WHOLE = TokenRange(LEAST_TOKEN, LAST_TOKEN)


def data_document() -> dict[str, Any]:
    """The data document: renamed, wider, added with a default, dropped, and all that is the same."""
    return {
        "keyspace": KEYSPACE, "release": "r2-laboratory", "number": 2, "mirror": "trigger", "created": [],
        "names": {"item": NEW}, "previous_names": {"item": OLD},
        "tables": [{
            "name": "item", "source": OLD, "target": NEW, "key": ["shop", "id"], "partition": ["shop"],
            "source_columns": OLD_COLUMNS, "target_columns": NEW_COLUMNS, "statics": ["shelf"], "dropped": ["gone"],
            "pairs": [{"source": old, "target": new, "from": OLD_COLUMNS[old], "to": NEW_COLUMNS[new]}
                      for old, new in PAIRS.items()],
            "added": [{"target": "category", "type": "text", "default": "general"}],
        }],
    }  # fmt: skip


def mappings() -> list[dict[str, Any]]:
    """What every node is told: both directions, and the probe's."""

    def one(
        table: str, twin: str, pairs: dict[str, str], here: dict[str, str], there: dict[str, str]
    ) -> dict[str, Any]:
        columns = [{"from": a, "to": b, "type": here[a], "twin_type": there[b]} for a, b in pairs.items()]
        defaults = [{"column": "category", "type": "text", "value": "general"}] if table == OLD else []
        return {"keyspace": KEYSPACE, "table": table, "twin": twin, "columns": columns, "defaults": defaults,
                "dropped": [ALONE[table]]}  # fmt: skip

    back = {new: old for old, new in PAIRS.items()}
    return [
        one(OLD, NEW, PAIRS, OLD_COLUMNS, NEW_COLUMNS),
        one(NEW, OLD, back, NEW_COLUMNS, OLD_COLUMNS),
        probe(KEYSPACE),
    ]


def require_logins(ring: Ring) -> None:
    """Have the ring's nodes ask for roles and rights, as the product's do; before they start."""
    for node in ring.nodes:
        path = node.folder / "cassandra.yaml"
        text = path.read_text("utf-8").replace("AllowAllAuthenticator", "PasswordAuthenticator")
        path.write_text(text.replace("AllowAllAuthorizer", "CassandraAuthorizer"), "utf-8")


def configure(node: Node) -> None:
    """Give a node the mappings, as evenkeel-mirror would."""
    for mapping in mappings():
        (node.mirror / f"{mapping['keyspace']}.{mapping['table']}.json").write_text(json.dumps(mapping), "utf-8")


class MirrorLab:
    """The pair of tables on a running ring, and those who write to it."""

    def __init__(self, ring: Ring, replicas: int = 3) -> None:
        self.ring = ring
        self.document: dict[str, Any] = {
            "ring": {"contact_points": ring.addresses, "datacenter": DATACENTER, "admin_password": "laboratory"},
            "data": data_document(),
        }
        self.request: RingRequest = read_ring(self.document["ring"])
        self.replicas = replicas
        self.clock = count(time.time_ns() // 1000)
        self.failed: list[str] = []

    def make(self) -> None:
        """Make keyspace and old table, and give every node its mappings; not before the nodes have met."""
        self.wait_until_whole()
        with administered(self.request) as session:
            for keyspace in (KEYSPACE, "system_auth"):
                verb = "CREATE KEYSPACE IF NOT EXISTS" if keyspace == KEYSPACE else "ALTER KEYSPACE"
                options = f"{{'class': 'NetworkTopologyStrategy', '{DATACENTER}': {self.replicas}}}"
                session.execute(f"{verb} {keyspace} WITH replication = {options}", timeout=60)
            session.execute(f"CREATE TYPE {KEYSPACE}.measure (width int, unit text)", timeout=60)
            session.execute(CREATE, timeout=60)
            ensure_app_role(session, self.request, "laboratory-app")
        for node in self.ring.nodes:
            configure(node)

    def wait_until_whole(self) -> None:
        """Return once every node sees every other one up."""
        end, nodes = time.monotonic() + WHOLE_SECONDS, self.ring.nodes
        while any(self.ring.nodetool(node.number, "status").count("UN ") < len(nodes) for node in nodes):
            assert time.monotonic() < end, "the nodes do not see each other"
            time.sleep(2)

    def verb(self, function: Callable[[Any], dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Do a verb of scripts.tables."""
        return function({**self.document, **more})

    def pair(self) -> None:
        """Make the new table and mirror both ways."""
        self.verb(structure.create)
        self.verb(mirroring.mirror, direction="forward", on=True)
        self.verb(mirroring.mirror, direction="reverse", on=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session as the administrator."""
        with connected(self.request, Login(ADMIN, self.request.admin_password)) as session:
            yield session

    def write(self, operations: int, clients: int = 8, seed: int = 1) -> float:
        """Do so many random operations, half on each table; return operations per second."""
        begin = time.monotonic()
        with self.session() as session:
            todo = count()
            workers = [
                threading.Thread(target=self._client, args=(session, todo, operations, seed * 100 + number))
                for number in range(clients)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        return operations / (time.monotonic() - begin)

    def _client(self, session: Session, todo: Iterator[int], operations: int, seed: int) -> None:
        chance = random.Random(seed)
        while next(todo) < operations:
            statement = operation(chance, chance.choice((OLD, NEW)), next(self.clock))
            try:
                session.execute(statement, timeout=60)
            except Exception as error:
                self.failed.append(f"{statement}: {error}")

    def differences(self) -> list[str]:
        """Hold the tables against each other, every cell; return what differs, in words."""
        with self.session() as session:
            raw = raw_session(session)
            old, new = (self._read(raw, session, name) for name in (OLD, NEW))
        wrong = []
        for key in sorted({*old, *new}, key=repr):
            here, there = old.get(key), new.get(key)
            if here is None or there is None:
                # A row that only a column without a counterpart keeps is no difference.
                cells, alone = (there, NEW) if here is None else (here, OLD)
                if cells is not None and set(cells) != {ALONE[alone]}:
                    wrong.append(f"{key}: only in {alone}: {cells}")
                continue
            mapped = {new_name: here[name] for name, new_name in PAIRS.items() if name in here}
            seen = {name: cells for name, cells in there.items() if name != ALONE[NEW]}
            if plain(mapped) != plain(seen):
                wrong.append(f"{key}: {mapped} / {seen}")
            elif not all(alike(mapped[name], seen[name]) for name in mapped):
                wrong.append(f"{key}: they end at different times: {mapped} / {seen}")
        return wrong

    def _read(self, raw: Session, session: Session, name: str) -> dict[Any, dict[str, Any]]:
        """Return {key: {column: {path: (value, timestamp, expiry)}}}."""
        reader = Reader(raw, open_table(session, KEYSPACE, name), consistency=ConsistencyLevel.ALL)
        rows: list[Row] = [*reader.rows(WHOLE), *reader.partitions(WHOLE)]
        now = int(time.time())
        return {
            (row.partition, row.clustering): {
                column: {cell.path: (widened(column, name, cell.value), cell.timestamp, cell.ttl and now + cell.ttl)
                         for cell in cells}
                for column, cells in row.cells.items()
            }
            for row in rows
        }  # fmt: skip


def widened(column: str, table: str, value: bytes) -> bytes:
    """Return an old quantity as the new table has it."""
    if column == "quantity" and table == OLD:
        return int.from_bytes(value, "big", signed=True).to_bytes(8, "big", signed=True)
    return value


def plain(columns: dict[str, dict[Any, Any]]) -> dict[Any, Any]:
    """Return values and write times, without when they end."""
    return {
        (name, path): (value, written, ends is None)
        for name, cells in columns.items()
        for path, (value, written, ends) in cells.items()
    }


def alike(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Tell whether cells end at the same moment."""
    return all(ends is None or abs(ends - other[path][2]) <= EXPIRY_SLACK for path, (_, _, ends) in one.items())


def operation(chance: random.Random, table: str, timestamp: int) -> str:
    """Return a random statement for one of the tables."""
    shop, number, word = f"s{chance.randrange(SHOPS)}", chance.randrange(IDS), f"w{chance.randrange(1000)}"
    text, tags = ("description", "tags") if table == OLD else ("summary", "labels")
    life = f" AND TTL {chance.choice((20, 300, 4000))}" if chance.random() < 0.2 else ""
    using, where = f"USING TIMESTAMP {timestamp}", f"WHERE shop = '{shop}' AND id = {number}"
    item = f"{KEYSPACE}.{table}"
    update = f"UPDATE {item} {using}{life} SET"
    amount = chance.randrange(-(2**31), 2**31)
    return chance.choices(
        [
            f"INSERT INTO {item} (shop, id, name, {text}, quantity, {tags}) VALUES ('{shop}', {number}, '{word}',"
            f" '{word}', {amount}, {{'a', '{word}'}}) {using}{life}",
            f"{update} name = '{word}', quantity = {amount} {where}",
            f"{update} {text} = '{word}', size = [{number}, 1] {where}",
            f"{update} {tags} = {tags} + {{'{word[:2]}', 'x'}}, prices['{word[:2]}'] = {number} {where}",
            f"{update} {tags} = {tags} - {{'x', 'a'}} {where}",
            f"{update} {tags} = {{'{word}'}}, prices = {{'p': 1, '{word}': 2}} {where}",
            f"{update} place.width = {number} {where}",
            f"{update} place = {{width: {number}, unit: '{word}'}} {where}",
            f"{update} shelf = '{word}' WHERE shop = '{shop}'",
            f"DELETE {text}, prices FROM {item} {using} {where}",
            f"DELETE FROM {item} {using} {where}",
            f"DELETE FROM {item} {using} WHERE shop = '{shop}' AND id > {number} AND id <= {number + 5}",
            f"DELETE FROM {item} {using} WHERE shop = '{shop}'",
        ],
        weights=[30, 15, 10, 10, 6, 5, 4, 3, 4, 4, 6, 2, 1],
    )[0]
