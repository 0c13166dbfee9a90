"""A run's requests become the figures of its summary: known answers, and a clear sentence for what cannot be read."""

import csv
import gzip
import json

import numpy as np
import pytest

from scripts.experiment.errors import FolderError
from scripts.experiment.folder import write_json
from scripts.experiment.records import read_experiment, read_run
from scripts.experiment.reduce import reduce_run, summary_of, together
from tests.unit.experiment.simulated import COLUMNS, Simulation, write_experiment, write_table

START_NS = 1_795_000_000 * 10**9
MS = 10**6


def row(seq, latency_ms, right=1, error=""):
    due = START_NS + seq * 10**9 // 10
    return [seq, due, due, int(latency_ms * MS), 200 if right else 503, error, "GET", "/item", "1.0.0", right]


@pytest.fixture
def run_folder(tmp_path):
    def make(rows, **changes):
        document = {
            "id": "001-low-none-1", "level": "low", "scenario": "none", "strategy": None, "block": 1, "order": 1,
            "outcome": "finished", "rate": 10, "workers": 5, "seconds": 10.0, "release": None,
        }  # fmt: skip
        write_json(tmp_path / "run.json", document | changes)
        write_table(tmp_path / "requests.csv.gz", rows)
        return tmp_path

    return make


def test_percentiles_average_and_maximum_are_those_of_the_latencies(run_folder):
    times = np.random.default_rng(1).lognormal(3, 1, 1001)
    summary = reduce_run(run_folder([row(seq, time) for seq, time in enumerate(times)]))
    assert summary.requests == 1001
    assert summary.average_ms == pytest.approx(times.mean(), rel=1e-4)
    assert summary.max_ms == pytest.approx(times.max(), rel=1e-4)
    for found, percent in ((summary.p50_ms, 50), (summary.p99_ms, 99), (summary.p999_ms, 99.9)):
        assert found == pytest.approx(np.percentile(times, percent, method="inverted_cdf"), rel=2e-3)


def test_a_request_is_good_if_it_is_right_within_300_ms(run_folder):
    rows = [row(0, 299.9), row(1, 300.1), row(2, 10, right=0, error="GET: status 503, expected 200"), row(3, 10)]
    summary = reduce_run(run_folder(rows))
    assert (summary.failed, summary.slow) == (1, 1)
    assert summary.availability == 0.5
    assert summary.reasons == {"GET: status 503, expected 200": 1}
    assert summary.error_percent == 25.0


def test_a_stall_shows_in_the_worst_second_and_in_p999_not_in_the_median(run_folder):
    # One second in which the server stands still: each request waits for the second's end.
    rows = [row(seq, 1000 - 100 * (seq % 10) + 500 if seq // 10 == 7 else 5) for seq in range(100)]
    summary = reduce_run(run_folder(rows))
    assert (summary.worst_second, summary.worst_second_at) == (0.0, 7)
    assert summary.availability == 0.9
    assert summary.p50_ms == pytest.approx(5, rel=1e-2)
    assert summary.p999_ms == pytest.approx(1500, rel=1e-2)
    assert [second.good for second in summary.timeline] == [10] * 7 + [0] + [10] * 2


def test_the_last_part_of_a_second_is_not_the_worst(run_folder):
    rows = [row(seq, 5) for seq in range(100)] + [row(100, 5000)]
    assert reduce_run(run_folder(rows)).worst_second == 1.0


def test_requests_without_any_result_failed(run_folder):
    summary = reduce_run(run_folder([row(seq, 5) for seq in range(97)], missing=3))
    assert (summary.requests, summary.failed, summary.missing) == (100, 3, 3)
    assert summary.availability == 0.97


def test_what_an_overloaded_generator_never_sent_was_not_good(run_folder):
    rows = [row(seq, 5) for seq in range(50)]
    assert reduce_run(run_folder(rows, offered=100)).availability == 0.5
    assert reduce_run(run_folder(rows, offered=55)).unsent == 0  # less than a second's worth: the window's edge


def test_the_figures_of_the_release_are_of_the_requests_due_while_it_ran(run_folder):
    release = {"version": "2.0.0", "verdict": "succeeded", "started": START_NS / 1e9 + 2, "seconds": 3.0, "stages": []}
    rows = [row(seq, 50 if 20 <= seq <= 50 else 5, right=int(seq != 30)) for seq in range(100)]
    summary = reduce_run(run_folder(rows, release=release, scenario="successful", strategy="bluegreen"))
    assert (summary.release_requests, summary.release_failed) == (31, 1)
    assert summary.release_average_ms == pytest.approx(50)
    assert summary.p50_ms == pytest.approx(5, rel=1e-2)


def test_capacity_is_what_served_at_first_and_at_the_least(run_folder):
    capacity = [{"at": 1.0, "serving": 4}, {"at": 2.0, "serving": 2}, {"at": 3.0, "serving": 4}]
    summary = reduce_run(run_folder([row(0, 5)], capacity=capacity))
    assert (summary.capacity_start, summary.capacity_least) == (4, 2)


def test_several_runs_distributions_are_added_up(run_folder):
    one = reduce_run(run_folder([row(seq, 5) for seq in range(90)]))
    other = reduce_run(run_folder([row(seq, 500) for seq in range(10)]))
    histogram = together([one, other])
    assert histogram.get_total_count() == 100
    assert histogram.get_value_at_percentile(90) / 1000 == pytest.approx(5, rel=1e-2)
    assert histogram.get_value_at_percentile(91) / 1000 == pytest.approx(500, rel=1e-2)


def test_the_summary_is_kept_and_made_again_when_the_requests_change(run_folder):
    folder = run_folder([row(seq, 5) for seq in range(10)])
    kept = reduce_run(folder)
    assert json.loads((folder / "summary.json").read_text())["requests"] == 10
    assert summary_of(folder) == kept
    (folder / "summary.json").write_text("{cut off", "utf-8")
    assert summary_of(folder) == kept
    (folder / "summary.json").write_text('{"format": 0}', "utf-8")
    assert summary_of(folder) == kept


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "requests.csv.gz cannot be read: "),
        (lambda path: path.write_bytes(b"no gzip"), "requests.csv.gz cannot be read: "),
        (lambda path: path.write_bytes(gzip.compress(b"seq,right\n1,1\n")), "'scheduled_ns' is missing"),
        (lambda path: write_table(path, []), "has no request"),
    ],
)
def test_requests_that_cannot_be_read_are_named_in_one_sentence(run_folder, spoil, sentence):
    folder = run_folder([row(seq, 5) for seq in range(100)])
    spoil(folder / "requests.csv.gz")
    with pytest.raises(FolderError, match=sentence) as found:
        reduce_run(folder)
    assert "--resume" in found.value.hint


def test_a_folder_that_is_no_experiment_is_named(tmp_path):
    with pytest.raises(FolderError, match=r"experiment\.json cannot be read: No such file"):
        read_experiment(tmp_path)
    (tmp_path / "experiment.json").write_text('{"created": 1}', "utf-8")
    with pytest.raises(FolderError, match="'levels' is missing"):
        read_experiment(tmp_path)
    (tmp_path / "run.json").write_text('{"id": "x"}', "utf-8")
    with pytest.raises(FolderError, match=r"run\.json is no run: 'level' is missing"):
        read_run(tmp_path)
    assert read_run(tmp_path / "none") is None


def test_a_simulated_folder_reads_as_a_real_one(tmp_path):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=1, seconds=10))
    experiment = read_experiment(folder)
    assert len(experiment.runs) == 5
    assert not experiment.levels[0].saturated
    with gzip.open(folder / "runs" / experiment.runs[0] / "requests.csv.gz", "rt") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS
    for name in experiment.runs:
        summary = reduce_run(folder / "runs" / name)
        assert summary.requests == 200
