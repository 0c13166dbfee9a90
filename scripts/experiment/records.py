"""What is kept of an experiment, read back: experiment.json, each run's run.json, and its requests as columns.

`folder` writes these files and has their names; here they become dataclasses, and a file that cannot be read becomes
one sentence.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.experiment.errors import FolderError
from scripts.experiment.plan import Level

REQUESTS = "requests.csv.gz"
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """A stage of a release, unix seconds; `ended` None where it was interrupted."""

    name: str
    started: float
    ended: float | None
    state: str


@dataclass(frozen=True)
class Release:
    """The release of a run. `verdict` as the journal says it; `seconds` from `started` to the end of `pulumi up`."""

    version: str
    previous: str
    verdict: str
    status: int | None
    started: float | None
    seconds: float
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Run:
    """A run as run.json has it. `capacity` is (unix seconds, application servers that serve); None: not known.

    `busy` is the share of the machine's processors that had something to do, `stolen` what others were given,
    `work_ms` what the same piece of work took of a processor, on average.
    """

    id: str
    level: str
    scenario: str
    strategy: str | None
    block: int
    order: int
    outcome: str
    rate: float
    workers: int
    seconds: float
    release: Release | None
    offered: int | None
    missing: int
    duplicates: int | None
    proxy_retries: int | None
    lag_p99_ms: float | None
    busy: float | None
    stolen: float | None
    work_ms: float | None
    capacity: tuple[tuple[float, int], ...]
    check_passed: bool | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A rate that was tried while looking for the knee. `achieved` is requests answered in time a second."""

    rate: float
    p99_ms: float
    error_ratio: float
    achieved: float


@dataclass(frozen=True)
class Experiment:
    """experiment.json. `knee` is the highest rate that is carried, None where it was not looked for."""

    name: str
    kind: str
    state: str
    created: float
    seed: int | None
    stack: str
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: int | None
    knee: float | None
    steps: tuple[Step, ...]
    levels: tuple[Level, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Requests:
    """A run's requests by columns, in the order of the schedule. Nanoseconds; `scheduled` since the unix epoch.

    `latency` is from when a request was due until its answer was there; `right` is 1 for the right status and body.
    """

    scheduled: Numbers
    latency: Numbers
    right: Numbers
    errors: tuple[str, ...]
    versions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scheduled)


def read_experiment(folder: Path) -> Experiment:
    """Read experiment.json. Raises FolderError."""
    document = read_json(folder / "experiment.json", "an experiment's folder has one, made by `evenkeel experiment`")
    knee = document.get("knee")
    try:
        return Experiment(
            name=document.get("name", folder.name),
            kind=document.get("kind", "custom"),
            state=document.get("state", "finished"),
            created=float(document["created"]),
            seed=document.get("seed"),
            stack=document.get("stack") or "",
            machine=document.get("machine") or {},
            settings=document.get("settings") or {},
            rows=document.get("rows"),
            knee=float(knee["rate"]) if knee else None,
            steps=tuple(parse_step(step) for step in knee["steps"]) if knee else (),
            levels=tuple(
                Level(level["name"], level["workers"], level["rate"], bool(level.get("saturated")))
                for level in document["levels"]
            ),
            runs=tuple(run["id"] for run in document["runs"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FolderError(f"{folder / 'experiment.json'} is no experiment: {describe(error)}") from error


def parse_step(step: Mapping[str, Any]) -> Step:
    """A step of the search for the knee."""
    return Step(float(step["rate"]), float(step["p99_ms"]), float(step["error_ratio"]), float(step["achieved"]))


def read_run(folder: Path) -> Run | None:
    """Read a run's run.json; None where the run has not been begun. Raises FolderError for one that is damaged."""
    path = folder / "run.json"
    if not path.exists():
        return None
    document = read_json(path, "remove the run's folder, then `evenkeel experiment --resume`")
    try:
        return parse_run(document)
    except (KeyError, TypeError, ValueError) as error:
        raise FolderError(
            f"{path} is no run: {describe(error)}", "remove the run's folder, then `evenkeel experiment --resume`"
        ) from error


def parse_run(document: Mapping[str, Any]) -> Run:
    """A run from what its run.json says."""
    release = document.get("release")
    check = document.get("check")
    return Run(
        id=document["id"],
        level=document["level"],
        scenario=document["scenario"],
        strategy=document.get("strategy"),
        block=int(document["block"]),
        order=int(document["order"]),
        outcome=document["outcome"],
        rate=float(document["rate"]),
        workers=int(document["workers"]),
        seconds=float(document["seconds"]),
        release=parse_release(release) if release else None,
        offered=document.get("offered"),
        missing=document.get("missing") or 0,
        duplicates=document.get("duplicates"),
        proxy_retries=document.get("proxy_retries"),
        lag_p99_ms=document.get("lag_p99_ms"),
        busy=document.get("busy"),
        stolen=document.get("stolen"),
        work_ms=document.get("work_ms"),
        capacity=tuple((float(sample["at"]), int(sample["serving"])) for sample in document.get("capacity") or ()),
        check_passed=bool(check["passed"]) if check else None,
        notes=tuple(document.get("notes") or ()),
    )


def parse_release(document: Mapping[str, Any]) -> Release:
    """The release of a run."""
    return Release(
        version=document.get("version") or "",
        previous=document.get("from") or "",
        verdict=document.get("verdict") or "",
        status=document.get("status"),
        started=document.get("started"),
        seconds=float(document.get("seconds") or 0.0),
        stages=tuple(
            Stage(stage["name"], float(stage["started"]), stage.get("ended"), stage.get("state") or "")
            for stage in document.get("stages") or ()
            if stage.get("started")
        ),
    )


def read_requests(folder: Path) -> Requests:
    """Read a run's requests.csv.gz. Raises FolderError for a file that is missing, cut off or of another form."""
    path = folder / REQUESTS
    hint = "remove the run's folder, then `evenkeel experiment --resume`"
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        scheduled, latency, right = (
            np.array([int(line[name]) for line in lines], np.int64) for name in ("scheduled_ns", "latency_ns", "right")
        )
        errors, versions = (tuple(line[name] for line in lines) for name in ("error", "version"))
        return Requests(scheduled, latency, right, errors, versions)
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {describe(error)}", hint) from error


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """A JSON document. Raises FolderError."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {describe(error)}", hint) from error
    if not isinstance(document, dict):
        raise FolderError(f"{path} is no JSON object", hint)
    return document


def describe(error: Exception) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
