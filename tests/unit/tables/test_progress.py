"""What a job has done stays done, whoever is killed; what it was at is done again."""

import pytest

from scripts.tables.progress import Progress, Step, Users, default_path
from scripts.tables.tokens import TokenRange

RANGES = [TokenRange(0, 10), TokenRange(10, 30), TokenRange(30, 40)]


@pytest.fixture
def progress(tmp_path):
    return Progress(tmp_path / "tables.sqlite", clock=lambda: 1_000.0)


def step(begun=(), finished=None):
    return Step(list(begun), finished or {}, 12.5, 100.0, "faster")


def test_the_file_lies_beside_the_journal():
    assert str(default_path({})) == "/var/lib/evenkeel/tables.sqlite"
    assert str(default_path({"EVENKEEL_JOURNAL": "/x/journal.sqlite"})) == "/x/tables.sqlite"


def test_a_finished_part_is_never_given_again(progress):
    progress.begin("job", "backfill", 1)
    progress.plan("job", "item", RANGES)
    progress.note("job", step(begun=[0, 1], finished={0: 7}))
    progress.begin("job", "backfill", 2)  # another process, after a kill
    progress.plan("job", "item", [TokenRange(0, 40)])
    assert [(part.tokens, part.times) for part in progress.unfinished("job")] == [(RANGES[1], 1), (RANGES[2], 0)]
    assert [(part.tokens, rows) for part, rows in progress.finished("job")] == [(RANGES[0], 7)]


def test_tables_of_a_job_do_not_mix(progress):
    progress.begin("job", "backfill", 1)
    progress.plan("job", "item", RANGES)
    progress.plan("job", "tag", RANGES[:1])
    assert [(part.place, part.source) for part in progress.unfinished("job")] == [
        (0, "item"),
        (1, "item"),
        (2, "item"),
        (3, "tag"),
    ]


def test_what_is_told_adds_up(progress):
    progress.begin("job", "backfill", 77)
    progress.plan("job", "item", RANGES)
    progress.note("job", step(begun=[0, 1, 2], finished={0: 7}))
    progress.note("job", step(begun=[1], finished={1: 5}))
    known = progress.read("job")
    assert (known["rows"], known["ranges"], known["ranges_done"], known["ranges_repeated"]) == (12, 3, 2, 1)
    assert known["width_done"] / known["width"] == pytest.approx(0.75)
    assert (known["pid"], known["rate"], known["pace"], known["reason"]) == (77, 12.5, 100.0, "faster")


def test_the_whole_ring_has_a_width(progress):
    progress.begin("job", "backfill", 1)
    progress.plan("job", "item", [TokenRange(-(2**63), 0), TokenRange(0, 2**63 - 1)])
    progress.note("job", step(finished={0: 1}))
    known = progress.read("job")
    assert known["width_done"] / known["width"] == pytest.approx(0.5)


def test_an_end_is_kept_with_its_figures(progress):
    progress.begin("job", "compare", 1)
    progress.end("job", "done", "", {"rows": 3})
    known = progress.read("job")
    assert (known["state"], known["figures"], known["ended"], known["pid"]) == ("done", {"rows": 3}, 1_000.0, None)


def test_a_forgotten_job_begins_anew(progress):
    progress.begin("job", "compare", 1)
    progress.plan("job", "item", RANGES)
    progress.forget("job")
    assert progress.read("job") is None
    assert progress.unfinished("job") == []


def test_the_last_word_of_the_users_counts(progress):
    assert progress.users() is None
    progress.tell_users(Users(5.0, 4.0, 10.0))
    progress.tell_users(Users(6.0, 4.0, 20.0))
    assert progress.users() == Users(6.0, 4.0, 20.0)


def test_what_fails_in_the_middle_leaves_nothing(progress):
    progress.begin("job", "backfill", 1)
    with pytest.raises(OverflowError):
        progress.plan("job", "item", [TokenRange(0, 1), TokenRange(1, 2**80)])
    assert not progress.planned("job", "item")
