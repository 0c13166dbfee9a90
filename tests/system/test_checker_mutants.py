"""The checker finds nothing wrong with a sound release, and something with each way to lose writes that there is.

Needs no stack: a ring of its own on loopback addresses, with Cassandra's jars from the host image
(EVENKEEL_CASSANDRA_JARS names others). EVENKEEL_LABORATORY_NODES=1 is quicker; EVENKEEL_LABORATORY_WRITE_MS is how long
a write may take, for machines that are busy with other things.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from scripts.checker.verdict import Wrong
from tests.system.checker_laboratory import SOUND, Laboratory, Procedure
from tests.system.checker_mutants import MUTANTS
from tests.system.checker_ring import Ring, cassandra_jars

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it: minutes long"),
]

NODES = int(os.environ.get("EVENKEEL_LABORATORY_NODES", "3"))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("laboratory")
    jars = cassandra_jars(folder)
    if jars is None or shutil.which("javac") is None:
        pytest.skip("no Cassandra jars (make up builds the host image), or no javac")
    ring = Ring(jars, folder, nodes=NODES)
    laboratory = Laboratory(ring, folder)
    with ring:
        yield laboratory


def test_a_sound_release_loses_nothing(laboratory: Laboratory) -> None:
    result = laboratory.run(SOUND)
    assert result.verdict.passed, [str(problem) for problem in result.verdict.problems[:20]]
    assert result.compared.startswith("the two tables are level"), result.compared
    assert result.compared_at_end.startswith("the two tables are level"), result.compared_at_end
    assert len(result.verdict.states) == 2
    assert 0 < result.verdict.single_writer_keys < result.verdict.keys


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_release_with_one_thing_switched_off_is_caught_and_its_keys_are_named(
    laboratory: Laboratory, mutant: Procedure
) -> None:
    verdict = laboratory.run(mutant).verdict
    assert not verdict.passed
    assert verdict.keys_of(), verdict.summary()
    assert {problem.wrong for problem in verdict.problems} <= {Wrong.LOST, Wrong.RESURRECTED}, verdict.summary()
    for problem in verdict.problems:
        assert problem.key in str(problem)
