"""The knee is the highest rate that the machine carries."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.experiment.knee import Step, answered_per_second, find_knee
from scripts.experiment.load.figures import Request

BRIEF, HELD = 8.0, 60.0
Probe = Callable[[int, float], Step]


def machine(carries: float, busy_at: int = -1, for_long: float | None = None) -> Probe:
    """What a machine that carries so many requests a second shows; at the call `busy_at` others keep it busy.

    `for_long` is what it carries for longer than BRIEF, where that is less.
    """
    seen: list[int] = []

    def probe(rate: int, seconds: float) -> Step:
        seen.append(rate)
        limit = carries if seconds <= BRIEF or for_long is None else for_long
        if rate <= limit and len(seen) - 1 != busy_at:
            return Step(rate, 40.0, 0.0, rate)
        return Step(rate, 2000.0, 0.02, carries)

    return probe


@pytest.mark.parametrize("carries", [8, 30, 52, 97, 110, 149, 160, 300, 777, 2500])
def test_it_is_found_within_a_tenth(carries: int) -> None:
    rate, steps = find_knee(machine(carries), BRIEF, HELD)
    assert carries / 1.16 <= rate <= carries
    assert all(step.is_carried == (step.rate <= carries) for step in steps)
    assert len(steps) < 22


@pytest.mark.parametrize("for_long", [280, 279, 200, 60, 6, 1])
def test_a_rate_that_is_carried_for_seconds_and_not_for_a_minute_is_not_the_knee(for_long: float) -> None:
    rate, steps = find_knee(machine(280, for_long=for_long), BRIEF, HELD)
    assert (for_long / 1.2 <= rate <= for_long) if for_long > 1 else rate == 0
    assert (steps[-1].rate, steps[-1].is_carried) == ((rate, True) if rate else (5, False))


def test_a_search_whose_steps_are_as_long_as_a_run_holds_nothing_again() -> None:
    asked: list[float] = []

    def probe(rate: int, seconds: float) -> Step:
        asked.append(seconds)
        return machine(100)(rate, seconds)

    assert find_knee(probe, 15, 15)[0] > 90
    brief = len(asked)
    assert find_knee(probe, 15, 20)[0] > 90
    assert asked == [15] * (2 * brief) + [20]


def test_one_busy_second_of_others_is_no_knee() -> None:
    assert find_knee(machine(200, busy_at=1), BRIEF, HELD)[0] > 170


def test_a_machine_that_carries_nothing_has_no_knee() -> None:
    assert find_knee(machine(1), BRIEF, HELD)[0] == 0


def load(rate: int, carries: int, seconds: float = 8) -> list[Request]:
    """A step of so many seconds, and what is sent in the second after it, on a machine that answers one by one."""
    found, free = [], 0.0
    for seq in range(int((seconds + 1) * rate)):
        due = seq / rate
        free = max(due, free) + 1 / carries
        found.append(Request(due, (free - due) * 1000, "1.0.0", None))
    return found


def test_what_is_answered_while_the_load_ends_is_no_part_of_what_is_carried() -> None:
    assert answered_per_second(load(100, 500), 0.0, 8.0) == pytest.approx(100, rel=0.01)
    assert answered_per_second(load(100, 90), 0.0, 8.0) < 95
    assert answered_per_second(load(100, 50), 0.0, 8.0) < 55


def test_answers_that_take_as_long_as_they_may_are_in_time() -> None:
    slow = [Request(seq / 100, 290.0, "1.0.0", None) for seq in range(900)]
    assert answered_per_second(slow, 0.0, 8.0) == pytest.approx(100, rel=0.005)


@pytest.mark.parametrize(
    "step",
    [Step(100, 300.0, 0.0, 100), Step(100, 20.0, 0.001, 100), Step(100, 20.0, 0.0, 98.9)],
)
def test_each_of_the_three_conditions_counts(step: Step) -> None:
    assert not step.is_carried
    assert Step(100, 299.9, 0.0009, 99.0).is_carried
