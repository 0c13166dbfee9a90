"""evenkeel-traffic moves users all or nothing, in the right order, for the newest holder only, and back by itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.unit.cli.programs import load_tool
from tests.unit.host.haproxy import FakeHaproxy

BLUE = {"a-blue": {"state": "ready"}, "b-blue": {"state": "ready"}}
NOT_BLUE = {"a-blue": {"state": "drain"}, "b-blue": {"state": "drain"}}
GREEN = {"a-green": {"state": "ready"}, "b-green": {"state": "ready"}}
LIVE = {"version": "1.0.0", "sha256": "0", "slot": "blue"}


@pytest.fixture
def haproxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHaproxy:
    import evenkeel_haproxy
    import evenkeel_routing

    fake = FakeHaproxy(dict.fromkeys(("a-blue", "a-green", "b-blue", "b-green"), "maint"))
    monkeypatch.setattr(evenkeel_haproxy, "FOLDER", str(tmp_path))
    monkeypatch.setattr(evenkeel_haproxy, "ask", fake.ask)
    monkeypatch.setattr(evenkeel_routing, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(returncode=0))
    return fake


@pytest.fixture
def routing(haproxy: FakeHaproxy) -> ModuleType:
    import evenkeel_routing

    module: ModuleType = evenkeel_routing
    module.apply({"token": 1, "turn": 1, "release": "r1", "live": LIVE, "servers": BLUE})
    haproxy.said.clear()
    return module


def order(token: int = 2, turn: int = 1, **more: Any) -> dict[str, Any]:
    return {"token": token, "turn": turn, "release": "r2", **more}


def shift(**more: Any) -> dict[str, Any]:
    return order(servers=GREEN | NOT_BLUE, deadman={"seconds": 30}, **more)


def status(routing: ModuleType, verb: str, document: dict[str, Any]) -> tuple[int, str]:
    """Return the exit status and the sentence of a refused order."""
    with pytest.raises(routing.RefusedError) as refusal:
        getattr(routing, verb)(document)
    return refusal.value.status, str(refusal.value)


def test_servers_are_opened_before_others_are_closed(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    routing.apply(shift())
    states = [command.split()[2:5:2] for command in haproxy.said if " state " in command]
    assert [state for _, state in states] == ["ready", "ready", "drain", "drain"]


def test_what_was_applied_is_on_disk_and_in_the_next_start_s_file(routing: ModuleType, tmp_path: Path) -> None:
    routing.apply(order(servers=GREEN | {"a-green": {"state": "ready", "weight": 5}}))
    record = json.loads((tmp_path / "routing.json").read_text())
    assert record["servers"]["a-green"] == {"state": "ready", "weight": 5}
    assert (record["release"], record["live"]) == ("r2", LIVE)
    lines = [line.split() for line in (tmp_path / "servers").read_text().splitlines() if " app " in line]
    assert {line[3]: (line[6], line[7]) for line in lines} == {
        "a-blue": ("4", "100"), "a-green": ("4", "5"), "b-blue": ("4", "100"), "b-green": ("4", "100"),
    }  # fmt: skip


def test_a_server_that_the_file_does_not_name_starts_closed(haproxy: FakeHaproxy) -> None:
    import evenkeel_haproxy

    haproxy.states["a-blue"] = "ready"
    text = evenkeel_haproxy.routed(haproxy.table().splitlines(), {}, fresh=True)
    assert {line.split()[6] for line in text.splitlines() if " app " in line} == {"5"}


def test_after_a_kill_open_servers_are_tried_though_they_were_last_seen_down(haproxy: FakeHaproxy) -> None:
    import evenkeel_haproxy

    haproxy.down = set(haproxy.states)
    wanted = {"a-blue": {"state": "ready", "weight": 100}}
    text = evenkeel_haproxy.routed(haproxy.table().splitlines(), wanted, fresh=False)
    assert {tuple(line.split()[1:6:2]) for line in text.splitlines() if " a-blue " in line} == {
        ("app", "a-blue", "2"),
        ("app_blue", "a-blue", "2"),
    }


def test_an_older_holder_is_refused_and_changes_nothing(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    routing.apply(shift())
    before = dict(haproxy.states)
    code, sentence = status(routing, "apply", order(1, 9, servers=BLUE))
    assert (code, haproxy.states) == (4, before)
    assert sentence == "token 1 turn 9 is older than token 2 turn 1, which was here last"
    assert status(routing, "revert", order(2, 0))[0] == 4
    assert status(routing, "renew", order(2, 0, seconds=9))[0] == 4


def test_the_last_server_that_is_up_cannot_be_closed_but_by_force(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    haproxy.down = {"a-green", "b-green"}
    assert status(routing, "apply", shift())[0] == 5
    assert haproxy.said == []
    assert not Path(routing.haproxy.FOLDER, "deadman.json").exists()
    routing.apply(shift(force=True))
    assert haproxy.states["a-blue"] == "drain"


def test_what_haproxy_refuses_is_put_back(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    before = dict(haproxy.states)
    haproxy.refuses = "app/b-blue state drain"
    assert status(routing, "apply", shift())[1] == "HAProxy refuses: No such server."
    assert haproxy.states == before


def test_a_bad_order_is_refused_by_name(routing: ModuleType) -> None:
    assert "no server 'z-blue' here" in status(routing, "apply", order(servers={"z-blue": {"state": "ready"}}))[1]
    assert "server a-blue" in status(routing, "apply", order(servers={"a-blue": {"state": "up"}}))[1]
    assert "server a-blue" in status(routing, "apply", order(servers={"a-blue": {"state": "ready", "weight": 257}}))[1]
    assert status(routing, "apply", {"token": 3, "turn": 1})[0] == 2


def late(tmp_path: Path) -> None:
    """Let the deadline pass."""
    path = tmp_path / "deadman.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"until": 0.0}))


def test_without_renewal_users_go_back_to_the_routing_from_before(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    before = dict(haproxy.states)
    routing.apply(order(servers=GREEN, deadman={"seconds": 30}))
    routing.apply(shift(turn=2))
    routing.expire()
    assert haproxy.states["a-blue"] == "drain", "the deadline has not passed"
    late(tmp_path)
    routing.expire()
    assert haproxy.states == before
    now = routing.state()
    assert (now["routing"]["release"], now["routing"]["live"], now["deadman"]["fired"]) == ("r1", LIVE, True)


def test_a_release_whose_timer_fired_is_refused_until_it_takes_the_lock_anew(
    routing: ModuleType, tmp_path: Path
) -> None:
    routing.apply(shift())
    late(tmp_path)
    routing.expire()
    for verb, more in (("apply", {"servers": GREEN}), ("renew", {"seconds": 5}), ("confirm", {"live": LIVE})):
        assert status(routing, verb, order(2, 2, **more))[0] == 6, verb
    assert routing.apply(shift() | {"token": 3})["deadman"]["fired"] is False


def test_a_late_renewal_and_a_confirmation_keep_the_new_routing(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    routing.apply(shift())
    late(tmp_path)
    assert routing.renew(order(seconds=30))["deadman"]["remaining"] > 29
    routing.expire()
    assert haproxy.states["a-green"] == "ready"
    done = routing.confirm(order(live=LIVE | {"version": "2.0.0", "slot": "green"}))
    assert (done["deadman"], done["routing"]["live"]["slot"]) == (None, "green")


def test_the_timer_holds_while_no_old_server_is_up_and_says_so(
    routing: ModuleType, haproxy: FakeHaproxy, tmp_path: Path
) -> None:
    routing.apply(shift())
    late(tmp_path)
    haproxy.down = {"a-blue", "b-blue"}
    routing.expire()
    assert haproxy.states["a-green"] == "ready"
    assert routing.state()["deadman"]["held"].startswith("none of the servers from before the release is up")
    assert status(routing, "revert", order())[0] == 5
    haproxy.down = {"b-blue"}
    routing.expire()
    assert (haproxy.states["a-green"], haproxy.states["a-blue"]) == ("maint", "ready")


def test_revert_goes_back_at_once_and_a_second_time_changes_nothing(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    before = dict(haproxy.states)
    routing.apply(shift())
    assert routing.revert(order(2, 9))["reverted"] is True
    assert haproxy.states == before
    again = routing.revert(order(2, 9))
    assert (again["reverted"], again["deadman"], haproxy.states) == (False, None, before)


def test_after_a_reboot_the_deadline_is_the_wall_clock_s(routing: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    routing.apply(shift())
    monkeypatch.setattr(routing.deadman, "boot", lambda: "another")
    assert 28 < routing.state()["deadman"]["remaining"] <= 30


def test_a_first_release_has_nothing_to_return_to(haproxy: FakeHaproxy) -> None:
    import evenkeel_routing

    assert evenkeel_routing.apply(shift())["deadman"] is None


def test_a_change_by_hand_outlives_a_restart(routing: ModuleType, haproxy: FakeHaproxy) -> None:
    routing.set_one("b-blue", {"state": "drain"})
    haproxy.states = dict.fromkeys(haproxy.states, "maint")
    routing.restore()
    assert haproxy.states == {"a-blue": "ready", "b-blue": "drain", "a-green": "maint", "b-green": "maint"}


def test_show_tells_state_weight_and_health_of_each_server(
    routing: ModuleType, haproxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    load_tool("evenkeel-traffic").main(["show"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["a-blue"] == {"state": "ready", "weight": 100, "up": True}
    assert shown["a-green"]["state"] == "maint"


def test_an_order_comes_on_standard_input(
    routing: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = load_tool("evenkeel-traffic")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(shift())))
    tool.main(["apply"])
    assert json.loads(capsys.readouterr().out)["deadman"]["release"] == "r2"
    monkeypatch.setattr("sys.stdin", io.StringIO("{"))
    with pytest.raises(routing.RefusedError, match="standard input is not JSON"):
        tool.main(["apply"])


def test_who_listens_answers_each_line_and_a_refusal_ends_nothing(
    routing: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        json.dumps({"verb": "state", "order": None}),
        json.dumps({"verb": "apply", "order": shift()}),
        json.dumps({"verb": "renew", "order": {"token": 0, "turn": 0, "seconds": 5}}),
        json.dumps({"verb": "thaw", "order": None}),
        "{",
        json.dumps({"verb": "state"}),
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    load_tool("evenkeel-traffic").main(["listen"])
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["status"] for each in told] == [0, 0, routing.OLDER, 2, 2, 0]
    assert told[0]["answer"]["deadman"] is None and told[5]["answer"]["deadman"]["release"] == "r2"
    assert "is older than token" in told[2]["said"] and "'thaw' is none of state, apply" in told[3]["said"]


def access(server: str, status: int, milliseconds: int, backend: str = "app") -> str:
    return json.dumps({"backend": backend, "server": server, "status": status, "Ta": milliseconds})


def test_samples_count_users_requests_by_server() -> None:
    import evenkeel_samples

    lines = [
        "Server app_blue/a-blue is DOWN",
        access("a-blue", 200, 5),
        access("a-blue", 503, 7),
        access("a-blue", -1, 9),
        access("a-green", 404, 3),
        access("a-green", 200, 1, backend="app_green"),
        access("<NOSRV>", 503, 0),
    ]
    assert evenkeel_samples.summed(lines) == {
        "a-blue": {"requests": 3, "errors": 2, "times_ms": [5, 7]},
        "a-green": {"requests": 1, "errors": 0, "times_ms": [3]},
    }
