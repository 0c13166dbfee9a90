"""Each way to lose writes is caught by name, in a model of a release; a sound release never is.

The same with a real ring: tests/system/test_checker_mutants.py.
"""

import pytest

from tests.unit.checker.model import MUTANTS, Release

SEEDS = range(9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sound_release_is_never_accused(seed):
    verdict = Release(seed).go()
    assert verdict.passed, [str(problem) for problem in verdict.problems]


@pytest.mark.parametrize("broken", MUTANTS)
def test_a_release_with_one_thing_switched_off_is_caught_whenever_it_did_harm(broken):
    harmed = 0
    for seed in SEEDS:
        sound, release = Release(seed), Release(seed, broken)
        sound.go()
        verdict = release.go()
        if any(rows != sound.ends[name] for name, rows in release.ends.items()):
            harmed += 1
            assert verdict.keys_of(), f"seed {seed}: {verdict.summary()}"
        else:  # it was lucky: nobody wrote at the wrong moment
            assert verdict.passed
    assert harmed >= len(SEEDS) * 2 // 3


@pytest.mark.parametrize("broken", MUTANTS)
def test_what_a_broken_release_did_is_called_by_its_name(broken):
    verdict = Release(2, broken).go()
    wrong = {str(problem.wrong) for problem in verdict.problems}
    assert wrong <= {"lost", "resurrected"}
    expected = {"deletes not mirrored": "resurrected"}.get(broken, "lost")
    assert expected in wrong, verdict.summary()
