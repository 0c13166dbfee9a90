"""How quick the machine is, is measured while a run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from scripts.experiment.yardstick import TRIES, Yardstick, piece


def work(*times: float) -> Callable[[], float]:
    """A piece of work that takes these times, the last of them for ever."""
    left: Iterator[float] = iter(times)
    return lambda: next(left, times[-1])


def test_of_each_try_the_quickest_counts_and_of_all_the_mean() -> None:
    done: list[float] = []
    enough = threading.Event()
    takes = work(0.9, 0.4, 0.7, 0.8, 0.9, 0.6)

    def noted() -> float:
        done.append(takes())
        if len(done) >= 5 * TRIES:
            enough.set()
        return done[-1]

    with Yardstick(noted, pause=0.001) as yardstick:
        assert enough.wait(60)
    rounds = len(done) // TRIES
    assert yardstick.milliseconds == round((0.4 + 0.6 * (rounds - 1)) / rounds, 4)


def test_before_it_begins_nobody_knows() -> None:
    assert Yardstick().milliseconds is None


def test_nothing_of_it_is_left_after_its_block() -> None:
    before = threading.active_count()
    with Yardstick(pause=600):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_the_piece_of_work_takes_some_time() -> None:
    assert piece() > 0
