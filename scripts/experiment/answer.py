"""«Did users notice?»: the one answer of an experiment for each strategy, and the sentences that say why.

Pure. Users noticed where more requests failed than without a release, where an acknowledged write is not there, or
where times got worse than the margin allows. They did not where nothing more failed and every level shows that times
are no worse. Everything between, such as too few runs, a release that was planned and not measured, or one that ended
otherwise than planned, is «cannot be told». Where nothing was measured without a release, only failures are looked at.
Levels above what the machine carries have no say in times and failed requests, and are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scripts.experiment.cells import Cell, Results
from scripts.experiment.report_words import runs_in_words
from scripts.experiment.statistics.bounds import Rate, rate
from scripts.experiment.statistics.inferiority import Verdict

NAMES = {
    "average_ms": "average",
    "p99_ms": "99th percentile",
    "release_average_ms": "average while it ran",
    "release_p99_ms": "99th percentile while it ran",
}


class Noticed(StrEnum):
    """Whether users noticed the releases."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "cannot be told"
    NO_FAILURE = "no failed request"  # and no runs without a release, as in a soak, to compare times with


@dataclass(frozen=True)
class Answer:
    """The answer for a strategy. `requests` and `releases` are failures among all of its judged runs."""

    strategy: str
    noticed: Noticed
    requests: Rate
    releases: Rate
    reasons: tuple[str, ...]


def answers(results: Results) -> list[Answer]:
    """An answer for each strategy that was measured."""
    return [answer(results, strategy) for strategy in results.strategies]


def answer(results: Results, strategy: str) -> Answer:
    """The answer for one strategy."""
    cells = [cell for cell in results.cells if cell.strategy == strategy and cell.is_release]
    fit = [cell for cell in cells if not cell.level.saturated]
    bad = [sentence for cell in cells for sentence in lost(cell)]
    bad += [sentence for cell in fit for sentence in complaints(results, cell)]
    if bad:
        return Answer(strategy, Noticed.YES, all_requests(fit), all_releases(fit), tuple(bad))
    if not fit:
        where = "every level is above what this machine carries" if cells else "no run with a release is finished"
        return Answer(strategy, Noticed.UNKNOWN, all_requests(cells), all_releases(cells), (where,))
    odd = unmade(results, strategy) + [sentence for cell in cells for sentence in ended_otherwise(cell)]
    if odd:
        return Answer(strategy, Noticed.UNKNOWN, all_requests(fit), all_releases(fit), tuple(odd))
    if not any(results.baseline(cell.level.name) for cell in fit):
        only = "there are no runs without a release: times are not compared"
        return Answer(strategy, Noticed.NO_FAILURE, all_requests(fit), all_releases(fit), (only,))
    open_questions = [sentence for cell in fit for sentence in doubts(cell)]
    if open_questions:
        return Answer(strategy, Noticed.UNKNOWN, all_requests(fit), all_releases(fit), tuple(open_questions))
    where = "of whole runs and while the release ran"
    kept = f"average and 99th percentile, {where}, stayed within the margin in all {len(fit)} cells"
    above = sorted({cell.level.label for cell in cells if cell.level.saturated})
    said = [f"above what this machine carries, and not judged: {', '.join(above)}"] if above else []
    return Answer(strategy, Noticed.NO, all_requests(fit), all_releases(fit), (kept, *said))


def lost(cell: Cell) -> list[str]:
    """The runs of a cell that lost writes, in one sentence."""
    count = len(cell.lost_writes)
    return [f"{name(cell)}: acknowledged writes were lost in {count} of {len(cell.measured)} runs"] if count else []


def unmade(results: Results, strategy: str) -> list[str]:
    """The releases of a strategy that were planned and are not measured, in one sentence."""
    count = sum(run.split("-")[3:-1] == [strategy] for run in results.missing)  # as plan.make_runs names them
    return [f"{runs_in_words(count)} with a release planned and not measured"] if count else []


def ended_otherwise(cell: Cell) -> list[str]:
    """The releases of a cell that did not end as its scenario has it, in one sentence: it shows nothing of those."""
    count = len(cell.unexpected)
    return [f"{name(cell)}: {count} of {len(cell.measured)} ended otherwise than planned"] if count else []


def complaints(results: Results, cell: Cell) -> list[str]:
    """What users noticed in a cell, in one sentence."""
    found = []
    if results.fails_more(cell):
        within = cell.while_released.failures
        when = f", {within:,} of them while the release ran" if within else ""
        found.append(f"{cell.requests.failures:,} of {cell.requests.tries:,} requests failed{when}")
    for figure, against in cell.against.items():
        if against.verdict is Verdict.WORSE:
            found.append(f"{NAMES[figure]} {against.inferiority.ratio:.2f} times as long")
    return [f"{name(cell)}: {', '.join(found)}"] if found else []


def doubts(cell: Cell) -> list[str]:
    """What cannot be told of a cell."""
    open_figures = [
        NAMES[figure] for figure in cell.judged
        if figure not in cell.against or cell.against[figure].verdict is not Verdict.NO_WORSE
    ]  # fmt: skip
    if not open_figures:
        return []
    count = runs_in_words(len(cell.measured))
    return [f"{name(cell)}: {count} cannot show whether the {' and the '.join(open_figures)} stayed within the margin"]


def name(cell: Cell) -> str:
    """A cell in words."""
    return f"{cell.level.label}, {cell.scenario}{' release' if cell.is_release else ''}"


def all_requests(cells: Sequence[Cell]) -> Rate:
    """Failed requests of several cells."""
    rates = [cell.requests for cell in cells]
    return rate(sum(each.failures for each in rates), sum(each.tries for each in rates))


def all_releases(cells: Sequence[Cell]) -> Rate:
    """Releases of several cells in which a request failed."""
    rates = [cell.runs for cell in cells]
    return rate(sum(each.failures for each in rates), sum(each.tries for each in rates))
