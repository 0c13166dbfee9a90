"""What is kept of an experiment, under .evenkeel/experiments/NAME/.

    experiment.json          what was asked for, on which machine, the knee, the runs in their order
    runs/ID/run.json         one run: when, what was released, how it ended
    runs/ID/requests.csv.gz  every request of its measured window (load/results.py has the columns)
    runs/ID.tryN/            an earlier try that was not finished, with what there is of it
    soak.csv                 memory and disk before and after each release of a soak
    items/N.json             items that a load left, until they are removed

A run counts as done when its run.json says «finished»: that is written last, so what is killed is run again.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from scripts.experiment.errors import FolderError
from scripts.inventory import ROOT

EXPERIMENTS = ROOT / ".evenkeel" / "experiments"
DOCUMENT = "experiment.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Have a disk that is full, or that is another's, end with one sentence. Raises FolderError."""
    try:
        yield
    except BrokenPipeError:  # no disk: who reads what we say has gone
        raise
    except OSError as error:
        raise FolderError(
            f"{error.filename or path} cannot be used: {error.strerror or error}",
            "see that there is room and that you may write there, then try again",
        ) from error


class Folder:
    """The folder of one experiment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.path.name

    @classmethod
    def create(cls, name: str, document: Mapping[str, Any], under: Path = EXPERIMENTS) -> Folder:
        """Make the folder of a new experiment. Raises FolderError where there is one of that name, or none can be."""
        if not NAME.fullmatch(name):
            raise FolderError(f"«{name}» cannot name a folder", "use letters, digits, dots and dashes, 100 at most")
        folder = cls(under / name)
        with writing(folder.path):
            try:
                folder.path.mkdir(parents=True)
            except FileExistsError:
                raise FolderError(
                    f"there is an experiment {name} already", "give another --name, or go on with --resume"
                ) from None
            try:
                folder.update(**{"name": name, **document})
            except BaseException:
                folder.remove()  # one without a document could neither be gone on with nor be begun again
                raise
        return folder

    @classmethod
    def open(cls, path: Path) -> Folder:
        """The folder of an experiment that was begun; given by its path or by its name."""
        place = path if (path / DOCUMENT).exists() else EXPERIMENTS / path
        folder = cls(place)
        try:
            folder.document = json.loads((place / DOCUMENT).read_text("utf-8"))
        except (OSError, ValueError):
            raise FolderError(
                f"{path} is no folder of an experiment: it has no readable {DOCUMENT}", known_names()
            ) from None
        return folder

    def update(self, **values: Any) -> None:
        """Change experiment.json, so that a reader finds the old or the new one whole."""
        self.document |= values
        write_json(self.path / DOCUMENT, self.document)

    def run_folder(self, run: str) -> Path:
        """Where a run is kept."""
        return self.path / "runs" / run

    def begin_run(self, run: str) -> Path:
        """An empty folder for a run; what an earlier try left is kept beside it: it may be the worst that there was."""
        place = self.run_folder(run)
        if place.exists():
            place.rename(place.with_name(f"{run}.try{len(self.earlier_tries(run)) + 1}"))
        place.mkdir(parents=True)
        return place

    def earlier_tries(self, run: str) -> list[str]:
        """What came of a run's tries that were not finished, a sentence each, in their order."""
        found: list[str] = []
        for number in count(1):
            place = self.run_folder(f"{run}.try{number}")
            if not place.exists():
                break
            document = self.read_run(place.name)
            why = "; ".join(document.get("notes") or ("why is not known",))
            found.append(f"{document.get('outcome', 'interrupted')}, {why}")
        return found

    def keep_items(self, items: Sequence[str]) -> None:
        """Remember items that a load left in the service, so that they can be removed at the end."""
        if items:
            place = self.path / "items"
            place.mkdir(exist_ok=True)
            write_json(place / f"{time.time_ns()}.json", list(items))

    def kept_items(self) -> list[Path]:
        """The files of items that are still to be removed, oldest first."""
        return sorted((self.path / "items").glob("*.json"))

    def read_run(self, run: str) -> dict[str, Any]:
        """What run.json says, empty where there is none yet."""
        try:
            found: dict[str, Any] = json.loads((self.run_folder(run) / "run.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def is_done(self, run: str) -> bool:
        """Whether the run has been measured."""
        return self.read_run(run).get("outcome") == "finished"

    def finished_runs(self) -> list[dict[str, Any]]:
        """What run.json says of each run that has been measured, in their order."""
        runs = [self.read_run(run["id"]) for run in self.document["runs"]]
        return [run for run in runs if run.get("outcome") == "finished"]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been measured, not even the knee."""
        return not (self.document.get("runs") or self.document.get("knee"))

    def remove(self) -> None:
        """Forget the experiment."""
        shutil.rmtree(self.path)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.document.get("state") == "finished"


def newest_unfinished(stack: str, under: Path = EXPERIMENTS) -> Folder | None:
    """The experiment on a stack that was begun last and is not finished; None where there is none."""
    found = []
    for path in under.glob(f"*/{DOCUMENT}"):
        try:
            folder = Folder.open(path.parent)
        except FolderError:
            continue
        if not folder.is_finished and folder.document.get("stack") == stack:
            found.append(folder)
    return max(found, key=lambda folder: float(folder.document.get("created", 0)), default=None)


@contextmanager
def alone(stack: str, under: Path = EXPERIMENTS) -> Iterator[None]:
    """Be the only experiment on a stack from this tree; another one's load would be measured, too. Ends with us."""
    under.mkdir(parents=True, exist_ok=True)
    with (under / f".{stack}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(
                f"another experiment runs on stack {stack}", "wait for its end, or press Ctrl-C there"
            ) from None
        yield


def new_name(kind: str) -> str:
    """A name for an experiment that begins now."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{kind}"


def known_names(under: Path = EXPERIMENTS) -> str:
    """What experiments there are, for a hint."""
    names = sorted(path.parent.name for path in under.glob(f"*/{DOCUMENT}"))
    return f"there are {', '.join(names)}" if names else "there is none yet; `evenkeel experiment --quick` makes one"


def write_json(path: Path, document: Any) -> None:
    """Write JSON so that a reader finds the old or the new one whole."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    new.replace(path)
