"""evenkeel-traffic has writes wait for a release, and lets them through again by itself, but never to two versions."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.host.haproxy import FakeHaproxy
from tests.unit.host.test_traffic import BLUE, GREEN, LIVE, NOT_BLUE, haproxy, late, order, routing, status

__all__ = ["haproxy", "routing"]  # fixtures


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import evenkeel_freeze

    monkeypatch.setattr(evenkeel_freeze, "older_processes", lambda: [])


def freeze(**more: Any) -> dict[str, Any]:
    return order(**{"servers": {}, "freeze": 12, "deadman": {"seconds": 30}, **more})


def test_a_freeze_is_in_haproxy_and_on_disk_and_touches_no_server(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    said = routing.apply(freeze())
    assert haproxy.said == ["freeze.map {'writes': '12'}"]
    assert said["writes"] == {"frozen": True, "under_way": 0}
    assert (tmp_path / "freeze.map").read_text() == "writes 12\n"
    assert json.loads((tmp_path / "routing.json").read_text())["frozen"]["release"] == "r2"


def test_writes_under_way_and_older_processes_are_counted(
    routing: ModuleType, haproxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    haproxy.under_way = 3
    assert routing.apply(freeze())["writes"]["under_way"] == 3
    monkeypatch.setattr(routing.freezing, "older_processes", lambda: [77])
    assert routing.state()["writes"]["under_way"] == 4


def test_only_workers_of_the_same_master_are_older_processes(
    routing: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    import evenkeel_freeze

    known = {1: ("haproxy", 9), 2: ("haproxy", 9), 3: ("haproxy", 8), 4: ("sshd", 9)}
    monkeypatch.setattr(evenkeel_freeze, "processes", lambda: iter(known.items()))
    monkeypatch.setattr("evenkeel_haproxy.ask", lambda _: "Name: HAProxy\nPid: 1\n")
    assert evenkeel_freeze.older_processes() == [2]


def test_a_freeze_outlives_a_restart(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    routing.apply(freeze())
    haproxy.maps["freeze.map"] = {}
    routing.restore()
    assert haproxy.frozen


def test_without_a_routing_a_start_finds_an_empty_map(haproxy: FakeHaproxy, tmp_path: Path) -> None:
    import evenkeel_routing

    evenkeel_routing.restore()
    assert (tmp_path / "freeze.map").read_text() == ""


def test_a_configuration_that_cannot_freeze_says_so(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    haproxy.maps = {"versions.map": {}}
    assert "cannot let writes wait" in status(routing, "apply", freeze())[1]


def test_a_dead_deployer_s_freeze_ends_by_itself(routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path) -> None:
    routing.apply(freeze())
    routing.expire()
    assert haproxy.frozen, "the deadline has not passed"
    late(tmp_path)
    routing.expire()
    assert not haproxy.frozen and haproxy.states["a-blue"] == "ready"
    assert routing.state()["routing"]["frozen"] is None


def test_users_who_were_moved_are_back_before_their_writes_go_on(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    routing.apply(freeze())
    routing.apply(order(2, 2, servers=GREEN | NOT_BLUE, deadman={"seconds": 30}))
    assert haproxy.frozen, "moving users ends no freeze"
    haproxy.said.clear()
    late(tmp_path)
    routing.expire()
    assert haproxy.states["a-blue"] == "ready" and haproxy.said[-1] == "freeze.map {}"


def test_writes_go_nowhere_while_users_were_moved_and_cannot_be_taken_back(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    routing.apply(freeze())
    routing.apply(order(2, 2, servers=GREEN | NOT_BLUE, deadman={"seconds": 30}))
    haproxy.down = {"a-blue", "b-blue"}
    late(tmp_path)
    routing.expire()
    assert haproxy.frozen and haproxy.states["a-green"] == "ready"


def test_where_nobody_was_moved_writes_go_on_even_with_every_server_down(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    routing.apply(freeze())
    haproxy.down = set(haproxy.states)
    late(tmp_path)
    routing.expire()
    assert not haproxy.frozen


def test_confirmed_writes_wait_until_they_are_let_through(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    routing.apply(freeze())
    routing.apply(order(2, 2, servers=GREEN | NOT_BLUE, deadman={"seconds": 30}))
    done = routing.confirm(order(2, 3, live=LIVE | {"slot": "green"}))
    assert done["deadman"] is None and haproxy.frozen
    routing.expire()
    assert haproxy.frozen
    assert routing.apply(order(2, 3, servers={}, freeze=None))["writes"]["frozen"] is False
    assert haproxy.states["a-green"] == "ready"


def test_whoever_was_replaced_can_neither_freeze_nor_thaw(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    assert status(routing, "apply", freeze(token=0))[0] == 4 and not haproxy.frozen
    routing.apply(freeze())
    assert status(routing, "apply", order(1, 9, servers={}, freeze=None))[0] == 4 and haproxy.frozen


def test_a_person_can_let_writes_through(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    routing.apply(freeze())
    routing.thaw_by_hand()
    assert not haproxy.frozen and routing.state()["routing"]["frozen"] is None


@pytest.mark.parametrize("seconds", [0, 3601, "12", 1.5])
def test_a_bad_freeze_is_refused(routing: ModuleType, haproxy: FakeHaproxy, seconds: Any) -> None:
    assert status(routing, "apply", freeze(freeze=seconds)) == (
        2,
        "freeze must be the seconds of Retry-After, 1 to 3600, or null",
    )
    assert not haproxy.frozen and routing.apply(order(servers=BLUE))
