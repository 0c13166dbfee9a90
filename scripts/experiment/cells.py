"""The runs of an experiment put into cells, and each cell compared with the runs that had no release.

A cell is a level, a scenario and a strategy. Its baseline are the runs of the same level with the scenario `none`. What
decides is whether its average and its p99 are no worse within the margin (`statistics.inferiority`), each by Holm's
correction over the cells of one strategy: of the whole run, as the thesis has it, and of the time in which the release
ran, which a longer run does not dilute. A level above what the machine carries is shown and not judged: what is
measured there is the queue, not the release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import geometric_mean

from scripts.experiment.errors import FolderError
from scripts.experiment.plan import CONTROLS, RELEASES, Level, ends_otherwise
from scripts.experiment.records import Experiment, Release, Run, read_experiment, read_run
from scripts.experiment.reduce import RunSummary, summary_of, together
from scripts.experiment.statistics.bounds import Rate, rate
from scripts.experiment.statistics.comparison import Comparison, compare, holm
from scripts.experiment.statistics.inferiority import Inferiority, Verdict, inferiority
from scripts.experiment.statistics.shift import Interval, hodges_lehmann, paired_ratio

# Of a release's own time; a run without a release has its whole time instead.
OWN_TIME = {"release_average_ms": "average_ms", "release_p99_ms": "p99_ms"}
JUDGED = (*OWN_TIME.values(), *OWN_TIME)
COMPARED = ("average_ms", "p99_ms", "p999_ms", "max_ms", "error_percent")
OLD_WAY = "halves"


@dataclass(frozen=True)
class Measured:
    """A finished run with its summary."""

    run: Run
    summary: RunSummary


@dataclass(frozen=True)
class Against:
    """One figure of a cell against its baseline. `p` is p_no_worse by Holm, None at a saturated level."""

    inferiority: Inferiority
    p: float | None = None

    @property
    def verdict(self) -> Verdict:
        """No worse, worse, or not to be told."""
        return self.inferiority.verdict(1.0 if self.p is None else self.p)


@dataclass(frozen=True)
class Beside:
    """One figure of a cell beside its baseline by other tests, which decide nothing.

    `paired` is the ratio to the baseline's run of the same block: what drifts from block to block is not in it.
    """

    shift: Interval
    comparison: Comparison | None
    paired: Interval | None


@dataclass(frozen=True)
class Cell:
    """The runs of a level, a scenario and a strategy.

    `against` by what is judged, `beside` by what is compared (COMPARED); both empty for the baseline itself.
    """

    level: Level
    scenario: str
    strategy: str | None
    measured: tuple[Measured, ...]
    against: dict[str, Against] = field(default_factory=dict)
    beside: dict[str, Beside] = field(default_factory=dict)

    @property
    def is_release(self) -> bool:
        """Whether its runs have a release in them."""
        return self.scenario in RELEASES

    @property
    def judged(self) -> tuple[str, ...]:
        """The figures that decide."""
        return JUDGED if self.is_release else tuple(OWN_TIME.values())

    def values(self, figure: str) -> list[float]:
        """A figure of each run, in the order of blocks."""
        return list(self.by_block(figure).values())

    def by_block(self, figure: str) -> dict[int, float]:
        """A figure of each run, by its block."""
        return {each.run.block: value_of(each.summary, figure) for each in self.measured}

    def typical_ms(self, figure: str) -> float:
        """The geometric mean over the runs, which verdicts have as well."""
        return geometric_mean(self.values(figure))

    @property
    def requests(self) -> Rate:
        """Failed requests among all, with the upper bound of their rate."""
        summaries = [measured.summary for measured in self.measured]
        return rate(sum(each.failed for each in summaries), sum(each.requests for each in summaries))

    @property
    def while_released(self) -> Rate:
        """Failed requests among those that were due while a release ran."""
        summaries = [measured.summary for measured in self.measured]
        failed = sum(each.release_failed or 0 for each in summaries)
        return rate(failed, sum(each.release_requests or 0 for each in summaries))

    @property
    def runs(self) -> Rate:
        """Runs in which a request failed, among all: of a cell with releases, the releases that users could see."""
        return rate(sum(measured.summary.failed > 0 for measured in self.measured), len(self.measured))

    @property
    def unexpected(self) -> list[Measured]:
        """Runs whose release did not end as its scenario has it."""
        return [each for each in self.measured if is_otherwise(self.scenario, each.run.release)]

    def percentile_ms(self, percent: float) -> float:
        """A percentile of all the cell's requests, in ms: of rare ones, a single run has too few to tell."""
        histogram = together([measured.summary for measured in self.measured])
        # The histogram names the end of a bucket, which can be a little above the longest time there was.
        return float(min(histogram.get_value_at_percentile(percent) / 1000, max(self.values("max_ms"))))

    @property
    def lost_writes(self) -> list[Measured]:
        """Runs after which a write that had been acknowledged was not there."""
        return [measured for measured in self.measured if measured.run.check_passed is False]

    @property
    def median_run(self) -> Measured:
        """The run whose average is the median one: the one to be shown."""
        ordered = sorted(self.measured, key=lambda measured: measured.summary.average_ms)
        return ordered[(len(ordered) - 1) // 2]


def is_otherwise(scenario: str, release: Release | None) -> bool:
    """Whether an update did not end as its scenario has it."""
    return ends_otherwise(scenario, release.verdict, release.status) if release else ends_otherwise(scenario, None)


def value_of(summary: RunSummary, figure: str) -> float:
    """A figure of a run."""
    value = getattr(summary, figure)
    return float(getattr(summary, OWN_TIME[figure]) if value is None else value)


@dataclass(frozen=True)
class Ratio:
    """A figure of a cell as a ratio to the same cell released by `halves`, block by block."""

    cell: Cell
    old: Cell
    figure: str
    ratio: Interval | None


@dataclass(frozen=True)
class Results:
    """An experiment with its cells, in the order of its levels. `missing` are planned runs that are not measured."""

    experiment: Experiment
    cells: tuple[Cell, ...]
    missing: tuple[str, ...]

    def cell(self, level: str, scenario: str, strategy: str | None) -> Cell | None:
        """The cell of that name, None where nothing was measured."""
        wanted = (level, scenario, strategy)
        return next((c for c in self.cells if (c.level.name, c.scenario, c.strategy) == wanted), None)

    def baseline(self, level: str) -> Cell | None:
        """The runs of a level without a release."""
        return self.cell(level, "none", None)

    def fails_more(self, cell: Cell) -> bool:
        """Whether more of a cell's requests failed than without a release: of all, or of those while it ran."""
        baseline = self.baseline(cell.level.name)
        return max(cell.requests.value, cell.while_released.value) > (baseline.requests.value if baseline else 0.0)

    @property
    def strategies(self) -> list[str]:
        """The strategies that were measured, in their order."""
        return list(dict.fromkeys(cell.strategy for cell in self.cells if cell.strategy))

    @property
    def levels(self) -> list[Level]:
        """The levels that were measured."""
        return [level for level in self.experiment.levels if any(cell.level == level for cell in self.cells)]


def read_results(folder: Path, say: Callable[[str], None] = lambda _: None) -> Results:
    """Read an experiment's folder and compare its cells. Raises FolderError where nothing is measured yet.

    `say` is told of each run whose requests are reduced.
    """
    experiment = read_experiment(folder)
    measured, missing = [], []
    for name in experiment.runs:
        run = read_run(folder / "runs" / name)
        if run is None or run.outcome != "finished":
            missing.append(name)
            continue
        measured.append(Measured(run, summary_of(folder / "runs" / name, say)))
    if not measured:
        raise FolderError(
            f"experiment {experiment.name} has no finished run yet", f"`evenkeel experiment --resume {experiment.name}`"
        )
    return Results(experiment, judged(group(experiment, measured)), tuple(missing))


def group(experiment: Experiment, measured: Sequence[Measured]) -> list[Cell]:
    """The runs by cells: levels in their order, within them `none`, the controls, then releases by strategy."""
    levels = {level.name: level for level in experiment.levels}
    scenarios = ["none", *CONTROLS, *RELEASES]
    found: dict[tuple[str, str, str | None], list[Measured]] = {}
    for each in measured:
        found.setdefault((each.run.level, each.run.scenario, each.run.strategy), []).append(each)

    def place(key: tuple[str, str, str | None]) -> tuple[int, int]:
        return list(levels).index(key[0]), scenarios.index(key[1])

    return [
        Cell(levels[level], scenario, strategy, tuple(sorted(found[level, scenario, strategy], key=in_blocks)))
        for level, scenario, strategy in sorted(found, key=place)
    ]


def in_blocks(measured: Measured) -> int:
    """The order of a cell's runs."""
    return measured.run.block


def judged(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with what they are against their baselines, corrected over the cells of each strategy."""
    baselines = {cell.level.name: cell for cell in cells if cell.scenario == "none"}
    compared = [against_baseline(cell, baselines.get(cell.level.name)) for cell in cells]
    for figure in JUDGED:
        for strategy in {cell.strategy for cell in compared}:
            family = [
                cell for cell in compared
                if cell.strategy == strategy and figure in cell.against and not cell.level.saturated
            ]  # fmt: skip
            corrected = holm([cell.against[figure].inferiority.p_no_worse for cell in family])
            for cell, p in zip(family, corrected, strict=True):
                cell.against[figure] = replace(cell.against[figure], p=p)
    return tuple(compared)


def against_baseline(cell: Cell, baseline: Cell | None) -> Cell:
    """A cell with its figures compared; as it is where there is no baseline or too few runs."""
    if baseline is None or cell is baseline:
        return cell
    tests = {figure: inferiority(baseline.values(figure), cell.values(figure)) for figure in cell.judged}
    return replace(
        cell,
        against={figure: Against(test) for figure, test in tests.items() if test is not None},
        beside={figure: beside(cell, baseline, figure) for figure in COMPARED},
    )


def beside(cell: Cell, baseline: Cell, figure: str) -> Beside:
    """One figure of a cell by the tests that decide nothing."""
    before, after = baseline.values(figure), cell.values(figure)
    shift = hodges_lehmann(before, after)
    if shift is None:
        raise ValueError("a cell has a run at least")
    return Beside(shift, compare(before, after), paired(baseline, cell, figure))


def paired(before: Cell, after: Cell, figure: str) -> Interval | None:
    """The ratio of a figure of two cells, in the blocks that have both."""
    theirs, ours = before.by_block(figure), after.by_block(figure)
    blocks = sorted(ours.keys() & theirs.keys())
    return paired_ratio([theirs[block] for block in blocks], [ours[block] for block in blocks])


def ratios(results: Results) -> list[Ratio]:
    """Every cell of another strategy against the same cell by `halves`, in the blocks that have both."""
    found = []
    for cell in results.cells:
        old = results.cell(cell.level.name, cell.scenario, OLD_WAY)
        if old is None or cell.strategy in (None, OLD_WAY):
            continue
        for figure in ("average_ms", "p99_ms", "p999_ms", "max_ms"):
            found.append(Ratio(cell, old, figure, paired(old, cell, figure)))
    return found
