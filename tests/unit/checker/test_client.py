"""The checker's client against a service of its own, and the judge on what it logged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.checker import client
from scripts.checker.history import Outcome, plain, prepared_key, read_history
from scripts.checker.judge import State, judge
from scripts.checker.verdict import Wrong
from tests.unit.checker.service import Service

PROGRAM = Path(client.__file__)


@pytest.fixture
def serve():
    services = []

    def start(**faults):
        services.append(Service(faults))
        return services[-1]

    yield start
    for service in services:
        service.close()


def run(verb, **plan):
    """What the program prints, run as on the test runner: by itself, in a folder of its own."""
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), verb], input=json.dumps(plan), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def play(service, folder, rate=300, seconds=2, rows=40):
    """Prepare, run, read back and judge: (summary, history, verdict)."""
    log, out = folder / "history.jsonl", folder / "state.jsonl"
    common = {"service": service.name, "run": "t1", "log": str(log), "writers": 6}
    made = run("prepare", rows=rows, **common)
    assert made["made"] == rows
    summary = run("run", rate=rate, seconds=seconds, **common, **made)
    run("read", service=service.name, out=str(out))
    history = read_history(log.read_text("utf-8").splitlines())
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    rows = {row["key"]: {name: plain(value) for name, value in row["values"].items()} for row in found}
    return summary, history, judge(history, [State("the API", client.COLUMNS, rows)])


def test_a_service_that_keeps_every_write_passes_and_the_mix_and_the_rate_are_kept(serve, tmp_path):
    summary, history, verdict = play(serve(), tmp_path)
    assert verdict.passed, verdict.problems
    assert summary["failed_requests"] == 0, summary
    assert 500 <= summary["operations"] <= 610
    kinds = [operation.kind for operation in history.operations[40:]]
    shares = {kind: kinds.count(kind) / len(kinds) for kind in ("insert", "update", "delete")}
    assert 0.4 < shares["insert"] < 0.6 and 0.2 < shares["update"] < 0.4 and 0.12 < shares["delete"] < 0.28
    assert 0 < verdict.single_writer_keys < verdict.keys
    assert summary["versions"] == {"1.0.0": sum(verdict.operations.values()) - 40}


def test_the_rows_of_a_run_are_removed_and_others_stay(serve, tmp_path):
    service = serve()
    play(service, tmp_path, seconds=1)
    service.rows["another"] = {"name": "t10-1", "description": None, "quantity": None, "tags": []}
    before = len(service.rows)
    assert run("remove", service=service.name, run="t1") == {"removed": before - 1, "stay": 0}
    assert list(service.rows) == ["another"]


def test_rows_that_cannot_be_removed_are_counted(serve, tmp_path):
    service = serve(DELETE="refuse")
    play(service, tmp_path, seconds=1)
    found = run("remove", service=service.name, run="t1")
    assert found["stay"] == len(service.rows) > 0


@pytest.mark.parametrize(
    ("method", "wrong"), [("POST", Wrong.LOST), ("PATCH", Wrong.LOST), ("DELETE", Wrong.RESURRECTED)]
)
def test_writes_that_were_acknowledged_and_not_done_are_named(serve, tmp_path, method, wrong):
    service = serve(**{method: "forget"})
    _, _, verdict = play(service, tmp_path)
    assert verdict.keys_of(wrong)
    assert set(verdict.keys_of()) <= set(service.harmed)


@pytest.mark.parametrize("fault", ["hang up", "refuse"])
def test_writes_without_an_answer_may_go_either_way_and_are_counted_as_failed_requests(serve, tmp_path, fault):
    service = serve(POST=fault, PATCH=fault, DELETE=fault)
    summary, history, verdict = play(service, tmp_path)
    assert not verdict.problems
    unknown = [operation for operation in history.operations if operation.outcome is Outcome.UNKNOWN]
    assert len(unknown) == len(service.harmed)
    assert summary["failed_requests"] > 20


@pytest.mark.parametrize(
    ("status", "headers", "body", "outcome"),
    [
        (503, {"retry-after": "7"}, b'{"error":{"code":"writes_wait"}}', "failed"),
        (503, {}, b'{"error":{"code":"writes_wait"}}', "unknown"),
        (503, {"retry-after": "7"}, b'{"error":{"code":"unavailable"}}', "unknown"),
        (201, {}, b"{}", "ok"),
    ],
)
def test_a_load_balancer_that_says_that_writes_wait_has_sent_the_request_nowhere(status, headers, body, outcome):
    answer = client.Answer(status, headers, body, True, "", "10.0.0.1")
    assert client.outcome_of("insert", answer) == outcome
    assert client.is_told_to_wait(answer) == (outcome == "failed")


def test_a_service_that_is_not_there_has_done_nothing(serve, tmp_path):
    service = serve()
    service.close()
    log = tmp_path / "history.jsonl"
    summary = run("run", service=service.name, run="t1", log=str(log), writers=2, rate=20, seconds=1)
    history = read_history(log.read_text("utf-8").splitlines())
    assert {operation.outcome for operation in history.operations} == {Outcome.FAILED}
    assert summary["failed_requests"] == summary["operations"] > 0


def test_the_client_and_the_judge_derive_the_same_prepared_keys():
    assert client.prepared_key("a1", 7) == prepared_key("a1", 7)
