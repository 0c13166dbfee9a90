"""A stage from its input to its verdict: skipped for nothing, recorded, and run again without harm."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.release.run import run as run_stage
from scripts.release.skip import skipped
from tests.unit.release.machines import Machines, Run

ROOT = Path(__file__).resolve().parents[3]
BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]
GREEN = ["a-green", "b-green", "c-green", "d-green"]


def said(stage: str, state: str) -> dict[str, Any]:
    return {"stage": stage, "state": state, "ok": state == "passed", "reason": "so", "figures": {}}


@pytest.fixture
def run(machines: Machines, live: dict[str, str]) -> Run:
    return machines.release(live)


def python(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], input=stdin, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )


def test_a_stage_that_must_not_act_is_skipped_with_the_reason(run: Run) -> None:
    document = run.input() | {"earlier": [said("preflight", "passed"), said("install-1", "failed")]}
    verdict = skipped("smoke-1", document) or {}
    assert (verdict["stage"], verdict["state"], verdict["reason"]) == ("smoke-1", "skipped", "install-1 failed")
    assert verdict["ok"] is True
    assert skipped("rollback", document) is None
    assert skipped("outcome", document) is None


def test_a_stage_that_this_release_was_not_made_with_is_skipped(run: Run) -> None:
    verdict = skipped("install-3", run.input()) or {}
    assert (verdict["state"], verdict["reason"]) == ("skipped", "r2-2.0.0 has no such stage")


def test_skipping_loads_nothing_that_talks_to_machines() -> None:
    code = "import sys, scripts.release.__main__; print('paramiko' in sys.modules, 'pulumi' in sys.modules)"
    assert python("-c", code).stdout.split() == ["False", "False"]


def test_a_stage_that_shares_connections_does_not_load_what_makes_them() -> None:
    code = "import sys, scripts.release.run, scripts.release.stages.shift; print('paramiko' in sys.modules)"
    assert python("-c", code).stdout.split() == ["False"]


def test_a_skipped_stage_prints_its_verdict_and_ends_with_0(run: Run) -> None:
    document = run.input() | {"earlier": [said("preflight", "passed"), said("install-1", "failed")]}
    done = python("-m", "scripts.release", "stage", "shift-1", stdin=json.dumps(document))
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (0, "install-1 failed")
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["stage"], ["deploy"], ["stage", "smoke-1", "now"]])
def test_misuse_is_told_in_a_sentence(arguments: list[str]) -> None:
    done = python("-m", "scripts.release", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("scripts.release: use `python -m scripts.release VERB`")


def test_verdicts_are_recorded_with_their_beginning(run: Run, machines: Machines) -> None:
    run.to("smoke-1")
    recorded = machines.journal.read()["current"]["stages"]
    assert [stage["stage"] for stage in recorded] == ["preflight", "install-1", "smoke-1"]
    acted = [verdict for verdict in run.verdicts if verdict["state"] != "skipped"]
    for stage, verdict in zip(recorded, acted, strict=True):
        assert {key: stage[key] for key in verdict} == verdict
        assert stage["began"] <= stage["ended"]


def test_people_see_which_stage_a_release_is_in(run: Run, machines: Machines) -> None:
    run.to("preflight")
    seen: list[str] = []

    def look(host: str, verb: str) -> None:
        if verb == "beat":
            seen.append(machines.journal.read()["current"]["stage"])

    machines.after = look
    run.stage("install-1")
    assert set(seen) == {"install-1"}


def test_a_refused_preflight_leaves_no_verdict(run: Run, machines: Machines) -> None:
    machines.journal.hold({"who": "eve@desk", "reason": "the fair is on"})
    assert run.to("preflight")["state"] == "refused"
    assert ("control", "verdict") not in machines.seen


def test_a_verdict_that_cannot_be_recorded_is_a_verdict(run: Run, machines: Machines) -> None:
    run.to("preflight")
    machines.broken["control", "verdict"] = "disk I/O error"
    assert run.stage("install-1")["state"] == "passed"


def test_a_stage_of_a_release_that_has_ended_changes_nothing_and_says_again_what_it_said(
    run: Run, machines: Machines
) -> None:
    run.to("outcome")
    known = list(run.verdicts)
    machines.orders.clear()
    machines.seen.clear()
    for position, name in enumerate(run.names[:-1]):
        again = run_stage(name, run.input() | {"earlier": known[:position]})
        assert again == known[position]
    assert machines.orders == []
    assert {verb for _, verb in machines.seen} == {"beat", "read"}  # the beat is refused: the lock was given back
    assert run_stage("outcome", run.input())["state"] == "skipped"


def test_the_outcome_of_a_release_that_ended_badly_fails_again_and_says_why(
    run: Run, machines: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.smoke["a"] = "it lists items: got 500"
    run.to("outcome")
    verdict = run_stage("outcome", run.input())
    assert (verdict["state"], verdict["ok"]) == ("failed", False)
    assert verdict["reason"] == "r2-2.0.0 has ended already: rolled-back"
    assert capsys.readouterr().err.endswith("outcome: r2-2.0.0 has ended already: rolled-back\n")


def test_a_stage_of_a_release_that_another_has_superseded_does_nothing(run: Run, machines: Machines) -> None:
    run.to("gate")
    machines.now += 60
    holder = {"who": "root@other", "purpose": "release r3", "nonce": "n"}
    token = machines.journal.acquire({"holder": holder, "lease_seconds": 20})["token"]
    machines.journal.begin({"release": {**run.document, "id": "r3-3.0.0", "number": 3}, "token": token})
    machines.orders.clear()
    verdict = run.stage("shift-1")
    assert (verdict["state"], verdict["reason"]) == ("skipped", "r2-2.0.0 has ended already: superseded")
    assert machines.orders == []


# --- killed, and run again --------------------------------------------------------------------------------------------


def killed_after(run: Run, stage: str) -> Run:
    """Run a release up to a stage, and let its deployer die there; return the release that the next update runs."""
    run.to(stage)
    assert run.verdicts[-1]["state"] in ("passed", "skipped"), run.verdicts[-1]
    run.machines.now += 60
    return Run(run.machines, run.document)


@pytest.mark.parametrize(
    "stage", ["preflight", "install-1", "smoke-1", "gate", "shift-1", "install-2", "smoke-2", "shift-2"]
)
@pytest.mark.parametrize("is_late", [False, True], ids=["before the timers fire", "after"])
def test_a_release_that_was_killed_ends_in_one_version_when_it_is_run_again(
    run: Run, machines: Machines, stage: str, is_late: bool
) -> None:
    again = killed_after(run, stage)
    if is_late:
        machines.expire()
        assert machines.everywhere() == BLUE
    verdict = again.to("outcome")
    assert verdict["state"] == "passed", again.verdicts
    assert machines.everywhere() == GREEN
    assert machines.timer() is None


@pytest.mark.parametrize("stage", ["settle", "rollback"])
def test_a_release_that_was_killed_when_all_was_done_ends_well_when_it_is_run_again(
    run: Run, machines: Machines, stage: str
) -> None:
    again = killed_after(run, stage)
    machines.expire()
    assert machines.everywhere() == GREEN
    assert again.to("outcome")["state"] == "passed", again.verdicts
    assert machines.everywhere() == GREEN


@pytest.mark.parametrize("stage", ["install-1", "shift-1", "shift-2", "settle"])
def test_another_release_after_one_that_was_killed_ends_in_one_version(
    run: Run, machines: Machines, live: dict[str, str], stage: str
) -> None:
    killed_after(run, stage)
    other = machines.release(live, id="r3-2.0.0", number=3)
    assert other.to("outcome")["state"] == "passed", other.verdicts
    assert machines.everywhere() == GREEN
    states = {record["id"]: record["state"] for record in machines.journal.read()["releases"]}
    assert states == {"r2-2.0.0": "superseded", "r3-2.0.0": "succeeded"}


def test_a_load_balancer_that_missed_a_release_is_brought_along_by_the_next(run: Run, machines: Machines) -> None:
    run.before("settle")
    machines.away.add("lb-c")
    assert run.to("outcome")["state"] == "failed"
    machines.expire("lb-c")
    machines.away.clear()
    assert (machines.ready("lb-a"), machines.ready("lb-c")) == (GREEN, BLUE)
    live = {"version": "2.0.0", "sha256": run.document["sha256"], "slot": "green"}
    again = machines.release(live, slot="green", id="r3-2.0.0", number=3)
    assert again.to("outcome")["state"] == "passed", again.verdicts
    assert machines.everywhere() == GREEN


def test_a_site_that_was_left_out_is_brought_along_by_the_next_release(run: Run, machines: Machines) -> None:
    machines.smoke["d"] = "it lists items: got 500"
    assert run.to("outcome")["state"] == "failed"
    assert machines.everywhere() == ["a-green", "b-green", "c-green"]
    machines.smoke.clear()
    live = {"version": "2.0.0", "sha256": run.document["sha256"], "slot": "green"}
    again = machines.release(live, slot="green", id="r3-2.0.0", number=3)
    assert again.to("outcome")["state"] == "passed", again.verdicts
    assert machines.everywhere() == GREEN


def test_what_a_killed_deployer_sends_late_is_refused(run: Run, machines: Machines, live: dict[str, str]) -> None:
    killed_after(run, "gate")
    other = machines.release(live, id="r3-2.0.0", number=3)
    other.to("shift-2")
    assert run.stage("shift-1")["state"] == "skipped"
    assert machines.everywhere() == GREEN


@pytest.mark.parametrize(
    "stage", ["install-1", "smoke-1", "gate", "shift-1", "install-2", "smoke-2", "shift-2", "settle"]
)
def test_an_abort_in_any_stage_ends_with_the_old_version_everywhere(run: Run, machines: Machines, stage: str) -> None:
    run.before(stage)
    machines.signal("abort", "wrong version")
    run.document["plan"] |= {"gate": "person", "gate_seconds": 20}
    verdict = run.to("outcome")
    # A stage that was done before it could hear is followed by one that hears it.
    assert verdict["reason"].endswith("aborted by eve@desk: wrong version")
    assert machines.everywhere() == BLUE
    assert machines.journal.read()["releases"][0]["state"] == "rolled-back"


def test_a_stage_takes_as_long_as_its_process_has_run(run: Run) -> None:
    verdict = run_stage("install-1", run.input(), time.time() - 5.0)
    assert verdict["seconds"] >= 5.0


def test_the_process_began_before_its_first_line_and_not_long_ago() -> None:
    line = (
        "import time; first = time.time(); from scripts.release.__main__ import process_began as b; print(first - b())"
    )
    assert -0.02 < float(python("-c", line).stdout) < 10.0


def test_the_last_stage_ends_what_the_stages_have_shared(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []
    monkeypatch.setattr("scripts.release.run.end_sharing", ended.append)
    earlier = [said("preflight", "passed"), said("install-1", "failed")]
    run_stage("rollback", run.input() | {"earlier": earlier})
    assert not ended
    run_stage("outcome", run.input() | {"earlier": [*earlier, said("rollback", "passed")]})
    assert ended == [run.input()["stack"]["deploy_key"]]
