"""`evenkeel experiment` on a running stack: an experiment as small as they come, from its command to its page."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys

import pytest

from scripts.experiment.folder import Folder, new_name
from tests.system.deployer import configure
from tests.system.running import ROOT, RunningStack, pulumi

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it"),
]


def test_an_experiment_measures_releases_and_leaves_the_stack_at_what_serves(stack: RunningStack) -> None:
    name = new_name("test")
    configure(strategy="bluegreen")
    command = [str(ROOT / ".venv/bin/evenkeel"), "--stack", stack.inventory.stack, "experiment", "--name", name]
    small = ["--runs", "1", "--seconds", "10", "--warmup", "2", "--levels", "20/30", "--strategies", "bluegreen"]
    asked = ["--scenarios", "none,successful,failing,unchanged", "--no-knee", "--check", "10"]
    done = subprocess.run(
        [*command, *small, *asked], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-4000:]
    folder = Folder.open(ROOT / ".evenkeel" / "experiments" / name)
    runs = {run["scenario"]: folder.read_run(run["id"]) for run in folder.document["runs"]}
    assert {run["failed"] for run in runs.values()} == {0}, done.stderr
    assert {run["duplicates"] for run in runs.values()} == {0}
    assert all(run["check"]["passed"] for run in runs.values())
    assert all({sample["serving"] for sample in run["capacity"]} == {4} for run in runs.values())
    verdicts = {scenario: (run["release"] or {}).get("verdict") for scenario, run in runs.items()}
    assert verdicts == {"none": None, "successful": "succeeded", "failing": "rolled-back", "unchanged": "unchanged"}
    released = folder.run_folder(runs["successful"]["id"])
    with gzip.open(released / "requests.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == runs["successful"]["sent"]
    assert len({row["version"] for row in rows}) == 2
    assert (folder.path / "report.html").exists()
    assert pulumi("config", "get", "version").stdout.strip() in {row["version"] for row in rows}
    assert pulumi("config", "get", "strategy").stdout.strip() == "bluegreen"
    configure(strategy="")


def test_a_gate_that_waits_for_people_is_refused(stack: RunningStack) -> None:
    configure(gate="person")
    command = [sys.executable, "-m", "scripts.cli", "--stack", stack.inventory.stack, "experiment", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    configure(gate="")
    assert done.returncode == 1
    assert "the stack's `gate` is person: its releases would wait" in done.stderr
    assert "Traceback" not in done.stderr
