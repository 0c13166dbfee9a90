"""The report says on one page, by itself, what a folder holds; and says so the same way twice."""

import gzip
import json
import re

import pytest

from scripts.experiment import report_words as words
from scripts.experiment.cells import read_results
from scripts.experiment.pictures import timelines
from scripts.experiment.pictures.capacity import soak_picture
from scripts.experiment.report import make
from scripts.experiment.statistics.bounds import rate
from tests.unit.experiment.pages import Page
from tests.unit.experiment.simulated import Simulation, edit_run, write_experiment, write_soak

RUN = "002-low-successful-bluegreen-1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    plan = Simulation(levels=("low", "medium"), seconds=10, runs=4, knee=150, noise=0.02)
    folder = write_experiment(tmp_path_factory.mktemp("report") / "a <b> & c", plan)
    make(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text("utf-8"))


def test_the_first_thing_on_the_page_is_the_answer(page):
    text = page.text
    at = [
        text.index(each)
        for each in ("Did users notice the releases?", "Blue-green (Evenkeel) No", "What a release costs")
    ]
    assert at == sorted(at)
    assert "Halves (the thesis's way) Yes" in text
    assert "0 of 1,600 requests failed: at most 0.19 %, at 95 % confidence" in text
    assert "0 of 8 releases had a failed request: at most 31.2 %, at 95 % confidence" in text


def test_the_page_is_whole_and_needs_nothing_else(page):
    assert page.wrong == page.open == []
    assert page.links
    assert all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    assert page.images == len(page.links)  # each says in words what it shows


def test_text_from_outside_is_text_on_the_page(folder):
    assert "a &lt;b&gt; &amp; c" in (folder / "report.html").read_text("utf-8")


def test_a_saturated_level_is_marked_wherever_it_is_shown(folder):
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text("utf-8")
        assert "medium (saturated)" in text
        assert "not judged: saturated" in text
        assert "above it: not judged" in text


def test_the_machine_the_knee_and_the_seed_are_named(page):
    for words_on_page in ("AMD EPYC 7B13, 2 cores", "16,012 MB", "150 requests/s", "order by seed 6", "1,000 rows"):
        assert words_on_page in page.text


def test_the_thesis_is_beside_ours_with_its_misprints_put_right(page):
    for number in ("4.1", "4.2", "4.3", "4.4", "4.5"):
        assert f"Figure {number}:" in page.text
    assert "1.44 \N{MULTIPLICATION SIGN} the time 0.0079 % failed" in page.text  # low, successful: 271 ms by 188 ms
    assert "0.0075 % failed" in page.text  # and not the 0.025 % that Table 4.1 prints


def test_the_markdown_has_the_same_tables_and_every_picture_it_names(folder):
    text = (folder / "report.md").read_text("utf-8")
    named = re.findall(r"\]\((pictures/[^)]+)\)", text)
    assert {path.name for path in (folder / "pictures").iterdir()} == {name.removeprefix("pictures/") for name in named}
    assert "**Blue-green (Evenkeel): No.**" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) >= 7
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_made_again_from_the_same_runs_it_is_the_same(folder, without_pictures):
    first, second = (timelines.timeline_pictures(read_results(folder))[0] for _ in range(2))
    assert first == second
    names = ("report.html", "report.md")
    before, after = ((make(folder), [(folder / name).read_bytes() for name in names]) for _ in range(2))
    assert before == after


def test_one_run_of_one_cell_is_a_report_too(tmp_path):
    plan = Simulation(levels=("low",), scenarios=("none",), runs=1, seconds=10, knee=None)
    page = Page(make(write_experiment(tmp_path / "one", plan)).read_text("utf-8"))
    assert page.wrong == page.open == []
    assert "No run with a release has been measured." in page.text
    assert "There are too few runs to compare" in page.text
    assert "not known: the knee was not looked for" in page.text
    assert "not above it" not in page.text


def test_a_soak_is_judged_by_its_failures_and_by_what_it_leaves_behind(tmp_path, without_pictures):
    plan = Simulation(levels=("low",), scenarios=("successful",), strategies=("bluegreen",), runs=6, seconds=5)
    folder = write_experiment(tmp_path / "one", plan)
    write_soak(folder, leak=2**20)
    text = Page(make(folder).read_text("utf-8")).text
    assert "Blue-green (Evenkeel) No failed request 0 of 600 requests failed" in text
    assert "there are no runs without a release: times are not compared" in text
    assert "memory of all on control: +1024.0 KiB a release" in text
    write_soak(folder)
    text = Page(make(folder).read_text("utf-8")).text
    assert "nothing grows: 9 series of 3 hosts" in text


def test_every_run_is_drawn_to_its_end(tmp_path, monkeypatch):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=1, seconds=20))
    for place in folder.glob("runs/*failing*/requests.csv.gz"):
        lines = gzip.decompress(place.read_bytes()).splitlines(keepends=True)
        place.write_bytes(gzip.compress(b"".join(lines[: len(lines) // 2])))
    figures = []
    monkeypatch.setattr(timelines, "finish", lambda figure, *_: figures.append(figure))
    timelines.timeline_pictures(read_results(folder))
    assert {round(axes.get_xlim()[1]) for axes in figures[0].axes} == {20}


@pytest.mark.parametrize(
    ("requests", "said"),
    [("mix", "a mix of reads and writes of /item"), ("get", "reads of /item"), ("thesis", "GET /item as in the thesis"),
     ([{"path": "/"}], "those of the service's file")],
)  # fmt: skip
def test_the_page_says_what_was_asked_of_the_service(tmp_path, without_pictures, requests, said):
    plan = Simulation(levels=("low",), scenarios=("none",), runs=1, seconds=10)
    folder = write_experiment(tmp_path / "one", plan)
    document = json.loads((folder / "experiment.json").read_text("utf-8"))
    document["settings"]["requests"] = requests
    (folder / "experiment.json").write_text(json.dumps(document), "utf-8")
    assert f"requests {said}" in Page(make(folder).read_text("utf-8")).text


def test_the_hosts_that_grew_most_are_named_in_a_soaks_picture(tmp_path):
    write_soak(tmp_path, leak=2**20)
    svg = soak_picture(tmp_path / "soak.csv").svg
    assert svg.index("<!-- control -->") < svg.index("<!-- disk of a host -->")


def test_what_went_wrong_with_runs_is_on_the_page(tmp_path, without_pictures):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    edit_run(folder, RUN, ('"succeeded"', '"held"'), ('"notes": []', '"notes": ["the generator was late"]'))
    (folder / "runs" / "010-low-failing-halves-2" / "run.json").unlink()
    page = Page(make(folder).read_text("utf-8"))
    assert "planned and not measured: 1, 010-low-failing-halves-2" in page.text
    assert "the release ended otherwise than its scenario has it: held" in page.text
    assert "002-low-successful-bluegreen-1: the generator was late" in page.text
    assert "1 of 2 ended otherwise than planned" in page.text


def test_writes_that_were_followed_up_are_on_the_page(tmp_path, without_pictures):
    folder = write_experiment(tmp_path / "one", Simulation(levels=("low",), runs=2, seconds=10))
    edit_run(folder, RUN, ('"notes": []', '"notes": [], "check": {"passed": true}'))
    assert "in 1 run; acknowledged ones missing after 0" in Page(make(folder).read_text("utf-8")).text
    edit_run(folder, RUN, ('"passed": true', '"passed": false'))
    assert "in 1 run; acknowledged ones missing after 1" in Page(make(folder).read_text("utf-8")).text


@pytest.mark.parametrize(
    ("control", "said"),
    [("aa", "this machine was not quiet enough"), ("unchanged", "the deployer's own work on the same processors")],
)
def test_a_control_that_is_worse_is_said_to_be(tmp_path, without_pictures, control, said):
    plan = Simulation(levels=("low",), scenarios=("none", control), runs=4, seconds=10, slower={None: 3.0}, noise=0.02)
    assert said in Page(make(write_experiment(tmp_path / "one", plan)).read_text("utf-8")).text


@pytest.mark.parametrize(("knee", "is_said"), [(280, True), (50, False)])
def test_a_control_that_is_better_is_said_to_be_where_the_machine_carries_its_level(
    tmp_path, without_pictures, knee, is_said
):
    plan = Simulation(
        levels=("low",), scenarios=("none", "aa"), runs=4, seconds=10, slower={None: 0.2}, noise=0.02, knee=knee
    )
    text = Page(make(write_experiment(tmp_path / "one", plan)).read_text("utf-8")).text
    assert ("a bar that is too low" in text) is is_said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 %"), (1, "100 %"), (0.99996, "99.996 %"), (0.9999999, "99.999 %"), (0.5, "50.0 %"), (0.05, "5.0 %"),
     (0.00012, "0.012 %"), (0.0000499, "0.0050 %")],
)  # fmt: skip
def test_percent_never_rounds_a_failure_away(value, said):
    assert words.percent(value) == said


def test_figures_in_words():
    assert [words.milliseconds(value) for value in (None, 1.234, 45.25, 1240.4)] == ["-", "1.23", "45.2", "1,240"]
    assert words.failures(rate(0, 60000)) == "0 of 60,000 (at most 0.0050 %)"
    assert words.probability(0.00001) == "< 0.0001"
    assert words.between(None, None) == "too few runs"
