"""How often long work is put on disk: at once where something began or ended, else now and then."""

from types import SimpleNamespace

import pytest

from scripts.tables import work as module
from scripts.tables.work import WRITE_SECONDS, Work


@pytest.fixture
def work(monkeypatch):
    """Work without a ring, whose clock stands still and whose steps are kept."""
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(module, "read_data", lambda document: None)
    steps = []
    progress = SimpleNamespace(note=lambda name, step: steps.append(step))
    made = Work("evenkeel-backfill-7", {"streams": 1}, progress, None)
    made.clock, made.steps = clock, steps
    return made


def test_progress_is_on_disk_at_once_where_a_part_ends_and_else_every_few_seconds(work):
    work.tick()
    for second in range(1, int(WRITE_SECONDS) + 1):
        work.clock.now = 1_000.0 + second
        work.count(10)
        assert len(work.steps) == 1
        work.tick()
    assert [step.open_rows for step in work.steps] == [0, 10 * int(WRITE_SECONDS)]
    work._finished[3] = 50
    work.tick()
    assert work.steps[-1].finished == {3: 50}
    assert len(work.steps) == 3


def test_the_rate_is_of_every_second_however_seldom_it_is_written(work):
    for second in range(8):
        work.clock.now = 1_000.0 + second
        work.count(20)
        work.tick()
    assert work.rate() == pytest.approx(20.0)


def test_what_could_not_be_written_is_written_the_next_second(work):
    def full(name, step):
        raise module.sqlite3.OperationalError("database or disk is full")

    kept, work.progress.note = work.progress.note, full
    work._begun.append(4)
    with pytest.raises(module.sqlite3.Error):
        work.tick()
    work.progress.note = kept
    work.clock.now += 1
    work.tick()
    assert list(work.steps[-1].begun) == [4]
