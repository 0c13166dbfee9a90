"""`evenkeel retire`: what it says would go, what it asks, and that without the lock nothing more is done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from scripts.cli import commands, tables
from scripts.release.documents import Stack
from scripts.release.errors import StageFailedError
from scripts.release.journal import Journal, JournalError, JournalRefused
from scripts.ssh import UnreachableError

ITEM = {"name": "item", "source": "item", "target": "item_r7"}
DATA: dict[str, Any] = {
    "keyspace": "evenkeel",
    "names": {"item": "item_r7", "tag": "tag"},
    "mirror": "trigger",
    "tables": [ITEM],
    "created": [{"name": "tag", "target": "tag"}],
}
OLD = {"version": "1.0.0", "sha256": "a", "slot": "blue"}
NEW = {"version": "2.0.0", "sha256": "b", "slot": "green", "tables": {"item": "item_r7", "tag": "tag"}}
ROWS = {"item": 10, "item_r7": 12, "tag": 3}


class Record:
    """The journal: what it knows and what was said to it; `beats` answer one after another, then well."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {
            "live": OLD, "current": None, "pairs": [{"release": "r7", "state": "level", "data": DATA}],
        }  # fmt: skip
        self.said: list[str] = []
        self.beats: list[Exception] = []
        self.beaten = threading.Semaphore(0)

    def read(self, limit: int = 20) -> dict[str, Any]:
        return self.known

    def acquire(self, holder: Any, lease_seconds: float) -> int:
        self.said.append("acquired")
        return 9

    def release(self, token: int) -> bool:
        self.said.append(f"released {token}")
        return True

    def beat(self, token: int, lease_seconds: float) -> dict[str, Any]:
        self.beaten.release()
        if self.beats:
            raise self.beats.pop(0)
        return {}

    def pair(self, release: str, state: str, data: Any = None, reason: str = "") -> None:
        self.said.append(f"{release} {state}")


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    record = Record()

    def ask(_: str | None, question: Callable[[Journal], Any]) -> Any:
        return question(cast("Journal", record))

    def end(stack: Stack, held: tables.Held, pair: Any, names: Any, balancers: Any, *, why: str) -> str:
        held.pair(pair["release"], "dropping")
        held.pair(pair["release"], "dropped", reason=why)
        return f"ended for {names}"

    monkeypatch.setattr(tables, "stack_with_ring", lambda _: Stack("dev", "", (), ""))
    monkeypatch.setattr(tables, "ask", ask)
    monkeypatch.setattr(tables, "end", end)
    monkeypatch.setattr(tables.ControlTables, "count", lambda self: {"tables": ROWS, "about": []})
    return record


def retire(*arguments: str, typed: str | None = None) -> Any:
    return CliRunner().invoke(commands.app, ["retire", *arguments], input=typed)


@pytest.mark.parametrize(
    ("live", "going"),
    [(OLD, "item_r7 (12 rows) and tag (3 rows)"), (NEW, "item (10 rows)")],
)
def test_every_table_that_would_go_is_named_before_anybody_says_yes(
    record: Record, live: dict[str, Any], going: str
) -> None:
    record.known["live"] = live
    result = retire(typed="n\n")
    assert result.exit_code == 1
    assert result.output.startswith(f"{live['version']} serves; to be dropped, made by r7: {going}\n")
    assert record.said == []


def test_a_table_that_is_gone_already_and_an_estimate_are_told_as_such(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables.ControlTables, "count", lambda self: {"tables": {"tag": 3}, "about": ["tag"]})
    assert "item_r7 (gone already) and tag (about 3 rows)" in retire(typed="n\n").output


def test_pairs_are_ended_under_the_lock(record: Record) -> None:
    result = retire("--yes")
    assert result.exit_code == 0 and result.output.endswith("ended for {}\n"), result.output
    assert record.said == ["acquired", "r7 dropping", "r7 dropped", "released 9"]


def test_without_the_lock_nothing_more_is_done(record: Record) -> None:
    record.beats = [JournalRefused("token 9 is not the lock's any more: broken by eve")]
    result = retire("--yes")
    assert result.exit_code == 1
    assert result.stderr.startswith("evenkeel: the lock is lost (token 9 is not the lock's any more: broken by eve), ")
    assert record.said == ["acquired", "released 9"]


def test_with_no_pair_or_with_a_release_at_work_nothing_is_asked(record: Record) -> None:
    record.known["current"] = {"id": "r8"}
    assert "r8 is in progress" in str(retire("--yes").exception)
    record.known["pairs"] = []
    assert retire("--yes").output == "no two tables live at once\n"
    assert record.said == []


@pytest.fixture
def renewed(record: Record, monkeypatch: pytest.MonkeyPatch) -> Callable[[], threading.Thread]:
    """Have the lease renewed quickly, by a thread that ends with the test."""
    monkeypatch.setattr(tables, "BEAT_SECONDS", 0.01)
    over = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: pytest.fail(f"the thread failed: {args.exc_value}"))

    def begin() -> threading.Thread:
        thread = threading.Thread(target=tables.renew, args=(cast("Journal", record), 9, over), daemon=True)
        thread.start()
        return thread

    return begin


@pytest.mark.parametrize("error", [UnreachableError("control", "no SSH"), JournalError("the disk is full")])
def test_a_beat_that_fails_is_followed_by_others(
    record: Record, renewed: Callable[[], threading.Thread], error: Exception
) -> None:
    record.beats = [error, error]
    thread = renewed()
    for _ in range(4):
        assert record.beaten.acquire(timeout=5)
    assert thread.is_alive()


def test_a_lock_that_is_somebody_elses_is_not_renewed_any_more(
    record: Record, renewed: Callable[[], threading.Thread]
) -> None:
    record.beats = [JournalRefused("it is not yours any more")]
    thread = renewed()
    thread.join(5)
    assert not thread.is_alive()


def test_what_is_recorded_with_the_lock_is_recorded_as_it_is(record: Record) -> None:
    held = tables.Held(cast("Journal", record), 9)
    held.pair("r7", "dropping")
    record.beats = [JournalRefused("gone")]
    with pytest.raises(StageFailedError, match="the lock is lost"):
        held.pair("r7", "dropped")
    assert record.said == ["r7 dropping"]
