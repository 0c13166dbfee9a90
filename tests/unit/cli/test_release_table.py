"""What `status` and `status --watch` show of a release: its stages, each version's share, requests and errors."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from scripts.cli import commands, facts, watch
from scripts.cli.release_table import release_lines, share_of, shown_release, speed_of, stage_table, traffic_table
from scripts.cli.traffic import parse_counts, parse_traffic, rates
from scripts.cli.watch import screenful

from .routed import NOW, journal, lock, record, routed, state
from .stack import SITES


def drawn(renderable, width=140):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(server, total, errors=0, backend="app"):
    return {"pxname": backend, "svname": server, "stot": str(total), "hrsp_5xx": str(errors)}


def test_nothing_going_on_is_nothing_to_say(inventory):
    assert release_lines(routed(inventory)) == []


def test_a_release_in_progress_is_told_with_lock_gate_hold_and_timers(inventory):
    waiting = {"gate": "person", "until": NOW + 3600}
    hold = {"who": "ada@desk", "reason": "sale day"}
    armed = state() | {"deadman": {"release": "r2", "remaining": 21.6, "fired": False, "held": None}}
    known = journal(current=record(waiting=waiting, stage="gate"), lock=lock(), hold=hold)
    lines = release_lines(routed(inventory, {"lb-a": armed}, known))
    assert lines[0] == "r2-2.0.0: 1.0.0 -> 2.0.0, bluegreen, by root@ci, in progress for 30.0 s"
    assert lines[1] == "waits for `evenkeel confirm` or `evenkeel reject` until 01:16:40 UTC"
    assert lines[2].startswith("the lock is held by root@ci since ")
    assert "ada@desk: sale day" in lines[3]
    assert lines[4] == "dead-man timers: lb-a 22 s"


def test_every_stage_has_a_line_as_it_ended_runs_or_is_to_come(inventory):
    stages = [
        {"stage": "preflight", "state": "passed", "seconds": 1.31, "reason": "lock 2", "ended": NOW - 20},
        {"stage": "install-1", "state": "passed", "seconds": 8.0, "reason": "ready on a and b", "ended": NOW - 12},
    ]
    lines = drawn(stage_table(record(stages=stages, stage="smoke-1"), NOW))
    assert lines[1].split() == ["preflight", "passed", "1.3", "lock", "2"]
    assert [line.split() for line in lines[2:5]] == [[name, "skipped"] for name in ("tables", "backfill", "verify")]
    assert lines[6].split() == ["smoke-1", "runs", "12.0"]
    assert lines[7].split() == ["gate", "to", "come"]
    assert [line.split()[0] for line in lines[8:]] == [
        "freeze", "shift-1", "install-2", "smoke-2", "shift-2", "settle", "rollback"
    ]  # fmt: skip


def test_load_balancers_on_which_writes_wait_have_a_line(inventory):
    held = state() | {"writes": {"frozen": True, "under_way": 2}}
    lines = release_lines(routed(inventory, {"lb-b": held}, journal()))
    assert "[yellow]writes wait[/] (503) on lb-b; reads go on" in lines


def test_an_undo_has_the_stages_of_an_undo(inventory):
    lines = drawn(stage_table(record(origin="undo", stage="preflight"), NOW))
    assert [line.split()[0] for line in lines[1:]] == ["preflight", "shift-1", "settle", "rollback"]


def test_a_release_is_shown_while_it_runs_and_for_a_while_after(inventory):
    ended = journal(releases=[record(state="succeeded", ended=NOW - 60)])
    old = journal(releases=[record(state="succeeded", ended=NOW - 600)])
    assert shown_release(routed(inventory, known=journal(current=record())))["id"] == "r2-2.0.0"
    assert shown_release(routed(inventory, known=ended))["id"] == "r2-2.0.0"
    assert shown_release(routed(inventory, known=old)) is None


def test_a_version_s_share_follows_the_weights_over_all_load_balancers(inventory):
    canary = state(**{f"{site}_green": "ready" for site in ("a", "b")})
    for name in ("a-green", "b-green"):
        canary["servers"][name]["weight"] = 11
    shares = share_of(routed(inventory, {f"lb-{site}": canary for site in SITES}))
    assert shares[("2.0.0", "green")] == pytest.approx(22 / 422)
    assert shares[("1.0.0", "blue")] == pytest.approx(400 / 422)


def test_a_server_that_is_down_has_no_share(inventory):
    half = state(a_green="ready")
    half["servers"]["a-green"]["up"] = False
    assert share_of(routed(inventory, {f"lb-{site}": half for site in SITES})) == {
        ("1.0.0", "blue"): pytest.approx(1.0)
    }


def test_requests_and_errors_a_second_are_differences_summed_over_the_load_balancers(inventory):
    before = routed(inventory, statistics=[row("a-blue", 100), row("a-green", 7)], at=10.0)
    after = routed(inventory, statistics=[row("a-blue", 120), row("a-green", 11, 2)], at=12.0)
    assert speed_of(after, before.traffic)[("1.0.0", "blue")] == (40.0, 0.0)
    assert speed_of(after, before.traffic)[("2.0.0", "green")] == (8.0, 4.0)
    table = drawn(traffic_table(after, before.traffic))
    assert table[1].split() == ["1.0.0", "blue", "a", "b", "c", "d", "100", "%", "40.0", "0.0"]
    assert table[2].split() == ["2.0.0", "green", "a", "b", "c", "d", "0", "%", "8.0", "4.0"]


def test_the_first_look_has_no_rates(inventory):
    assert drawn(traffic_table(routed(inventory), {}))[1].split()[-2:] == ["-", "-"]


def test_errors_for_want_of_a_server_are_shown_apart(inventory):
    before = routed(inventory, statistics=[row("BACKEND", 10, 0)], at=0.0)
    after = routed(inventory, statistics=[row("a-blue", 0, 1), row("BACKEND", 30, 11)], at=10.0)
    assert drawn(traffic_table(after, before.traffic))[-1].split() == ["no", "server", "4.0"]


def test_counts_of_users_and_of_requests_that_name_a_version_are_one_server_s():
    counts = parse_counts([row("a-blue", 5, 1), row("a-blue", 2, 1, "app_blue"), row("x", 9, 9, "other")])
    assert (counts["a-blue"].requests, counts["a-blue"].errors) == (7, 2)
    assert set(counts) == {"a-blue", "BACKEND"}


def test_after_a_restart_of_haproxy_counting_begins_anew():
    before, after = (parse_traffic(state(), [row("a-blue", total)], at) for total, at in ((500, 0.0), (30, 2.0)))
    assert rates(before, after)["a-blue"] == (15.0, 0.0)
    assert rates(None, after) == {}


def test_a_screenful_has_the_release_first_then_traffic_then_the_hosts(inventory):
    view = routed(inventory, known=journal(current=record(), lock=lock()))
    text = "\n".join(drawn(screenful(view, [], {}, 140)))
    places = [text.index(words) for words in ("r2-2.0.0: 1.0.0 -> 2.0.0", "shift-1", "requests/s", "All well", "ns-2")]
    assert places == sorted(places)


def test_watch_asks_load_balancers_and_journal_each_time_and_all_hosts_now_and_then(inventory, monkeypatch):
    asked, view = [], routed(inventory)

    def tick(_):
        if len(asked) == 2 * watch.FULL_LOOK:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", tick)
    monkeypatch.setattr(watch, "gather", lambda *_: asked.append("all") or view.reports)
    monkeypatch.setattr(watch, "look_again", lambda *_: asked.append("some") or view.reports)
    console = Console(file=io.StringIO(), width=140)
    assert watch.watch(console, inventory, view.reports, lambda: inventory) == []
    assert asked == ["some", "some", "some", "all"] * 2


def test_looking_again_keeps_what_other_hosts_said_and_tells_of_one_that_fell_silent(inventory, monkeypatch):
    view = routed(inventory)

    def connect(login, *_):
        if login.name == "lb-b":
            raise facts.SshError("lb-b", "no SSH")
        return type("Session", (), {"close": lambda self: None})()

    monkeypatch.setattr(facts, "Session", connect)
    monkeypatch.setattr(facts, "ask_more", lambda host, _: {"lacks": f"asked {host.name}"})
    seen = {report.host.name: report for report in facts.look_again(inventory, view.reports, {})}
    assert list(seen) == [report.host.name for report in view.reports]
    assert (seen["lb-a"].lacks, seen["control"].lacks, seen["app-a"].lacks) == ("asked lb-a", "asked control", "")
    assert (seen["lb-b"].facts, str(seen["lb-b"].error)) == (None, "lb-b: no SSH")


def test_status_shows_the_release_and_json_has_journal_and_traffic(inventory, monkeypatch):
    view = routed(inventory, known=journal(current=record(), lock=lock()))
    monkeypatch.setattr(commands, "load", lambda stack=None, refresh=False: inventory)
    monkeypatch.setattr(commands, "gather", lambda inventory: view.reports)
    assert "r2-2.0.0: 1.0.0 -> 2.0.0" in CliRunner().invoke(commands.app, ["status"]).output
    document = json.loads(CliRunner().invoke(commands.app, ["status", "--json"]).output)
    assert document["journal"]["current"]["id"] == "r2-2.0.0"
    assert document["hosts"][0]["traffic"]["routing"]["release"] == "r1"
