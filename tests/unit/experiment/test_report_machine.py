"""The page says what the machine was like while it was measured, where that tells how its times are to be taken."""

from dataclasses import replace

import pytest

from scripts.experiment import report_machine
from scripts.experiment import report_words as words
from scripts.experiment.cells import read_results
from scripts.experiment.report import make
from scripts.experiment.report_tables import levels, runs
from tests.unit.experiment.pages import Page
from tests.unit.experiment.simulated import Simulation, edit_run, write_experiment

RUN = "002-low-successful-bluegreen-1"


def test_a_machine_that_others_used_as_well_is_said_to_be_one(tmp_path, without_pictures):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    assert "this machine was not alone" not in Page(make(folder).read_text("utf-8")).text
    edit_run(folder, RUN, ('"stolen": 0.004', '"stolen": 0.31'))
    assert "its hypervisor gave others 0.40 % to 31.0 % of the processors" in Page(make(folder).read_text("utf-8")).text


@pytest.mark.parametrize(("busy", "knee", "is_said"), [(0.5, 400, False), (0.8, 400, True), (0.8, 20, False)])
def test_a_level_that_leaves_a_release_little_of_the_processors_is_said_to(
    tmp_path, without_pictures, busy, knee, is_said
):
    plan = Simulation(levels=("low",), runs=2, seconds=10, knee=knee)
    folder = write_experiment(tmp_path / "one", plan)
    for place in (folder / "runs").iterdir():
        edit_run(folder, place.name, ('"busy": 0.5', f'"busy": {busy}'))
    text = Page(make(folder).read_text("utf-8")).text
    assert ("level low leaves 19.6 % of this machine's processors free" in text) is is_said
    assert ("19.6 %" if busy > 0.5 else "49.6 %") in text


def test_of_runs_without_an_account_of_the_processors_the_page_says_that_it_is_not_known(tmp_path, without_pictures):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    for place in (folder / "runs").iterdir():
        edit_run(folder, place.name, ('"busy": 0.5', '"busy": null'))
    results = read_results(folder)
    assert report_machine.free(results, results.levels[0]) is None
    assert "of this machine's processors free" not in Page(make(folder).read_text("utf-8")).text


@pytest.mark.parametrize(("scenario", "is_said"), [("none", True), ("successful", False)])
def test_a_machine_that_was_slower_in_a_run_without_a_release_is_said_to_be(
    tmp_path, without_pictures, scenario, is_said
):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    name = next(place.name for place in (folder / "runs").iterdir() if f"-{scenario}-" in place.name)
    edit_run(folder, name, ('"work_ms": 0.4', '"work_ms": 0.62'))
    found = {row[0].lines[0]: row[-1].lines[0] for row in runs(read_results(folder)).rows}
    assert found.pop(name) == words.factor(1.55)
    assert set(found.values()) == {words.factor(1)}
    sentence = f"the same work took up to {words.factor(1.55)} as long in one run without a release as in another"
    assert (sentence in Page(make(folder).read_text("utf-8")).text) is is_said


@pytest.mark.parametrize("known", [(), ("none",)])
def test_of_runs_whose_machine_nobody_measured_the_page_says_that_it_is_not_known(tmp_path, without_pictures, known):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    for place in (folder / "runs").iterdir():
        if not any(f"-{scenario}-" in place.name for scenario in known):
            edit_run(folder, place.name, ('"work_ms": 0.4', '"work_ms": null'))
    results = read_results(folder)
    slowed = report_machine.slowed(results)
    said = {cell.scenario: {slowed[each.run.id] for each in cell.measured} for cell in results.cells}
    assert said == {scenario: {words.factor(1) if scenario in known else "-"} for scenario in said}
    assert "equally quick" not in Page(make(folder).read_text("utf-8")).text


@pytest.mark.parametrize(("knee", "is_said"), [(400, True), (20, False), (None, False)])
def test_a_level_that_runs_without_a_release_were_too_much_for_is_said_to_be_where_the_knee_says_otherwise(
    tmp_path, without_pictures, knee, is_said
):
    plan = Simulation(levels=("low",), scenarios=("none", "aa"), runs=3, seconds=10, slower={None: 90.0}, knee=knee)
    folder = write_experiment(tmp_path / "slow", plan)
    assert levels(read_results(folder)).rows[0][4].lines == ("3 of 6",)
    said = "level low is not above the knee, and yet this machine did not carry it in 3 of 6 runs without a release"
    assert (said in Page(make(folder).read_text("utf-8")).text) is is_said


def test_a_level_that_is_carried_in_every_run_is_not_spoken_of(tmp_path, without_pictures):
    plan = Simulation(levels=("low",), scenarios=("none", "aa"), runs=3, seconds=10)
    folder = write_experiment(tmp_path / "quick", plan)
    assert levels(read_results(folder)).rows[0][4].lines == ("6 of 6",)
    assert "did not carry it" not in Page(make(folder).read_text("utf-8")).text


def test_what_was_due_and_never_begun_was_not_carried(tmp_path):
    results = read_results(write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=1, seconds=10)))
    summary = report_machine.without_release(results, results.levels[0])[0].summary
    assert report_machine.is_carried(summary)
    assert not report_machine.is_carried(replace(summary, unsent=summary.requests // 50))
    assert not report_machine.is_carried(replace(summary, failed=summary.requests // 50))


def test_without_a_run_without_a_release_nobody_knows_whether_it_was_carried(tmp_path, without_pictures):
    plan = Simulation(levels=("low",), scenarios=("successful",), runs=2, seconds=10)
    assert levels(read_results(write_experiment(tmp_path / "one", plan))).rows[0][4].lines == ("-",)
