"""Runs become cells, cells verdicts, verdicts one answer: what is said of experiments whose truth is known."""

from dataclasses import replace

import pytest

from scripts.experiment.answer import Noticed, answer, answers
from scripts.experiment.cells import judged, ratios, read_results
from scripts.experiment.errors import FolderError
from scripts.experiment.folder import write_json
from scripts.experiment.records import read_run
from scripts.experiment.reduce import summary_of
from scripts.experiment.statistics.inferiority import Verdict
from tests.unit.experiment.simulated import Simulation, edit_run, write_experiment

RUN = "002-low-successful-bluegreen-1"
BRIEF = {"levels": ("low", "medium"), "seconds": 10, "noise": 0.02}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Five blocks in which `halves` doubles times and fails requests, and `bluegreen` does neither."""
    folder = write_experiment(tmp_path_factory.mktemp("cells") / "one", Simulation(**BRIEF))
    return read_results(folder)


@pytest.fixture
def simulated(tmp_path):
    def make(**changes):
        return read_results(write_experiment(tmp_path / "one", Simulation(**{**BRIEF, **changes})))

    return make


def test_every_run_is_in_the_cell_it_was_planned_for_in_the_order_of_blocks(results):
    assert len(results.cells) == 2 * 5
    for cell in results.cells:
        assert [measured.run.block for measured in cell.measured] == [1, 2, 3, 4, 5]
        assert {(m.run.level, m.run.scenario, m.run.strategy) for m in cell.measured} == {
            (cell.level.name, cell.scenario, cell.strategy)
        }
    assert [cell.scenario for cell in results.cells[:2]] == ["none", "successful"]


def test_a_strategy_that_costs_nothing_is_no_worse_and_users_did_not_notice(results):
    for cell in results.cells:
        if cell.strategy == "bluegreen":
            assert {against.verdict for against in cell.against.values()} == {Verdict.NO_WORSE}
    found = answer(results, "bluegreen")
    assert found.noticed is Noticed.NO
    assert (found.requests.failures, found.releases.failures, found.releases.tries) == (0, 0, 20)
    assert found.releases.upper == pytest.approx(1 - 0.05 ** (1 / 20))


def test_a_strategy_that_fails_requests_and_doubles_times_was_noticed(results):
    found = answer(results, "halves")
    assert found.noticed is Noticed.YES
    assert found.requests.failures > 0
    assert any("requests failed" in reason for reason in found.reasons)
    assert len(found.reasons) == 4  # one a cell
    assert any("medium" in reason and "average 1." in reason and "times as long" in reason for reason in found.reasons)


def test_a_long_run_does_not_hide_what_its_release_costs(results):
    cell = results.cell("medium", "successful", "halves")
    # Times are 1.9 times as long in the release, which takes 60 % of the run; the failed ones take 5 s.
    own, whole = (cell.against[figure].inferiority.ratio for figure in ("release_average_ms", "average_ms"))
    assert own > 1.8
    assert whole - 1 == pytest.approx(0.6 * (own - 1), rel=0.1)
    assert cell.against["release_average_ms"].verdict is Verdict.WORSE


def test_what_is_slow_only_while_the_release_runs_is_noticed(simulated):
    found = simulated(levels=("low",), seconds=20, release=0.1, slower={"bluegreen": 2.0}, strategies=("bluegreen",))
    cell = found.cell("low", "successful", "bluegreen")
    assert cell.against["average_ms"].verdict is Verdict.NO_WORSE
    noticed = answer(found, "bluegreen")
    assert noticed.noticed is Noticed.YES
    assert "average while it ran" in noticed.reasons[0]


def test_every_figure_of_the_thesis_is_compared_by_its_own_test(results):
    cell = results.cell("low", "successful", "halves")
    assert set(cell.beside) == {"average_ms", "p99_ms", "p999_ms", "max_ms", "error_percent"}
    assert cell.beside["max_ms"].comparison.mann_whitney < 0.05
    assert cell.beside["average_ms"].paired.count == 5


def test_a_release_that_ended_otherwise_shows_nothing(tmp_path):
    folder = write_experiment(tmp_path / "one", Simulation(**BRIEF, strategies=("bluegreen",), slower={}))
    edit_run(folder, RUN, ('"succeeded"', '"failed"'))
    found = answer(read_results(folder), "bluegreen")
    assert found.noticed is Noticed.UNKNOWN
    assert found.reasons == ("low, successful release: 1 of 5 ended otherwise than planned",)


def test_a_lost_write_is_noticed_whatever_the_level(tmp_path):
    plan = Simulation(**BRIEF, knee=10, strategies=("bluegreen",), slower={})
    folder = write_experiment(tmp_path / "one", plan)
    edit_run(folder, RUN, ('"notes": []', '"notes": [], "check": {"passed": false}'))
    found = answer(read_results(folder), "bluegreen")
    assert found.noticed is Noticed.YES
    assert found.reasons == ("low, successful release: acknowledged writes were lost in 1 of 5 runs",)


def test_failures_are_noticed_however_fast_they_are(tmp_path):
    folder = write_experiment(tmp_path / "one", Simulation(**BRIEF, strategies=("bluegreen",), slower={}))
    edit_run(folder, RUN, ('"missing": 0', '"missing": 1'))
    found = answer(read_results(folder), "bluegreen")
    assert found.noticed is Noticed.YES
    assert found.reasons == ("low, successful release: 1 of 1,001 requests failed",)


def test_failures_that_come_while_the_release_runs_are_noticed_where_others_fail_by_themselves(simulated):
    results = simulated(strategies=("bluegreen",), slower={}, failing={})
    cell, baseline = results.cell("low", "successful", "bluegreen"), results.baseline("low")

    def with_failures(cell, failed, within=None):
        first, *rest = cell.measured
        changed = replace(first, summary=replace(first.summary, failed=failed, release_failed=within))
        return replace(cell, measured=(changed, *rest))

    for within, more in ((0, False), (4, True)):
        cells = (with_failures(baseline, 5), with_failures(cell, 5, within))
        assert replace(results, cells=cells).fails_more(cells[1]) is more


def test_a_release_that_was_planned_and_is_not_measured_leaves_the_answer_open(simulated):
    results = simulated(strategies=("bluegreen",), slower={})
    assert answer(results, "bluegreen").noticed is Noticed.NO
    missing = replace(results, missing=("002-low-none-1", "003-low-successful-bluegreen-1"))
    assert answer(missing, "bluegreen").noticed is Noticed.UNKNOWN
    assert answer(missing, "bluegreen").reasons == ("1 run with a release planned and not measured",)


def test_two_runs_that_vary_cannot_tell(simulated):
    found = answer(simulated(runs=2, noise=0.4, slower={}, strategies=("bluegreen",)), "bluegreen")
    assert found.noticed is Noticed.UNKNOWN
    assert "2 runs cannot show whether" in found.reasons[0]


def test_a_single_run_cannot_tell_and_says_so(simulated):
    found = answer(simulated(runs=1, levels=("low",), strategies=("bluegreen",)), "bluegreen")
    assert found.noticed is Noticed.UNKNOWN
    assert found.reasons[0].startswith("low, successful release: 1 run cannot show")


def test_a_level_above_the_knee_is_shown_and_has_no_say(simulated):
    found = simulated(knee=150, failing={"bluegreen": 0.0}, slower={"bluegreen": 1.0, "halves": 3.0})
    cell = found.cell("medium", "successful", "halves")
    assert cell.level.saturated
    assert {against.p for against in cell.against.values()} == {None}
    assert answer(found, "bluegreen").releases.tries == 10  # those of the low level only
    said = [reason for each in answers(found) for reason in each.reasons if "medium" in reason]
    assert set(said) <= {"above what this machine carries, and not judged: medium"}


def test_with_every_level_saturated_nothing_is_claimed(simulated):
    found = simulated(knee=10)
    assert {each.noticed for each in answers(found)} == {Noticed.UNKNOWN}
    assert answers(found)[0].reasons == ("every level is above what this machine carries",)


def test_p_values_are_corrected_over_the_cells_of_one_strategy(results):
    ours = [cell for cell in results.cells if cell.strategy == "bluegreen"]
    raw = sorted(cell.against["p99_ms"].inferiority.p_no_worse for cell in ours)
    corrected = sorted(cell.against["p99_ms"].p for cell in ours)
    assert corrected[0] == pytest.approx(min(1.0, 4 * raw[0]))
    assert corrected[-1] >= raw[-1]


def test_ratios_to_halves_are_by_blocks(results):
    found = {(ratio.cell.level.name, ratio.cell.scenario, ratio.figure): ratio for ratio in ratios(results)}
    assert len(found) == 2 * 2 * 4
    ratio = found["medium", "successful", "average_ms"]
    # A release takes 60 % of a run; halves takes 1.9 times as long in it, bluegreen 1.02 times.
    assert ratio.ratio.count == 5
    assert ratio.ratio.value < 0.85
    assert ratio.old.strategy == "halves"


def test_a_block_without_its_counterpart_is_not_paired(results):
    kept = [cell for cell in results.cells if cell.level.name == "low"]
    halves = next(cell for cell in kept if cell.strategy == "halves" and cell.scenario == "successful")
    shorter = type(halves)(halves.level, halves.scenario, halves.strategy, halves.measured[1:])
    changed = [shorter if cell is halves else cell for cell in kept]
    found = ratios(type(results)(results.experiment, judged(changed), ()))
    assert {ratio.ratio.count for ratio in found if ratio.cell.scenario == "successful"} == {4}


def test_unfinished_runs_are_named_and_not_counted(tmp_path):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    names = sorted(path.name for path in (folder / "runs").iterdir())
    document = folder / "runs" / names[0] / "run.json"
    document.write_text(document.read_text().replace('"finished"', '"interrupted"'), "utf-8")
    (folder / "runs" / names[1] / "run.json").unlink()
    results = read_results(folder)
    assert sorted(results.missing) == names[:2]
    assert sum(len(cell.measured) for cell in results.cells) == 8


def test_an_experiment_without_a_finished_run_is_one_sentence(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    write_json(folder / "experiment.json", {"created": 1.0, "levels": [], "runs": []})
    with pytest.raises(FolderError, match="experiment one has no finished run yet") as found:
        read_results(folder)
    assert found.value.hint == "`evenkeel experiment --resume one`"


def test_a_release_that_ended_otherwise_is_found(tmp_path):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=1, seconds=10))
    edit_run(folder, RUN, ('"succeeded"', '"held"'))
    place = folder / "runs" / RUN
    cell = read_results(folder).cell("low", "successful", "bluegreen")
    assert [measured.run.release.verdict for measured in cell.unexpected] == ["held"]
    assert summary_of(place).requests == 200
    assert read_run(place).release.previous == "1.0.0"
