"""The knee is the highest rate that the machine carries."""

from __future__ import annotations

import pytest

from scripts.experiment.knee import Step, find_knee


def machine(carries: float, calls: list[int] | None = None, busy_at: int = -1) -> object:
    """What a machine that carries so many requests a second shows; at the call `busy_at` others keep it busy."""
    seen: list[int] = [] if calls is None else calls

    def probe(rate: int) -> Step:
        seen.append(rate)
        if rate <= carries and len(seen) - 1 != busy_at:
            return Step(rate, 40.0, 0.0, rate)
        return Step(rate, 2000.0, 0.02, carries)

    return probe


@pytest.mark.parametrize("carries", [8, 30, 52, 97, 110, 149, 160, 300, 777, 2500])
def test_it_is_found_within_a_tenth(carries: int) -> None:
    rate, steps = find_knee(machine(carries))  # type: ignore[arg-type]
    assert carries / 1.16 <= rate <= carries
    assert all(step.is_carried == (step.rate <= carries) for step in steps)
    assert len(steps) < 22


def test_one_busy_second_of_others_is_no_knee() -> None:
    assert find_knee(machine(200, busy_at=1))[0] > 170  # type: ignore[arg-type]


def test_a_machine_that_carries_nothing_has_no_knee() -> None:
    assert find_knee(machine(1))[0] == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "step",
    [Step(100, 300.0, 0.0, 100), Step(100, 20.0, 0.001, 100), Step(100, 20.0, 0.0, 98.9)],
)
def test_each_of_the_three_conditions_counts(step: Step) -> None:
    assert not step.is_carried
    assert Step(100, 299.9, 0.0009, 99.0).is_carried
