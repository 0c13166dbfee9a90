"""`python3 -m scripts.checker VERB`: a JSON object on standard input; the result on standard output.

prepare   writes the rows of a run into a table (control host; see state.prepare)
state     writes a table's rows, a line each (control host; see state.read)
judge     {"history": PATH, "states": {"table item": PATH, …}} -> the verdict; exit status 1 where it does not pass
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.checker.errors import CheckerError
from scripts.checker.history import plain, read_history
from scripts.checker.judge import State, judge
from scripts.checker.verdict import Verdict


def judge_files(history: Path, states: Mapping[str, Path]) -> Verdict:
    """Return the verdict on a log and on files of rows, as the client and `state` write them."""
    with history.open(encoding="utf-8") as lines:
        found = read_history(lines)
    return judge(found, [read_state(name, path) for name, path in states.items()])


def read_state(name: str, path: Path) -> State:
    """Return the state in a file; its columns are those of its rows."""
    rows: dict[str, dict[str, Any]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            rows[row["key"]] = {column: plain(value) for column, value in row["values"].items()}
    columns = {column for row in rows.values() for column in row}
    return State(name, tuple(sorted(columns)), rows)


def main(arguments: list[str]) -> int:
    """Do what the one argument says."""
    if arguments not in (["prepare"], ["state"], ["judge"]):
        print("scripts.checker: use `python3 -m scripts.checker prepare | state | judge`", file=sys.stderr)
        return 2
    document = json.load(sys.stdin)
    try:
        if arguments == ["judge"]:
            states = {name: Path(path) for name, path in document["states"].items()}
            verdict = judge_files(Path(document["history"]), states)
            print(json.dumps(verdict.as_document(), indent=2))
            return 0 if verdict.passed else 1
        from scripts.checker import state  # noqa: PLC0415 - needs the driver, which a judge does not

        if arguments == ["prepare"]:
            print(json.dumps(state.prepare(document)))
        else:
            state.read(document, sys.stdout)
    except (CheckerError, OSError) as error:
        print(f"scripts.checker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
