"""`python3 -m scripts.journal VERB`: documents in and out, and exit statuses."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.journal.store import VERBS, Store

ROOT = Path(__file__).resolve().parents[3]


def run(path, *arguments, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "scripts.journal", *arguments],
        cwd=ROOT,
        env=os.environ | {"EVENKEEL_JOURNAL": str(path)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_a_verb_prints_one_object_and_ends_with_0(path):
    done = run(path, "hold", stdin=json.dumps({"who": "root@ops", "reason": "später"}))
    assert done.returncode == 0 and json.loads(done.stdout)["hold"]["reason"] == "später"
    assert json.loads(run(path, "read").stdout)["hold"]["who"] == "root@ops"


def test_a_refusal_ends_with_3_and_its_sentence_and_details_as_an_object(path):
    holder = {"who": "root@one", "purpose": "test", "nonce": "n1"}
    run(path, "acquire", stdin=json.dumps({"holder": holder, "lease_seconds": 60}))
    done = run(path, "acquire", stdin=json.dumps({"holder": holder | {"nonce": "n2"}, "lease_seconds": 60}))
    assert done.returncode == 3 and done.stderr == ""
    refusal = json.loads(done.stdout)
    assert refusal["refused"].startswith("the lock is held by root@one since ")
    assert refusal["lock"]["token"] == 1


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        ([], "", "use `python3 -m scripts.journal VERB`; the verbs are read, history,"),
        (["fly"], "", "use `python3 -m scripts.journal VERB`"),
        (["read", "more"], "", "use `python3 -m scripts.journal VERB`"),
        (["read"], "{", "standard input is not JSON"),
        (["read"], "[1]", "standard input must be a JSON object"),
        (["hold"], "", "who is missing; it must be a text that is not empty"),
    ],
)
def test_misuse_ends_with_2_and_one_sentence(path, arguments, stdin, says):
    done = run(path, *arguments, stdin=stdin)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"scripts.journal: {says}") and len(done.stderr.splitlines()) == 1


def test_an_unusable_journal_ends_with_1_and_one_sentence(path):
    path.write_bytes(b"rubbish" * 500)
    done = run(path, "read")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_one_that_listens_answers_each_line_as_the_verb_by_itself_would(path):
    lines = [
        {"verb": "hold", "order": {"who": "root@ops", "reason": "später"}},
        {"verb": "read"},
        {"verb": "beat", "order": {"token": 7, "lease_seconds": 20}},
        {"verb": "hold", "order": {"who": ""}},
        {"verb": "fly"},
        {"verb": "read", "order": [1]},
        [1],
        {"verb": "unhold", "order": {"who": "root@ops"}},
    ]
    done = run(path, "listen", stdin="".join(json.dumps(line) + "\n" for line in lines) + "no JSON\n")
    assert done.returncode == 0 and done.stderr == ""
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["status"] for answer in answers] == [0, 0, 3, 2, 2, 2, 2, 0, 2]
    assert answers[1]["answer"]["hold"]["reason"] == "später"
    assert answers[2]["answer"] == json.loads(run(path, "beat", stdin=json.dumps(lines[2]["order"])).stdout)
    assert f"{answers[3]['said']}\n" == run(path, "hold", stdin=json.dumps(lines[3]["order"])).stderr
    for answer, says in zip(
        answers[4:], ["'fly' is none of read,", "the order must be", "the line must be"], strict=False
    ):
        assert answer["said"].startswith(f"scripts.journal: {says}")
    assert answers[7]["answer"]["lifted"]["who"] == "root@ops"


def test_every_method_of_the_store_is_a_verb():
    methods = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    assert {name.removesuffix("_") for name in methods} == set(VERBS)
