"""What stages are told and answer is plain JSON with one meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.stages import State
from scripts.release.documents import Release, Stack, StageInput, Verdict, Version, listed
from tests.unit.release.machines import Machines


@pytest.fixture
def release(machines: Machines, live: dict[str, str]) -> Release:
    return Release.parse(machines.release(live).document)


def verdict(stage: str, **figures: Any) -> dict[str, Any]:
    return {"stage": stage, "state": "passed", "reason": "", "figures": figures}


def told(machines: Machines, *earlier: dict[str, Any]) -> StageInput:
    return StageInput.parse(machines.release(None).input() | {"earlier": list(earlier)})


def test_servers_are_named_by_site_and_slot(release: Release) -> None:
    assert release.new(["a", "b"]) == ["a-green", "b-green"]
    assert release.old(["a", "b"]) == ["a-blue", "b-blue"]
    assert release.sites == ["a", "b", "c", "d"]


def test_a_first_installation_has_no_old_servers(machines: Machines) -> None:
    release = Release.parse(machines.release(None).document)
    assert release.previous is None
    assert release.old(["a"]) == []


def test_what_a_release_leads_to_is_its_version_in_its_slot(release: Release) -> None:
    assert release.target == Version("2.0.0", release.sha256, "green")
    assert Version.parse(release.target.as_dict()) == release.target
    assert Version.parse(None) is None


def test_the_deploy_key_is_in_no_representation(machines: Machines) -> None:
    assert "secret" not in repr(Stack.parse(machines.stack() | {"deploy_key": "secret"}))


def test_hosts_of_a_role_come_in_the_sites_order(machines: Machines) -> None:
    assert [host.name for host in Stack.parse(machines.stack()).of("app")] == ["app-a", "app-b", "app-c", "app-d"]


@pytest.mark.parametrize(("state", "ok"), [(State.PASSED, True), (State.SKIPPED, True), (State.FAILED, False),
                                           (State.REFUSED, False), (State.HELD, False)])  # fmt: skip
def test_a_verdict_is_ok_if_it_stops_nothing(state: State, ok: bool) -> None:
    document = Verdict("smoke-1", state, "so", {"a": 1}, 1.2345, "2026-11-24T08:00:00.000+00:00").as_dict()
    assert json.loads(json.dumps(document)) == document
    assert document == {
        "stage": "smoke-1", "state": str(state), "ok": ok, "reason": "so", "figures": {"a": 1}, "seconds": 1.23,
        "at": "2026-11-24T08:00:00.000+00:00",
    }  # fmt: skip


def test_the_newest_figure_counts(machines: Machines) -> None:
    input_ = told(machines, verdict("preflight", token=3, armed=None), verdict("install-1", token=4), verdict("gate"))
    assert input_.figure("token") == 4
    assert input_.figure("armed", True) is None
    assert input_.figure("none", 7) == 7


def test_what_was_left_out_or_lost_is_remembered_from_stage_to_stage(machines: Machines) -> None:
    input_ = told(
        machines,
        verdict("install-2", left_out={"c": "no room"}, unreachable={"lb-a": "no SSH"}),
        verdict("smoke-2", left_out={"d": "too slow"}),
        verdict("shift-2"),
    )
    assert input_.left_out == {"c": "no room", "d": "too slow"}
    assert input_.lost == {"lb-a": "no SSH"}


def test_a_stage_without_earlier_verdicts_is_told_of_none(machines: Machines) -> None:
    assert StageInput.parse(machines.release(None).input() | {"earlier": None}).earlier == ()


@pytest.mark.parametrize(
    ("names", "words"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_listed_as_people_write_them(names: list[str], words: str) -> None:
    assert listed(names) == words
    assert listed(name for name in names) == words
