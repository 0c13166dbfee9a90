"""The thesis's own numbers come out of our statistics, and its misprints are known one by one."""

import dataclasses

import pytest

from scripts.experiment.thesis import main, show
from scripts.experiment.thesis.appendix import LEVELS, SCENARIOS, misprints, printed, rounded, thesis_runs, values
from scripts.experiment.thesis.recompute import Check, checks, p_values, unused

# As Tables 5.1 to 5.3 print them, typed in a second time: level, successful, failing.
P_VALUES = {
    "5.1": ["low 0.404 0.655", "medium 0.053 0.000", "high 0.124 0.000"],
    "5.2": ["low 0.000 0.000", "medium 0.000 0.000", "high 0.008 0.008"],
    "5.3": ["low 0.000 0.000", "medium 0.000 0.000", "high 0.142 0.070"],
}


@pytest.mark.parametrize("table", P_VALUES)
def test_all_p_values_of_a_table_come_out_to_the_printed_digits(table):
    found = {(test.figure.level, test.figure.scenario): test for test in p_values() if test.figure.table == table}
    for line in P_VALUES[table]:
        level, *texts = line.split()
        for scenario, text in zip(("successful", "failing"), texts, strict=True):
            test = found[level, scenario]
            assert test.figure.text == text
            assert f"{test.from_rows:.3f}" == text
            assert test.comes_out


def test_there_are_eighteen_p_values_and_ten_runs_in_each_of_nine_cells():
    assert len(p_values()) == 18
    assert [len(values(level, scenario, "average_ms")) for level in LEVELS for scenario in SCENARIOS] == [10] * 9
    assert len(printed()) == 63 + 27 + 18


def test_only_one_test_says_the_opposite_when_the_rates_are_corrected():
    flipped = [test for test in p_values() if test.flips]
    assert [(test.figure.table, test.figure.level, test.figure.scenario) for test in flipped] == [
        ("5.1", "medium", "successful")
    ]
    assert f"{flipped[0].corrected:.4f}" == "0.0488"


def test_every_figure_comes_out_or_is_a_misprint_just_as_it_is_listed():
    found = checks()
    assert len(found) == 90 + 63 + 27
    assert [check for check in found if not check.is_explained] == []
    assert unused(found) == []
    assert sum(not check.comes_out for check in found) == len(misprints()) == 14


def test_the_misprints_are_the_known_ones():
    listed = {place: (misprint.printed, misprint.gives) for place, misprint in misprints().items()}
    assert listed["4.1 high successful"] == ("19.107", "13.107")
    assert listed["4.1 high failing"] == ("17.893", "14.893")
    assert listed["4.1 medium none"] == ("0.014", "0.0014")
    assert listed["4.1 low failing"] == ("0.025", "0.0075")
    assert listed["A.1 errors"] == ("48", "4.8")


def test_the_command_ends_well_with_the_real_figures(capsys):
    assert main() == 0
    said = capsys.readouterr().out
    assert "18 of 18 p-values are reproduced" in said
    assert "p = 0.0488, printed 0.053" in said


def test_the_command_fails_when_a_figure_does_not_come_out_and_nothing_explains_it(monkeypatch, capsys):
    wrong = dataclasses.replace(checks()[0], gives="9.999", misprint=None)
    monkeypatch.setattr(show, "checks", lambda: [wrong, *checks()[1:]])
    assert main() == 1
    assert "A.1 run 1: 0 is printed, the rows give 9.999" in capsys.readouterr().out


def test_the_command_fails_when_a_p_value_does_not_come_out(monkeypatch, capsys):
    wrong = dataclasses.replace(p_values()[0], from_rows=0.5)
    monkeypatch.setattr(show, "p_values", lambda: [wrong, *p_values()[1:]])
    assert main() == 1
    assert "17 of 18" in capsys.readouterr().out


def test_a_listed_misprint_that_does_not_apply_is_no_explanation():
    known = misprints()["4.1 high failing"]
    assert Check(known.place, known.printed, known.gives, known).is_explained
    assert not Check(known.place, known.printed, "14.9", known).is_explained
    assert not Check(known.place, "14.893", "14.893", known).is_explained


def test_halves_are_rounded_up_as_in_a_spreadsheet():
    assert rounded(0.0245, 3) == "0.025"
    assert rounded(2.5, 0) == "3"


def test_a_rows_rate_is_what_its_counts_give():
    run = thesis_runs()[27]
    assert (run.table, run.run, run.error_percent) == ("A.3", 8, "0.19")
    assert run.value("error_percent") == 0.19
    assert run.value("error_percent", corrected=True) == pytest.approx(0.0195, abs=1e-4)
