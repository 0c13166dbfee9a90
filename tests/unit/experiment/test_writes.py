"""What clients wrote is judged by all that they did, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.checker.client import Log
from scripts.experiment.writes import WriteTestError, require_whole


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
