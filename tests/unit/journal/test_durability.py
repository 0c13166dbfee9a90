"""What the journal promises of its file: one winner among many processes, nothing half written, nothing lost."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.journal.store import DamagedError, Refused, Store

ROOT = Path(__file__).resolve().parents[3]
ACQUIRE = """
import sys, time
from scripts.journal.store import Refused, Store
path, nonce, at = sys.argv[1], sys.argv[2], float(sys.argv[3])
time.sleep(max(at - time.time(), 0))
holder = {"who": nonce, "purpose": "test", "nonce": nonce}
try:
    print("got", Store(path).acquire({"holder": holder, "lease_seconds": 60})["token"])
except Refused:
    print("refused")
"""
WRITE = """
import itertools, sys
from scripts.journal.store import Store
store = Store(sys.argv[1])
for number in itertools.count():
    print(store.note({"kind": "test", "text": "x" * 1500})["number"], flush=True)
"""
DIE = """
import os, signal, sys
from scripts.journal import lock
from scripts.journal.store import Store
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
lock.held = kill  # after the statements, before the commit
Store(sys.argv[1]).acquire({"holder": {"who": "a", "purpose": "b", "nonce": "c"}, "lease_seconds": 60})
"""


def python(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def race(path, count, purpose):
    at = str(time.time() + 0.6)
    processes = [python(ACQUIRE, str(path), f"{purpose}-{number}", at) for number in range(count)]
    return [process.communicate(timeout=60)[0].split() for process in processes]


def test_of_many_processes_that_want_the_lock_at_once_exactly_one_gets_it_and_tokens_only_rise(tmp_path):
    path, tokens = tmp_path / "journal.sqlite", []  # the first round also makes the file, all at once
    for turn in range(3):
        answers = race(path, 6, f"turn-{turn}")
        won = [int(answer[1]) for answer in answers if answer[0] == "got"]
        assert len(won) == 1 and answers.count(["refused"]) == 5
        tokens += won
        assert Store(path).release({"token": won[0]}) == {"released": True}
    assert tokens == sorted(set(tokens))


def test_threads_of_one_process_share_a_store(tmp_path):
    store = Store(tmp_path / "journal.sqlite")
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: store.note({"kind": "test", "text": str(number)})["number"], range(40)))
    assert sorted(numbers) == list(range(1, 41))


def test_a_process_killed_before_its_commit_has_changed_nothing(tmp_path):
    store = Store(tmp_path / "journal.sqlite")
    store.hold({"who": "root@ops", "reason": "sale day"})
    process = python(DIE, str(store.path))
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert store.read()["lock"] is None
    assert [event["kind"] for event in store.events()["events"]] == ["hold"]
    assert store.acquire({"holder": {"who": "a", "purpose": "b", "nonce": "d"}, "lease_seconds": 60})["lock"]


def test_kill_9_in_the_middle_of_writing_leaves_every_acknowledged_event_readable(tmp_path):
    path, dice = tmp_path / "journal.sqlite", random.Random(4)  # noqa: S311
    acknowledged = 0
    for _ in range(5):
        process = python(WRITE, str(path))
        time.sleep(0.3 + 0.2 * dice.random())
        process.send_signal(signal.SIGKILL)
        printed = process.communicate(timeout=30)[0].split()
        acknowledged = max([acknowledged, *map(int, printed[:-1])])  # the last number may itself be cut
        numbers = [event["number"] for event in Store(path).events({"limit": 10_000})["events"]]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= acknowledged
    assert acknowledged > 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_torn_tail_of_the_write_ahead_log_costs_only_what_was_torn(tmp_path):
    store = Store(tmp_path / "journal.sqlite")
    store.note({"kind": "test", "text": "first"})
    with sqlite3.connect(store.path) as reader:  # keeps the log from being folded into the file
        reader.execute("SELECT count(*) FROM events").fetchone()
        store.note({"kind": "test", "text": "second"})
        log = store.path.with_name("journal.sqlite-wal")
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "journal.sqlite").write_bytes(store.path.read_bytes())
        (copy / "journal.sqlite-wal").write_bytes(log.read_bytes()[:-100])
    reader.close()
    events = Store(copy / "journal.sqlite").events()["events"]
    assert [event["text"] for event in events] == ["first"]


def test_the_journal_is_its_owner_s_alone(tmp_path):
    store = Store(tmp_path / "new" / "journal.sqlite")
    previous = os.umask(0)
    try:
        store.read()
    finally:
        os.umask(previous)
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_journal_waits_in_write_ahead_mode(tmp_path):
    store = Store(tmp_path / "journal.sqlite")
    store.read()
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_refused_verb_changes_nothing(running):
    before = running.events()
    for verb, asked in (
        (running.break_, {"who": "a", "reason": ""}),
        (running.signal, {"kind": "confirm", "who": "a"}),
        (running.beat, {"token": 99, "lease_seconds": 1}),
    ):
        with pytest.raises(Refused):
            verb(asked)
    assert running.events() == before


def test_a_file_that_is_no_journal_is_one_sentence(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(DamagedError, match=r"^the journal .*journal.sqlite cannot be used: file is not a database$"):
        Store(path).read()


def test_a_journal_of_a_newer_evenkeel_is_left_alone(tmp_path):
    store = Store(tmp_path / "journal.sqlite")
    store.read()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DamagedError, match=r"was written by a newer Evenkeel: its schema is 99, this one knows 2$"):
        store.read()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DamagedError, match=r"^the journal .* cannot be used: "):
        Store(tmp_path / "file" / "journal.sqlite").read()
