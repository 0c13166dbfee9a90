"""A release from preflight to outcome, on machines in memory: the stages together keep the service up."""

from __future__ import annotations

from tests.unit.release.machines import Machines

GREEN = ["a-green", "b-green", "c-green", "d-green"]
BLUE = ["a-blue", "b-blue", "c-blue", "d-blue"]


def test_a_good_release_ends_with_the_new_version_everywhere(machines: Machines, live: dict[str, str]) -> None:
    run = machines.release(live)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert machines.everywhere() == GREEN
    assert machines.timer() is None
    known = machines.journal.read()
    assert known["releases"][0]["state"] == "succeeded"
    assert known["live"]["version"] == "2.0.0"
    assert known["lock"] is None


def test_a_first_installation_opens_what_was_closed(machines: Machines) -> None:
    run = machines.release(None)
    assert run.to("outcome")["state"] == "passed", run.verdicts[-1]
    assert machines.everywhere() == BLUE
