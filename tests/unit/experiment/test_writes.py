"""What clients wrote is judged by all that they did, or not at all."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from scripts.checker.client import Log
from scripts.experiment import writes as writing
from scripts.experiment.writes import Where, WriteTest, WriteTestError, require_whole
from scripts.inventory import Host, Inventory, Role
from scripts.ssh import CommandError, Result

RING = {"contact_points": ["10.0.0.7"], "datacenter": "north", "keyspace": "shop", "admin_password": "secret"}


class Hosts:
    """What a test sends to its hosts; `answers` are by a part of the line, «{}» to all others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Result | Exception) -> None:
        self.answers = answers
        self.sent: list[tuple[str, Any]] = []
        monkeypatch.setattr(WriteTest, "_ask", lambda *_, **__: Result("password", "", 0))
        monkeypatch.setattr(WriteTest, "_on", lambda _, host, line, stdin="", *__: self.answer(line, stdin))

    def answer(self, line: str, stdin: str) -> Result:
        self.sent.append((line, json.loads(stdin)))
        found = next((answer for part, answer in self.answers.items() if part in line), Result("{}", "", 0))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteTest:
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    return WriteTest(inventory(RING))


def inventory(ring: dict[str, Any]) -> Inventory:
    hosts = tuple(Host(role.value, role, None, "127.0.0.1", "") for role in Role)
    return Inventory("test", "", "service", "", "1.0.0", ("a",), (), hosts, Path(), "", ring)


def history(path: Path, operations: int) -> Path:
    log = Log(str(path))
    log.write(type="run", run="r", columns=["name"], prepared={"rows": 0, "timestamp": 0})
    for number in range(operations):
        log.write(type="invoke", op=number, process=0, kind="insert", key=None, values={"name": "complete"}, at=1.0)
        log.write(type="complete", op=number, outcome="ok", key=f"k{number}", at=2.0)
    return path


def test_a_history_of_all_operations_is_taken(tmp_path: Path) -> None:
    require_whole(history(tmp_path / "history.jsonl", 3), {"operations": 3})


def test_a_history_that_was_cut_short_is_no_verdict_on_the_service(tmp_path: Path) -> None:
    path = history(tmp_path / "history.jsonl", 3)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    assert json.loads(lines[-1])["type"] == "complete"
    path.write_text("".join(lines[:-1]) + lines[-1][:10], "utf-8")
    with pytest.raises(WriteTestError, match="the history has 2 of the 3 operations"):
        require_whole(path, {"operations": 3})


def test_tables_are_read_where_the_stack_has_its_database(writes: WriteTest, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    monkeypatch.setattr(writes, "_keep", lambda *_: Path())
    writes._read_table(Where("item_r4"))
    ((_, document),) = hosts.sent
    assert (document["keyspace"], document["table"]["table"]) == ("shop", "item_r4")
    assert (document["ring"]["datacenter"], document["ring"]["contact_points"]) == ("north", ["10.0.0.7"])
    assert "secret" not in json.dumps(document)


def test_a_stack_that_does_not_say_where_its_database_is_is_refused() -> None:
    with pytest.raises(WriteTestError, match="stack test does not say where its database is: run `pulumi up`"):
        WriteTest(inventory({}))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Result('{"removed": 7, "stay": 0}', "", 0), []),
        (Result('{"removed": 5, "stay": 2}', "", 0), ["2 rows of the checker's clients stay in the table"]),
        (
            CommandError("runner", "client.py", Result("", "the service cannot be read", 1)),
            ["rows of the checker's clients stay in the table: runner: «client.py» ended with status 1: "
             "the service cannot be read"],
        ),
    ],
)  # fmt: skip
def test_rows_that_stay_are_named(
    writes: WriteTest, monkeypatch: pytest.MonkeyPatch, answer: Result | Exception, said: list[str]
) -> None:
    hosts = Hosts(monkeypatch, remove=answer)
    assert writes.remove_rows() == said
    assert hosts.sent == [("python3 client.py remove", {"service": "service", "run": writes.name})]


def test_clients_that_do_not_end_are_no_verdict_on_the_service(
    writes: WriteTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "END_SECONDS", 0.1)
    monkeypatch.setattr(writes, "_on_runner", lambda *_, **__: Result("", "", 0))
    writes._running = Future()
    with pytest.raises(WriteTestError, match=r"the clients were told to end and had not 0\.1 s later"):
        writes._stop()


def test_a_history_that_makes_no_sense_is_no_verdict_on_the_service(
    writes: WriteTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (writes.folder / "history.jsonl").write_text("", "utf-8")
    (writes.folder / "item.jsonl").write_text("", "utf-8")
    monkeypatch.setattr(writes, "_read_table", lambda _: writes.folder / "item.jsonl")
    with pytest.raises(WriteTestError, match="what the clients did cannot be judged: the log does not begin"):
        writes.verdict(through_service=False)
