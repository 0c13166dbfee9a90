"""Long work outlives its starter, is one process at a time, and says how it is, also when it was killed.

The work here is real and waits for a ring that does not answer (nobody listens at its port).
"""

import os
import signal
import time

import pytest

from scripts.tables.errors import MisuseError
from scripts.tables.held import held, is_held
from scripts.tables.job import KILLED, job, left_seconds, unit_command
from scripts.tables.progress import Progress, Step
from scripts.tables.tokens import TokenRange
from tests.unit.tables.changes import DOCUMENT

RING = {"contact_points": ["127.0.0.1"], "datacenter": "dc1", "admin_password": "secret", "port": 1}
NAME = "evenkeel-backfill-7"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENKEEL_JOURNAL", str(tmp_path / "journal.sqlite"))
    monkeypatch.setenv("EVENKEEL_JOBS", "detached")
    yield tmp_path
    for name in (NAME, f"{NAME}-again"):
        known = Progress().read(name)
        if known and known["pid"] and is_held(Progress(), name):
            os.kill(known["pid"], signal.SIGKILL)


def ask(do, **more):
    return job({"ring": RING, "data": DOCUMENT, "do": do, "kind": "backfill", **more})


def killed(name=NAME):
    progress = Progress()
    pid = progress.read(name)["pid"]
    os.kill(pid, signal.SIGKILL)
    give_up = time.monotonic() + 30
    while is_held(progress, name) and time.monotonic() < give_up:
        time.sleep(0.05)
    return pid


def test_work_that_never_began_is_absent():
    assert ask("state")["state"] == "absent"
    assert ask("stop")["state"] == "absent"


def test_work_runs_on_after_it_was_started_and_a_second_start_joins_it():
    assert ask("start")["state"] == "running"
    pid = Progress().read(NAME)["pid"]
    assert pid != os.getpid()
    assert ask("start")["started"] == 1
    assert Progress().read(NAME)["pid"] == pid


def test_work_that_cannot_reach_the_ring_waits_and_says_why():
    ask("start")
    give_up = time.monotonic() + 30
    while not (reason := ask("state")["reason"]) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert reason.startswith("paused: no node of the ring answers")
    assert ask("state")["state"] == "running"


def test_rows_of_parts_that_are_not_finished_are_seen_while_the_work_runs_and_not_counted_afterwards():
    progress = Progress()
    progress.begin(NAME, "backfill", os.getpid())
    progress.plan(NAME, "item", [TokenRange(0, 10), TokenRange(10, 20)])
    progress.note(NAME, Step([0, 1], {0: 500}, 100.0, 100.0, "", open_rows=70))
    with held(progress, NAME):
        assert (ask("state")["rows"], ask("state")["figures"]) == (570, {})
    assert (ask("state")["rows"], ask("state")["figures"]) == (500, {})


def test_killed_work_says_so_and_goes_on_when_it_is_started_again():
    ask("start")
    first = killed()
    state = ask("state")
    assert (state["state"], state["reason"]) == ("failed", KILLED)
    assert ask("start")["state"] == "running"
    known = Progress().read(NAME)
    assert known["pid"] != first
    assert known["started"] == 2


def test_stopped_work_ends_and_says_so():
    ask("start")
    state = ask("stop")
    assert state["state"] == "failed"
    assert "stopped" in state["reason"]


def test_work_that_is_done_is_left_alone_unless_it_is_wanted_afresh():
    progress = Progress()
    progress.begin(NAME, "backfill", 1)
    progress.end(NAME, "done", "", {"rows": 5})
    assert ask("start")["state"] == "done"
    assert ask("start", afresh=True)["state"] == "running"


def test_two_runs_of_one_kind_are_told_apart():
    assert ask("start", run="again")["job"] == f"{NAME}-again"
    assert ask("state")["state"] == "absent"


def test_what_another_program_copied_is_done():
    ask("start")
    state = ask("outside", by="spark")
    assert (state["state"], state["reason"]) == ("done", "the rest was copied by spark")
    assert ask("start")["state"] == "done"


@pytest.mark.parametrize("wrong", [{"kind": "guess"}, {"run": "../x"}, {"do": "dance"}])
def test_a_job_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(MisuseError):
        ask(**{"do": "state", **wrong})


def test_the_password_is_in_no_command_line(place):
    command = unit_command(NAME, place / "x.json")
    assert command[0] == "systemd-run"
    assert f"--unit={NAME}" in command
    assert not [word for word in command if "secret" in word]


def test_the_time_left_follows_from_the_part_of_the_ring_that_is_done():
    known = {"width": 100.0, "width_done": 25.0, "rows": 500, "rate": 50.0}
    assert left_seconds(known) == 30
    assert left_seconds({**known, "width_done": 0.0}) is None


def test_work_whose_last_unit_is_about_to_end_is_launched_again(monkeypatch):
    launches = []

    def launch(name, document):
        launches.append(name)
        if len(launches) < 3:
            return False
        Progress().begin(name, "backfill", os.getpid())
        return True

    monkeypatch.setattr("scripts.tables.job.launch", launch)
    assert ask("start")["started"] == 1
    assert len(launches) == 3
