"""What a whole experiment came to, in a few sentences for the terminal; the page has the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.experiment import soak
from scripts.experiment.folder import Folder
from scripts.experiment.plan import EXPECTED, ends_otherwise
from scripts.experiment.report_words import runs_in_words


def sentences(folder: Folder) -> list[str]:
    """A sentence for each strategy and for the runs without a release; for a soak, what memory and disk did."""
    runs = folder.finished_runs()
    strategies = dict.fromkeys(run["strategy"] for run in runs)
    found = [
        in_words(strategy or "no release", [run for run in runs if run["strategy"] == strategy])
        for strategy in sorted(strategies, key=lambda name: (name is not None, name))
    ]
    table = folder.path / soak.TABLE
    return found + (soak.verdict(table) if table.exists() else [])


def faults(folder: Folder) -> list[str]:
    """What no experiment may end well with, in sentences: a release that ended otherwise than planned, a lost write.

    How many requests fail, and how long they take, is what an experiment is made to find out. A soak is a test: there a
    failed request, a run that was made again because it could not be made, and memory or disk that grows or of which
    it cannot be told, is a fault as well.
    """
    runs = folder.finished_runs()
    found = [f"{run['id']}: the release ended otherwise than planned" for run in runs if is_otherwise(run)]
    found += [f"{run['id']}: acknowledged writes are missing" for run in runs if not is_sound(run)]
    if folder.document["kind"] == "soak":
        found += [f"{run['id']}: {run['failed']} requests failed" for run in runs if run["failed"]]
        found += [
            f"{run['id']}: {refused(run)} of the writes that are followed up failed" for run in runs if refused(run)
        ]
        found += [f"{run['id']} was tried before: {each}" for run in runs for each in broken_off(folder, run["id"])]
        found += soak.faults(folder.path / soak.TABLE)
    return found


def refused(run: Mapping[str, Any]) -> int:
    """How many writes of the clients whose every write is followed up failed."""
    return int(((run.get("check") or {}).get("clients") or {}).get("failed_requests", 0))


def broken_off(folder: Folder, run: str) -> list[str]:
    """What came of a run's tries that ended by themselves before the run did; who pressed Ctrl-C knows why."""
    return [each for each in folder.earlier_tries(run) if not each.startswith("interrupted")]


def is_otherwise(run: Mapping[str, Any]) -> bool:
    """Whether a run has an update and it did not end as its scenario has it."""
    release = run["release"] or {}
    return ends_otherwise(run["scenario"], release.get("verdict"), release.get("status"))


def is_sound(run: Mapping[str, Any]) -> bool:
    """Whether no acknowledged write of a run is missing, as far as it was followed up."""
    return bool((run.get("check") or {"passed": True})["passed"])


def in_words(name: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """What the runs of a strategy came to. Levels above what the machine carries are told apart."""
    releases = [run for run in runs if run["scenario"] in EXPECTED]
    otherwise = sum(is_otherwise(run) for run in releases)
    count = "1 release" if len(releases) == 1 else f"{len(releases)} releases"
    told = f"{count}, {otherwise} ended otherwise than planned; " if releases else ""
    return f"{name}: {told}{counted([run for run in runs if not run['saturated']])}" + (
        f"; above what the machine carries: {counted(above)}"
        if (above := [run for run in runs if run["saturated"]])
        else ""
    )


def counted(runs: Sequence[Mapping[str, Any]]) -> str:
    """Requests and failures of some runs; one that left no result has failed, too."""
    twice = sum(run["duplicates"] or 0 for run in runs)
    said = f"{sum(run['sent'] for run in runs):,} requests, {sum(run['failed'] for run in runs):,} failed"
    checked = [run for run in runs if run.get("check")]
    lost = sum(not is_sound(run) for run in checked)
    told = f"; writes followed up in {runs_in_words(len(checked))}, acknowledged ones missing after {lost}"
    told += f", {failed:,} failed" if (failed := sum(refused(run) for run in checked)) else ""
    return said + (f", {twice} sent twice by their client" if twice else "") + (told if checked else "")
