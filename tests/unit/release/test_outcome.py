"""The outcome says in one sentence how a release ended, and only a whole success is one."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from components.stages import Kind
from scripts.release.documents import StageInput
from scripts.release.stages.outcome import Outcome, conclude
from scripts.ssh import UnreachableError
from tests.unit.release.machines import Machines, Run


def said(stage: str, state: str = "passed", reason: str = "so", **figures: Any) -> dict[str, Any]:
    return {"stage": stage, "state": state, "ok": state in ("passed", "skipped"), "reason": reason, "figures": figures,
            "seconds": 0.1, "at": "2026-11-24T08:00:00.000+00:00"}  # fmt: skip


def concluded(run: Run, *earlier: dict[str, Any]) -> Outcome:
    return conclude(StageInput.parse(run.input() | {"earlier": list(earlier)}))


@pytest.fixture
def run(machines: Machines, live: dict[str, str]) -> Run:
    return machines.release(live)


NOT_BACK = said("rollback", "skipped", "nothing failed")
BACK = said("rollback", "passed", "users are on 1.0.0 again: a-blue")


def test_a_whole_success(run: Run) -> None:
    outcome = concluded(run, said("preflight"), said("settle"), NOT_BACK)
    assert outcome.state == "succeeded"
    assert outcome.reason == "2.0.0 serves from every site; 1.0.0 stays warm, `evenkeel undo` is the way back"
    assert outcome.serving == "2.0.0 from a, b, c and d"


def test_a_first_installation_has_no_way_back_to_name(machines: Machines) -> None:
    outcome = concluded(machines.release(None), said("settle"), NOT_BACK)
    assert (outcome.state, outcome.reason) == ("succeeded", "2.0.0 serves from every site")


def test_a_success_with_a_site_and_a_load_balancer_left_out(run: Run) -> None:
    install = said("install-2", left_out={"d": "no room"})
    outcome = concluded(run, install, said("settle", unreachable={"lb-c": "no SSH"}), NOT_BACK)
    assert outcome.state == "partial"
    assert outcome.reason == (
        "2.0.0 serves, but site d is left out of the pool (no room); lb-c could not be reached (no SSH)"
    )
    assert outcome.serving == "2.0.0 from a, b and c"
    assert "`pulumi up` again" in outcome.advice


def test_a_refusal(run: Run) -> None:
    outcome = concluded(run, said("preflight", "refused", "on hold by eve"), said("rollback", "skipped"))
    assert (outcome.state, outcome.reason, outcome.serving) == ("refused", "preflight: on hold by eve", "1.0.0")
    assert "Nothing was touched" in outcome.advice


@pytest.mark.parametrize("stage", ["install-1", "smoke-1", "gate", "shift-1", "install-2", "settle"])
def test_a_release_that_was_rolled_back_names_the_stage_and_why(run: Run, stage: str) -> None:
    outcome = concluded(run, said("preflight"), said(stage, "failed", "got 500"), BACK)
    assert (outcome.state, outcome.reason, outcome.serving) == ("rolled-back", f"{stage}: got 500", "1.0.0")


def test_the_first_bad_stage_is_the_reason(run: Run) -> None:
    outcome = concluded(run, said("gate", "held", "first"), said("shift-1", "failed", "second"), BACK)
    assert outcome.reason == "gate: first"


def test_a_first_installation_that_failed_serves_nothing(machines: Machines) -> None:
    outcome = concluded(machines.release(None), said("install-1", "failed", "no start"), BACK)
    assert (outcome.state, outcome.serving) == ("rolled-back", "nothing")


def test_a_held_rollback(run: Run) -> None:
    outcome = concluded(run, said("settle", "failed", "x"), said("rollback", "held", "a-blue is down"))
    assert (outcome.state, outcome.reason) == ("held", "settle: x; a-blue is down")
    assert outcome.advice == "Nothing was destroyed."


def test_a_failed_rollback(run: Run) -> None:
    outcome = concluded(run, said("settle", "failed", "x"), said("rollback", "failed", "no load balancer"))
    assert (outcome.state, outcome.reason) == ("failed", "settle: x; rollback: no load balancer")
    assert "`evenkeel status`" in outcome.advice


def test_the_last_lines_name_the_release_how_it_ended_and_what_serves(run: Run) -> None:
    lines = concluded(run, said("smoke-1", "failed", "got 500"), BACK).lines("r2-2.0.0")
    assert lines[0] == "r2-2.0.0 rolled back: smoke-1: got 500"
    assert lines[1].startswith("serving: 1.0.0. ")


def test_the_journal_has_the_ending_and_the_lock_is_free(run: Run, machines: Machines) -> None:
    machines.smoke["a"] = "it lists items: got 500"
    verdict = run.to("outcome")
    assert not verdict["ok"]
    known = machines.journal.read()
    assert known["lock"] is None
    assert (known["releases"][0]["state"], known["releases"][0]["reason"]) == ("rolled-back", verdict["reason"])
    assert [stage["stage"] for stage in known["releases"][0]["stages"]] == run.names[:-1]


def test_verdicts_that_could_not_be_recorded_are_in_the_journal_at_last(run: Run, machines: Machines) -> None:
    run.to("smoke-1")
    machines.broken["control", "verdict"] = "disk I/O error"
    run.to("rollback")
    assert run.to("outcome")["state"] == "passed"
    recorded = machines.journal.read()["releases"][0]["stages"]
    assert {stage["stage"] for stage in recorded} == set(run.names[:-1])


def test_a_success_that_the_journal_does_not_know_of_is_none(run: Run, machines: Machines) -> None:
    run.to("rollback")
    machines.away.add("control")
    verdict = run.to("outcome")
    assert verdict["state"] == "failed"
    assert verdict["reason"].startswith("2.0.0 serves from every site; 1.0.0 stays warm")
    assert "the journal could not be written" in verdict["reason"]
    machines.away.clear()
    run.verdicts.pop()
    assert run.to("outcome")["state"] == "passed"
    assert machines.journal.read()["releases"][0]["state"] == "succeeded"


def test_a_connection_that_breaks_while_the_ending_is_recorded_is_no_end(run: Run, machines: Machines) -> None:
    run.to("rollback")
    broke = []

    def breaks(host: str, verb: str) -> None:
        if (host, verb) == ("control", "finish") and not broke:
            broke.append(verb)
            raise UnreachableError(host, "the connection broke: closed by the host")

    machines.after = breaks
    assert run.to("outcome")["state"] == "passed"
    assert broke
    known = machines.journal.read()
    assert (known["lock"], known["releases"][0]["state"]) == (None, "succeeded")


def test_what_happened_is_said_though_the_control_host_hangs(
    run: Run, machines: Machines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.smoke["a"] = "it lists items: got 500"
    run.to("rollback")
    machines.hangs["control", "finish"] = Event()
    monkeypatch.setattr("scripts.release.supervisor.deadline", lambda stage, plan, rows: 1.0)
    assert run.to("outcome")["reason"] == "not done after 1 s, its deadline"
    assert "outcome: r2-2.0.0 rolled back: smoke-1: site a: it lists items: got 500\n" in capsys.readouterr().err


def test_a_release_that_was_superseded_is_told_so_and_gives_nothing_back(run: Run, machines: Machines) -> None:
    run.to("rollback")
    machines.now += 60
    holder = {"who": "root@other", "purpose": "release r3", "nonce": "n"}
    token = machines.journal.acquire({"holder": holder, "lease_seconds": 20})["token"]
    machines.journal.begin({"release": {**run.document, "id": "r3-3.0.0", "number": 3}, "token": token})
    run.to("outcome")
    known = machines.journal.read()
    assert (known["lock"]["token"], known["current"]["id"]) == (token, "r3-3.0.0")


def test_only_the_outcome_is_never_skipped() -> None:
    from components.stages import Stage, reason_to_skip

    bad = [said("preflight", "refused")]
    assert [kind for kind in Kind if not reason_to_skip(Stage(kind), bad)] == [Kind.OUTCOME]
