"""The program as it is called on the control host: JSON in, JSON out, an exit status a kind of answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tables.progress import Progress
from tests.unit.tables.changes import DOCUMENT

ROOT = Path(__file__).resolve().parents[3]
RING = {"contact_points": ["127.0.0.1"], "datacenter": "dc1", "admin_password": "secret", "port": 1}


@pytest.fixture
def run(tmp_path):
    def run(*arguments, content=""):
        return subprocess.run(
            [sys.executable, "-m", "scripts.tables", *arguments],
            input=content,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {"EVENKEEL_JOURNAL": str(tmp_path / "journal.sqlite")},
            check=False,
        )

    return run


@pytest.mark.parametrize("arguments", [(), ("dance",), ("job", "more")])
def test_a_verb_that_nobody_knows_is_the_callers_mistake(run, arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "the verbs are inspect" in done.stderr


USERS = json.dumps({"data": DOCUMENT, "do": "state", "kind": "backfill", "users": {"p99_ms": True, "p99_before_ms": 3}})


@pytest.mark.parametrize("content", ["no json", "[]", USERS, "{}"], ids=["no json", "a list", "users", "nothing"])
def test_a_document_that_makes_no_sense_is_the_callers_mistake(run, content):
    done = run("job", content=content)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_who_asks_for_a_jobs_state_tells_of_the_users_in_passing(run, tmp_path):
    users = {"p99_ms": 12.5, "p99_before_ms": 11}
    content = json.dumps({"ring": RING, "data": DOCUMENT, "do": "state", "kind": "backfill", "users": users})
    assert run("job", content=content).returncode == 0
    heard = Progress(tmp_path / "tables.sqlite").users()
    assert heard and (heard.p99_ms, heard.p99_before_ms) == (12.5, 11.0)


def test_one_that_listens_answers_as_often_as_it_is_asked(run):
    order = {"ring": RING, "data": DOCUMENT, "do": "state", "kind": "backfill"}
    lines = [{"verb": "job", "order": order}, {"verb": "job", "order": {}}, {"verb": "job", "order": order}]
    done = run("listen", content="".join(json.dumps(line) + "\n" for line in lines))
    first, wrong, last = (json.loads(line) for line in done.stdout.splitlines())
    assert first == last and first["answer"]["state"] == "absent"
    assert wrong["status"] == 2 and wrong["said"].startswith("scripts.tables: ")


def test_a_jobs_state_is_json(run):
    content = json.dumps({"ring": RING, "data": DOCUMENT, "do": "state", "kind": "backfill"})
    assert json.loads(run("job", content=content).stdout)["state"] == "absent"
