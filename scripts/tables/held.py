"""Which job a document asks for, and whether a process works on it: a killed one lets go of the lock on a file."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.tables.errors import MisuseError
from scripts.tables.progress import Progress
from scripts.tables.request import read_data

KINDS: Mapping[str, str] = {"backfill": "backfill:run", "compare": "compare:run", "scan": "scan:run"}


def job_name(document: Mapping[str, Any]) -> str:
    """Return the name of the job that a document asks for; `run` tells two of one kind and release apart."""
    kind, run = document.get("kind"), document.get("run", "")
    if kind not in KINDS:
        raise MisuseError(f"kind must be one of {', '.join(KINDS)}")
    if not isinstance(run, str) or not (run.isalnum() or run == ""):
        raise MisuseError("run must be a word of letters and digits")
    number = read_data(document).number
    return f"evenkeel-{kind}-{number}{'-' if run else ''}{run}"


@contextmanager
def held(progress: Progress, name: str) -> Iterator[bool]:
    """Give whether this process is now the one that works on a job; True for one process at a time."""
    with lock_file(progress, name).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def is_held(progress: Progress, name: str) -> bool:
    """Whether some process works on a job."""
    with held(progress, name) as ours:
        return not ours


def lock_file(progress: Progress, name: str) -> Path:
    """Return the file whose lock a job's process holds."""
    return progress.path.with_name(f"{name}.lock")
