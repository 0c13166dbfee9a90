"""The report's tables: results in, headings and rows of text out; HTML and Markdown draw the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from scripts.experiment.answer import NAMES as FIGURE_NAMES
from scripts.experiment.cells import OWN_TIME, Against, Cell, Measured, Results, ratios
from scripts.experiment.plan import RELEASES, Level
from scripts.experiment.report_machine import carried_in_words, free, mean_of, slowed, taken
from scripts.experiment.report_words import (
    UNKNOWN,
    between,
    factor,
    failures,
    milliseconds,
    percent,
    probability,
    shift,
)
from scripts.experiment.statistics.inferiority import Verdict
from scripts.experiment.thesis.appendix import LEVELS as THESIS_LEVELS
from scripts.experiment.thesis.appendix import values as thesis_values

STRATEGIES = {None: UNKNOWN, "bluegreen": "blue-green", "halves": "halves", "rolling": "rolling", "canary": "canary"}
SCENARIOS = {
    "none": "no release",
    "successful": "successful",
    "failing": "failing",
    "aa": "no release, again",
    "unchanged": "`up` without change",
}
TONES = {Verdict.NO_WORSE: "good", Verdict.WORSE: "bad", Verdict.INCONCLUSIVE: "open"}
FIGURES = FIGURE_NAMES | {"p999_ms": "99.9th percentile", "max_ms": "longest", "error_percent": "failed, percent"}


@dataclass(frozen=True)
class Text:
    """A table's cell: lines of text, and how it is to be taken: «good», «bad», «open», or «»."""

    lines: tuple[str, ...]
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table. `number_from` is the first column whose cells are figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    number_from: int = 3


def row(*cells: str | Text) -> tuple[Text, ...]:
    """A row of a table."""
    return tuple(cell if isinstance(cell, Text) else Text((cell,)) for cell in cells)


def level_name(level: Level) -> str:
    """A level, with a word where the machine cannot carry it."""
    return f"{level.label} (saturated)" if level.saturated else level.label


def glance(results: Results) -> Table:
    """What a release costs users: in the thesis, then by each strategy here; a row a kind of release."""
    strategies = sorted(results.strategies, key=lambda strategy: strategy == "bluegreen")
    rows = []
    for level in results.levels:
        for scenario in RELEASES:
            cells = [results.cell(level.name, scenario, strategy) for strategy in strategies]
            if any(cells):
                texts = [cost(results, cell) for cell in cells]
                kind = "a successful release" if scenario == "successful" else "a failing release, rolled back"
                rows.append(row(level_name(level), kind, thesis_cost(level.name, scenario), *texts))
    names = [STRATEGIES.get(strategy) or str(strategy) for strategy in strategies]
    return Table(("load", "during", "the thesis", *(f"{name}, here" for name in names)), tuple(rows), number_from=9)


def cost(results: Results, cell: Cell | None) -> Text:
    """Average time against no release, and failed requests."""
    if cell is None:
        return Text((UNKNOWN,))
    baseline = results.baseline(cell.level.name)
    count = cell.requests
    lost = f"{percent(count.value)} failed ({count.failures:,})" if count.failures else "0 failed"
    if baseline is None:
        return Text((f"{milliseconds(cell.typical_ms('average_ms'))} ms", lost), "bad" if count.failures else "")
    ratio = factor(cell.typical_ms("average_ms") / baseline.typical_ms("average_ms"))
    return Text((f"{ratio} the time", lost), tone_of(results, cell))


def tone_of(results: Results, cell: Cell) -> str:
    """How a cell as a whole is to be taken; a saturated level is not judged."""
    if cell.level.saturated:
        return ""
    verdicts = {against.verdict for against in cell.against.values()}
    if results.fails_more(cell) or cell.lost_writes or Verdict.WORSE in verdicts:
        return "bad"
    is_good = verdicts == {Verdict.NO_WORSE} and len(cell.against) == len(cell.judged) and not cell.unexpected
    return "good" if is_good else "open"


def thesis_cost(level: str, scenario: str) -> Text:
    """The same of the thesis, from its rows."""
    if level not in THESIS_LEVELS:
        return Text(("not measured",))
    before, after = (fmean(thesis_values(level, each, "average_ms")) for each in ("none", scenario))
    lost = fmean(thesis_values(level, scenario, "error_percent", corrected=True))
    return Text((f"{factor(after / before)} the time", f"{percent(lost / 100)} failed"))


def verdicts(results: Results) -> Table:
    """Is it no worse? A row a figure of each cell."""
    rows = [verdict_row(cell, figure, against) for cell in results.cells for figure, against in cell.against.items()]
    headings = ("load", "scenario", "strategy", "figure", "without, ms", "with, ms", "ratio", "90 % interval",
                "margin", "p (Holm)", "verdict")  # fmt: skip
    return Table(headings, tuple(rows), number_from=4)


def verdict_row(cell: Cell, figure: str, against: Against) -> tuple[Text, ...]:
    """One figure of one cell."""
    test = against.inferiority
    verdict = (
        Text(("not judged: saturated",)) if cell.level.saturated else Text((against.verdict,), TONES[against.verdict])
    )
    return row(
        *names_of(cell),
        FIGURES[figure],
        milliseconds(test.baseline_ms),
        milliseconds(test.release_ms),
        factor(test.ratio),
        between(test.low, test.high),
        factor(test.margin),
        probability(against.p),
        verdict,
    )


def comparisons(results: Results) -> Table:
    """The same cells by other tests, for comparison with the thesis."""
    rows = []
    for cell in results.cells:
        for figure, beside in cell.beside.items():
            tests = beside.comparison
            found = (tests.student, tests.welch, tests.mann_whitney) if tests else (None, None, None)
            same = cell.against[figure].inferiority.p_same if figure in cell.against else None
            ratio = beside.paired
            rows.append(row(
                *names_of(cell), FIGURES[figure], shift(beside.shift),
                f"{factor(ratio.value)} ({between(ratio.low, ratio.high)})" if ratio else UNKNOWN,
                probability(same), *(probability(p) for p in found),
            ))  # fmt: skip
    headings = ("load", "scenario", "strategy", "figure", "shift (95 %)", "ratio in the same block (95 %)",
                "p, the same (TOST)", "p, Student", "p, Welch", "p, Mann-Whitney")  # fmt: skip
    return Table(headings, tuple(rows), number_from=4)


def failed(results: Results) -> Table:
    """What went wrong for users, with bounds; availability; capacity."""
    headings = ("load", "scenario", "strategy", "runs", "failed requests", "runs with a failure", "good requests",
                "worst second", "servers")  # fmt: skip
    rows = [
        row(
            *names_of(cell),
            str(len(cell.measured)),
            Text((failures(cell.requests),), "bad" if cell.requests.failures else "good"),
            failures(cell.runs),
            percent(fmean(cell.values("availability"))),
            percent(min(cell.values("worst_second"))),
            servers(cell),
        )
        for cell in results.cells
    ]
    return Table(headings, tuple(rows))


def times(results: Results) -> Table:
    """How long users waited, in ms: typical runs, and the longest of all."""
    headings = ("load", "scenario", "strategy", "average", "p50", "p99", "p99.9", "p99.9 of all", "max",
                "average while it ran", "p99 while it ran", "processors busy", "taken by others")  # fmt: skip
    rows = [
        row(
            *names_of(cell),
            *(milliseconds(cell.typical_ms(figure)) for figure in ("average_ms", "p50_ms", "p99_ms", "p999_ms")),
            milliseconds(cell.percentile_ms(99.9)),
            milliseconds(max(cell.values("max_ms"))),
            *(milliseconds(cell.typical_ms(figure) if cell.is_release else None) for figure in OWN_TIME),
            taken(mean_of([measured.run.busy for measured in cell.measured])),
            taken(mean_of([measured.run.stolen for measured in cell.measured])),
        )
        for cell in results.cells
    ]
    return Table(headings, tuple(rows))


def servers(cell: Cell) -> str:
    """The fewest application servers that served, of how many."""
    known = [m.summary for m in cell.measured if m.summary.capacity_least is not None]
    if not known:
        return UNKNOWN
    least = min(summary.capacity_least or 0 for summary in known)
    return f"{least} of {max(summary.capacity_start or 0 for summary in known)}"


def against_halves(results: Results) -> Table | None:
    """Ratios to the thesis's way in the same blocks; None where it was not measured."""
    found = ratios(results)
    if not found:
        return None
    rows = [
        row(
            *names_of(ratio.cell),
            FIGURES[ratio.figure],
            factor(ratio.ratio.value) if ratio.ratio else UNKNOWN,
            between(ratio.ratio.low, ratio.ratio.high) if ratio.ratio else UNKNOWN,
            str(ratio.ratio.count if ratio.ratio else 0),
            f"{ratio.cell.requests.failures:,} / {ratio.old.requests.failures:,}",
        )
        for ratio in found
    ]
    headings = ("load", "scenario", "strategy", "figure", "ratio to halves", "95 % interval", "blocks",
                "failed: here / halves")  # fmt: skip
    return Table(headings, tuple(rows), number_from=4)


def levels(results: Results) -> Table:
    """The levels, whether the machine carries them, and what of its processors they leave to a release."""
    is_known = results.experiment.knee is not None
    rows = [
        row(
            level.label,
            str(level.workers),
            f"{level.rate:g}",
            beside_knee(level, is_known),
            carried_in_words(results, level),
            taken(free(results, level)),
        )
        for level in results.levels
    ]
    headings = ("level", "users at most", "requests/s", "the knee", "carried, of the runs without a release",
                "processors free without a release")  # fmt: skip
    return Table(headings, tuple(rows), number_from=1)


def beside_knee(level: Level, is_known: bool) -> Text:
    """Whether the machine carries a level, where the knee is known."""
    if not is_known:
        return Text(("not known: the knee was not looked for",), "open")
    return Text(("above it: not judged",), "open") if level.saturated else Text(("not above it",), "good")


def runs(results: Results) -> Table:
    """Every run, in the order in which they were made."""
    measured = sorted((each for cell in results.cells for each in cell.measured), key=lambda each: each.run.order)
    headings = ("run", "release", "requests", "failed", "average", "p99", "p99.9", "max", "good", "worst second",
                "sent twice", "tried again by HAProxy", "processors busy", "taken by others",
                "same work, to the quickest run")  # fmt: skip
    times_as_long = slowed(results)
    return Table(headings, tuple(run_row(each, times_as_long[each.run.id]) for each in measured), number_from=2)


def run_row(measured: Measured, times_as_long: str) -> tuple[Text, ...]:
    """One run, and how much longer the same work took in it than in the quickest one."""
    run, summary = measured.run, measured.summary
    release = f"{run.release.version} {run.release.verdict}, {run.release.seconds:.0f} s" if run.release else UNKNOWN
    return row(
        run.id,
        release,
        f"{summary.requests:,}",
        Text((f"{summary.failed:,}",), "bad" if summary.failed else ""),
        *(milliseconds(value) for value in (summary.average_ms, summary.p99_ms, summary.p999_ms, summary.max_ms)),
        percent(summary.availability),
        percent(summary.worst_second),
        *(UNKNOWN if count is None else str(count) for count in (run.duplicates, run.proxy_retries)),
        taken(run.busy),
        taken(run.stolen),
        times_as_long,
    )


def names_of(cell: Cell) -> tuple[str, str, str]:
    """A cell's level, scenario and strategy."""
    return level_name(cell.level), SCENARIOS[cell.scenario], STRATEGIES.get(cell.strategy) or str(cell.strategy)
