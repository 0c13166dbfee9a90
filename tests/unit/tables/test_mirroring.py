"""Turning the mirror on and off: what is said and how long it waits; on a real ring in tests/system/test_mirror.py."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra.cluster import NoHostAvailable

from scripts.tables import mirroring
from scripts.tables.errors import MisuseError, Refused, TablesError
from scripts.tables.mirroring import SLOWEST_SECONDS, counted, in_words, mirror, seconds_of
from tests.system.mirror_lab import data_document

RING = {"contact_points": ["127.0.0.1"], "datacenter": "dc1", "admin_password": "x"}


@pytest.mark.parametrize(("told", "seconds"), [("2000ms", 2.0), ("2s", 2.0), ("1m", 60.0), ("2 days", SLOWEST_SECONDS)])
def test_a_nodes_own_time_out_decides_how_long_writes_may_be_under_way(told: str, seconds: float) -> None:
    assert seconds_of(told) == seconds


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'code=0000 [Server error] message="evenkeel.Mirror: there is no mapping of a.b on this node"',
            "there is no mapping of a.b on this node",
        ),
        (
            'code=0000 [Server error] message="java.lang.RuntimeException: Exception while executing trigger on table"',
            "its Cassandra cannot load the mirror's program",
        ),
        ("code=1100 [Coordinator node timed out]", "code=1100 [Coordinator node timed out]"),
    ],
)
def test_a_node_that_does_not_mirror_is_told_in_its_own_words(said: str, words: str) -> None:
    assert in_words(RuntimeError(said)) == words
    assert in_words(NoHostAvailable("no host", {"127.0.0.1:9042": RuntimeError(said)})) == words


class Nodes:
    """A ring whose nodes are up or down; `lost` goes away while triggers change."""

    def __init__(self, lost: str) -> None:
        self.all, self.up, self.lost = ["10.0.0.1", "10.0.0.2"], {"10.0.0.1", "10.0.0.2"}, lost
        self.cluster = SimpleNamespace(
            metadata=SimpleNamespace(all_hosts=lambda: [SimpleNamespace(address=one) for one in self.all])
        )

    def settle(self, *_: Any) -> float:
        self.up -= {self.lost}
        return 3.0


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("lost", ["", "10.0.0.2"])
def test_a_node_that_goes_away_while_triggers_change_fails_it(
    monkeypatch: pytest.MonkeyPatch, on: bool, lost: str
) -> None:
    nodes = Nodes(lost)
    ring = {**RING, "contact_points": ["10.0.0.1"]}
    monkeypatch.setattr(mirroring, "connected", lambda *_: nullcontext(nodes))
    monkeypatch.setattr(mirroring, "addresses_up", lambda session: set(session.up))
    monkeypatch.setattr(mirroring, "agree", lambda session: True)
    for name in ("try_nodes", "create_trigger", "drop_trigger"):
        monkeypatch.setattr(mirroring, name, lambda *_: None)
    monkeypatch.setattr(mirroring, "settle", nodes.settle)
    asked = {"ring": ring, "data": data_document(), "direction": "forward", "on": on}
    if not lost:
        assert mirror(asked)["settled_seconds"] == 3.0
        return
    with pytest.raises(TablesError, match=r"triggers were changed, but .* node 10\.0\.0\.2 is down") as caught:
        mirror(asked)
    assert not isinstance(caught.value, Refused), "refused means that nothing was changed"


def test_nodes_are_counted() -> None:
    assert counted(["10.0.0.1"]) == "node 10.0.0.1 is"
    assert counted(["10.0.0.1", "10.0.0.2"]) == "nodes 10.0.0.1, 10.0.0.2 are"


@pytest.mark.parametrize("asked", [{}, {"direction": "sideways", "on": True}, {"direction": "forward", "on": "yes"}])
def test_a_direction_that_does_not_exist_is_misuse_before_anything_is_asked(asked: dict[str, Any]) -> None:
    with pytest.raises(MisuseError, match="mirror takes"):
        mirror({"ring": RING, "data": data_document(), **asked})


def test_each_table_is_asked_for_its_own_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"item": {mirroring.TRIGGER: mirroring.CLASS}, "item_r2": {"somebody_elses": "a.Class"}}
    monkeypatch.setattr(mirroring, "connected", lambda *_: nullcontext())
    monkeypatch.setattr(mirroring, "triggers", lambda _, keyspace, table: found[table])
    asked = {"ring": RING, "data": data_document()}
    assert mirroring.mirrored(asked) == {"tables": {"item": True, "item_r2": False}}
