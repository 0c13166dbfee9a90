"""What the report says of the machine: how busy and how quick it was, and what of it a level leaves to a release."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from scripts.experiment.cells import Measured, Results
from scripts.experiment.knee import carries
from scripts.experiment.plan import Level
from scripts.experiment.reduce import RunSummary
from scripts.experiment.report_words import UNKNOWN, factor, percent

IDLE = ("none", "aa")
# Of two processors on which all hosts are a release takes as much (docs/experiment.md); of more it takes less.
ROOM = 0.3
QUIET_SHARE = 0.02  # of the processors, taken by others in a run: less is not worth a word
EVEN = 1.15  # the same work's slowest time to its quickest, without a release: less is not worth a word


def without_release(results: Results, level: Level) -> list[Measured]:
    """A level's runs in which nothing was released."""
    return [
        measured
        for cell in results.cells
        if cell.level == level and cell.scenario in IDLE
        for measured in cell.measured
    ]


def free(results: Results, level: Level) -> float | None:
    """The share of the processors that a level's runs without a release leave, on average; None where not known."""
    runs = [measured.run for measured in without_release(results, level)]
    return mean_of([None if run.busy is None else 1 - run.busy - (run.stolen or 0.0) for run in runs])


def carried(results: Results, level: Level) -> tuple[int, int]:
    """In how many of a level's runs without a release the machine carried it, and of how many."""
    found = [measured.summary for measured in without_release(results, level)]
    return sum(is_carried(summary) for summary in found), len(found)


def is_carried(summary: RunSummary) -> bool:
    """Whether the machine carried a run's load, by what makes a knee; «done» is begun, for late answers are in p99."""
    due = summary.requests + summary.unsent
    return due > 0 and carries(summary.p99_ms, summary.failed / due, summary.requests / due)


def carried_in_words(results: Results, level: Level) -> str:
    """In how many of a level's runs without a release the machine carried it; UNKNOWN where there is none."""
    good, count = carried(results, level)
    return f"{good} of {count}" if count else UNKNOWN


def slowed(results: Results) -> dict[str, str]:
    """{run: how much longer the same piece of work took in it than in the quickest one}; UNKNOWN without an account."""
    took = {measured.run.id: measured.run.work_ms for cell in results.cells for measured in cell.measured}
    quickest = min((ms for ms in took.values() if ms), default=0.0)
    return {run: factor(ms / quickest) if ms else UNKNOWN for run, ms in took.items()}


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of what is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def taken(share: float | None) -> str:
    """A share of the processors in words; UNKNOWN where there is no account of it."""
    return UNKNOWN if share is None else percent(share)


def remarks(results: Results) -> list[str]:
    """What a reader should know of the machine before taking times as they are."""
    levels = [level for level in results.levels if not level.saturated]
    said = [say(results, level) for say in (uneven, not_carried, crowded) for level in levels]
    return [sentence for sentence in (stolen(results), *said) if sentence]


def stolen(results: Results) -> str:
    """The sentence on a machine that others used as well; empty where they did not."""
    shares = [m.run.stolen for cell in results.cells for m in cell.measured if m.run.stolen is not None]
    if not shares or max(shares) <= QUIET_SHARE:
        return ""
    least, most = percent(min(shares)), percent(max(shares))
    return (
        f"this machine was not alone: its hypervisor gave others {least} to {most} of the processors during a run, so "
        "that times differ by more than what a release costs"
    )


def uneven(results: Results, level: Level) -> str:
    """The sentence on a machine that was not equally quick in a level's runs without a release; empty where it was."""
    known = [measured.run.work_ms for measured in without_release(results, level) if measured.run.work_ms]
    if not known or max(known) <= EVEN * min(known):
        return ""
    return (
        f"level {level.label}: this machine was not equally quick: the same work took up to "
        f"{factor(max(known) / min(known))} as long in one run without a release as in another, so that it is less "
        "sure what a release costs"
    )


def not_carried(results: Results, level: Level) -> str:
    """The sentence on a level not above the knee that the machine did not carry all the time; empty where it did."""
    good, count = carried(results, level)
    if results.experiment.knee is None or good == count:
        return ""
    return (
        f"level {level.label} is not above the knee, and yet this machine did not carry it in {count - good} of "
        f"{count} runs without a release: part of what is seen there is the queue"
    )


def crowded(results: Results, level: Level) -> str:
    """The sentence on a level that leaves a release little of the processors that it shares with users, else empty."""
    share = free(results, level)
    if share is None or share >= ROOM:
        return ""
    return (
        f"level {level.label} leaves {percent(share)} of this machine's processors free without a release: users wait "
        "for what a release does on the same ones"
    )
