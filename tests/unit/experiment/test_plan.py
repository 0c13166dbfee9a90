"""What an experiment is asked to do, and the runs that makes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from scripts.experiment.errors import SettingsError
from scripts.experiment.load.targets import SHARES
from scripts.experiment.plan import (
    PRESETS,
    REQUESTS,
    Level,
    Settings,
    check_settings,
    estimate,
    make_levels,
    make_runs,
    next_version,
)  # fmt: skip

SETTINGS = Settings(levels=("low", "high"), runs=5)


def test_each_block_has_every_cell_of_a_level_once() -> None:
    runs = make_runs(SETTINGS, make_levels(SETTINGS, None), 1)
    assert len(runs) == 2 * 5 * (1 + 2 + 2)
    assert set(Counter((run.level, run.block, run.scenario, run.strategy) for run in runs).values()) == {1}
    assert [run.order for run in runs] == list(range(1, 51))
    assert len({run.id for run in runs}) == 50


def test_what_has_no_release_has_no_strategy_and_is_measured_once_a_block() -> None:
    settings = replace(SETTINGS, scenarios=("none", "aa", "unchanged", "successful"))
    runs = make_runs(settings, make_levels(settings, None), 1)
    assert {run.scenario for run in runs if run.strategy is None} == {"none", "aa", "unchanged"}
    assert sum(run.scenario == "aa" for run in runs) == 10


def test_the_order_comes_from_the_seed_and_differs_from_block_to_block() -> None:
    levels = make_levels(SETTINGS, None)
    assert make_runs(SETTINGS, levels, 7) == make_runs(SETTINGS, levels, 7)
    assert make_runs(SETTINGS, levels, 7) != make_runs(SETTINGS, levels, 8)
    orders = {
        tuple((run.level, run.scenario, run.strategy) for run in make_runs(SETTINGS, levels, 7) if run.block == block)
        for block in range(1, 6)
    }
    assert len(orders) > 1


def test_blocks_come_one_after_another_so_that_a_drift_meets_all_cells() -> None:
    blocks = [run.block for run in make_runs(SETTINGS, make_levels(SETTINGS, None), 3)]
    assert blocks == sorted(blocks)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("low", Level("low", 50, 100)),
        ("high", Level("high", 500, 300, saturated=True)),
        ("40%", Level("knee40", 80, 80)),
        ("10%", Level("knee10", 50, 20)),
        ("60/120", Level("60x120", 60, 120)),
        ("mine", Level("mine", 10, 201, saturated=True)),
    ],
)
def test_a_level_above_the_knee_is_marked(name: str, level: Level) -> None:
    assert make_levels(replace(SETTINGS, levels=(name,), own_levels={"mine": (10, 201)}), 200) == [level]


def test_a_level_that_is_named_twice_counts_once() -> None:
    levels = make_levels(replace(SETTINGS, levels=("low", "60/120", "low", "060/120")), None)
    assert [level.name for level in levels] == ["low", "60x120"]


def test_a_share_of_a_high_knee_stays_within_what_the_test_runner_can_do() -> None:
    (level,) = make_levels(replace(SETTINGS, levels=("90%",)), 2_000)
    assert (level.workers, level.rate) == (800, 1_800)


@pytest.mark.parametrize(("name", "label"), [("knee40", "40 % of the knee"), ("low", "low"), ("knees", "knees")])
def test_people_read_of_shares_of_the_knee(name: str, label: str) -> None:
    assert Level(name, 50, 80).label == label


def test_a_share_of_the_knee_needs_the_knee() -> None:
    assert check_settings(replace(SETTINGS, levels=("70%",), knee=False)).knee


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scenarios": ("nothing",)}, "there is no scenario «nothing»"),
        ({"strategies": ("blue",)}, "there is no strategy «blue»"),
        ({"levels": ("lowest",)}, "there is no level «lowest»"),
        ({"levels": ("0/10",)}, "there is no level «0/10»"),
        ({"levels": ("5000/100",)}, "«5000/100» is more than the test runner can do"),
        ({"levels": ("50/9000",)}, "«50/9000» is more than the test runner can do"),
        ({"levels": ("0%",)}, "there is no level «0%»"),
        ({"levels": ()}, "there must be a level"),
        ({"scenarios": ()}, "there must be a scenario"),
        ({"failing": None}, "needs a version that fails"),
        ({"requests": "put"}, "there are no requests «put»"),
        ({"runs": 0}, "one run a cell or more"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        check_settings(replace(SETTINGS, **change))  # type: ignore[arg-type]


def test_the_requests_that_can_be_asked_for_are_those_that_can_be_made() -> None:
    assert set(REQUESTS) == set(SHARES)


def test_settings_come_back_as_they_were_kept() -> None:
    settings = replace(SETTINGS, requests=({"path": "/"},), own_levels={"mine": (1, 2)}, service="greeter")
    assert Settings.parse(json.loads(json.dumps(settings.as_document()))) == settings


def test_versions_take_turns_so_that_the_next_one_is_not_the_one_still_warm() -> None:
    versions = ("1.0.0", "2.0.0", "3.0.0")
    live, warm = "1.0.0", ""
    for _ in range(6):
        wanted = next_version(versions, live)
        assert wanted not in (live, warm)
        live, warm = wanted, live
    assert next_version(versions, "9.8.0") == "1.0.0"


def test_the_presets_are_what_they_are_called() -> None:
    thesis = PRESETS["thesis"]
    runs = make_runs(thesis, make_levels(thesis, None), 1)
    assert (len(runs), thesis.seconds, thesis.warmup, thesis.requests) == (90, 300, 30, "thesis")
    quick = PRESETS["quick"]
    assert sum(estimate(run, quick) for run in make_runs(quick, make_levels(quick, None), 1)) < 25 * 60
