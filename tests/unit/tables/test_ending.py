"""How a table ends: in which order, what it waits for, what keeps it; on a real ring in tests/system/test_mirror.py."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cassandra import OperationTimedOut

from scripts.tables import ending
from scripts.tables.ending import drop, droppable
from scripts.tables.errors import MisuseError, Refused, TablesError
from scripts.tables.nodes import with_hints
from tests.system.mirror_lab import data_document

RING = {"contact_points": ["127.0.0.1"], "datacenter": "dc1", "admin_password": "x"}
TAG = {"name": "tag", "target": "tag_r2", "key": ["id"], "partition": ["id"], "columns": {"id": "uuid"}}
Kept = namedtuple("Kept", "address files")
Pool = namedtuple("Pool", "active_tasks pending_tasks")


class Ring:
    """Records what is done, in order; time passes only where it is waited for."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.tables = {"item", "item_r2", "tag_r2"}
        self.now = 0.0
        self.validity = 10.0
        self.hints: Callable[[float], list[str]] = lambda now: []  # the nodes that have some at a moment

    def execute(self, statement: str) -> None:
        self.done.append(statement)

    def change(self, _: Any, statement: str) -> None:
        self.done.append(statement)
        if statement.startswith("DROP TABLE"):
            self.tables.discard(statement.rpartition(".")[2])

    def settle(self, _: Any, __: str, tables: list[str]) -> float:
        self.done.append(f"settle {' '.join(tables)}")
        self.sleep(2.5)
        return 2.5

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring()

    @contextmanager
    def connected(*_: Any) -> Iterator[Ring]:
        yield ring

    def look(_: Any) -> list[str]:
        found = ring.hints(ring.now)
        ring.done.append(f"hints at {ring.now:.1f}: {' '.join(found) or 'none'}")
        return found

    for name, stand_in in {
        "connected": connected,
        "require_whole": lambda *_: None,
        "exists": lambda _, __, table: table in ring.tables,
        "drop_trigger": lambda _, __, table: ring.done.append(f"detach {table}"),
        "settle": ring.settle,
        "change": ring.change,
        "with_hints": look,
        "longest": lambda *_: ring.validity,
    }.items():
        monkeypatch.setattr(ending, name, stand_in)
    monkeypatch.setattr(ending.time, "monotonic", lambda: ring.now)
    monkeypatch.setattr(ending.time, "sleep", ring.sleep)
    return ring


def asked(**more: Any) -> dict[str, Any]:
    return {"ring": RING, "data": data_document(), **more}


def without_looks(ring: Ring) -> list[str]:
    return [each for each in ring.done if not each.startswith("hints")]


@pytest.mark.parametrize(("which", "going", "staying"), [("source", "item", "item_r2"), ("target", "item_r2", "item")])
def test_what_is_written_late_to_a_table_that_goes_reaches_the_other_until_no_right_is_left(
    ring: Ring, which: str, going: str, staying: str
) -> None:
    assert drop(asked(which=which)) == {"dropped": [going]}
    assert without_looks(ring) == [
        f"detach {staying}",
        *(f"REVOKE {right} ON TABLE shop.{going} FROM app" for right in ("SELECT", "MODIFY")),
        f"settle {staying}",
        f"detach {going}",
        f"settle {going}",
        f"DROP TABLE IF EXISTS shop.{going}",
    ]


@pytest.mark.parametrize(("validity", "seconds"), [(2.0, 12.5), (10.0, 12.5), (50.0, 50.0)])
def test_the_mirror_out_of_a_table_ends_only_when_nodes_have_forgotten_the_right_and_would_have_shown_hints(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, validity: float, seconds: float
) -> None:
    ring.validity = validity
    detached: dict[str, float] = {}
    monkeypatch.setattr(ending, "drop_trigger", lambda _, __, table: detached.setdefault(table, ring.now))
    drop(asked(which="source"))
    assert detached["item"] - detached["item_r2"] >= seconds
    assert ring.now < 2 * 2.5 + seconds + 2.0


def test_a_table_is_dropped_only_after_a_time_without_hints(ring: Ring) -> None:
    ring.hints = lambda now: ["10.0.0.3"] if 5.0 < now < 20.0 else []
    drop(asked(which="source"))
    gone = ring.done.index("detach item")
    assert ring.done[gone - 1].startswith("hints at 3") and ring.now > 20.0 + 12.5


def test_where_hints_stay_the_table_stays(ring: Ring) -> None:
    ring.hints = lambda now: ["10.0.0.3"]
    with pytest.raises(TablesError, match=r"^10\.0\.0\.3 may keep writes .* the tables stay") as failed:
        drop(asked(which="source"))
    assert not isinstance(failed.value, Refused), "something was changed"
    assert ring.tables == {"item", "item_r2", "tag_r2"} and "detach item" not in ring.done


def test_before_anything_is_touched_hints_are_waited_for_a_while_and_then_refuse(ring: Ring) -> None:
    ring.hints = lambda now: ["10.0.0.3"] if now < 30.0 else []
    assert droppable(asked()) == {}
    ring.hints = lambda now: ["10.0.0.3"]
    with pytest.raises(Refused, match="try again in a minute"):
        droppable(asked())
    assert without_looks(ring) == []


def test_rights_that_live_on_for_longer_than_a_drop_waits_are_refused_before_anything_is_touched(ring: Ring) -> None:
    ring.validity = 7_200.0
    with pytest.raises(Refused, match="allows a revoked right for 7200 s"):
        droppable(asked())
    assert ring.done == []


@pytest.mark.parametrize(("which", "dropped"), [("target", ["item_r2", "tag_r2"]), ("source", ["item"])])
def test_tables_that_were_made_from_nothing_go_with_the_new_ones(ring: Ring, which: str, dropped: list[str]) -> None:
    data = data_document() | {"created": [TAG]}
    assert drop({"ring": RING, "data": data, "which": which}) == {"dropped": dropped}


def test_without_a_mirror_nothing_is_waited_for(ring: Ring) -> None:
    data = data_document() | {"mirror": "scan"}
    assert droppable({"ring": RING, "data": data}) == {}
    assert drop({"ring": RING, "data": data, "which": "source"}) == {"dropped": ["item"]}
    assert ring.now == 0.0 and not [each for each in ring.done if each.startswith(("detach", "hints"))]


def test_it_may_be_done_again(ring: Ring) -> None:
    drop(asked(which="source"))
    assert drop(asked(which="source")) == {"dropped": []}


@pytest.mark.parametrize("which", [None, "both", ""])
def test_a_side_that_does_not_exist_is_misuse_before_anything_is_asked(which: str | None) -> None:
    with pytest.raises(MisuseError, match="drop takes"):
        drop(asked(which=which))


class Nodes:
    """A session whose nodes have hints and dispatchers as told; None where a node does not answer."""

    def __init__(self, told: dict[str, tuple[list[Kept], list[Pool]] | None]) -> None:
        self.told = told
        self.cluster = self.metadata = self

    def all_hosts(self) -> list[Any]:
        return [namedtuple("Host", "address")(address) for address in self.told]

    def execute(self, query: str, host: Any, timeout: float) -> list[Any]:
        found = self.told[host.address]
        if found is None:
            raise OperationTimedOut
        return list(found["thread_pools" in query])


def test_a_node_has_hints_while_it_lists_them_hands_them_over_or_does_not_say() -> None:
    idle = [Pool(0, 0)]
    told: dict[str, tuple[list[Kept], list[Pool]] | None] = {
        "10.0.0.1": ([], idle),
        "10.0.0.2": ([Kept("10.0.0.1", 2)], idle),
        "10.0.0.3": ([], [Pool(1, 0)]),
        "10.0.0.4": None,
        "10.0.0.5": ([Kept(None, 3), Kept("10.0.0.1", 0)], idle),  # for a node that has left; unreadable files only
    }
    session: Any = Nodes(told)
    assert with_hints(session) == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
