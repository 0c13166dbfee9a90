"""What a registration leads to: same, create, update or replace, as pulumi-command and the CLI decide it."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.engine.diff import Diff, apply_replace_on_changes, command_diff, detailed_diff, reset_ignored
from scripts.engine.goal import Goal
from scripts.engine.order import deletion_order, needed_by, replaced_dependents
from scripts.engine.state import ResourceState
from scripts.engine.steps import Op, decide
from scripts.engine.values import UNKNOWN, Secret, parse_path, path_text


def ask(old: ResourceState, new: ResourceState) -> Diff:
    """pulumi-command's answer."""
    return command_diff(old.inputs, new.inputs)


def command(inputs: dict[str, Any], **members: Any) -> ResourceState:
    return ResourceState(
        urn="urn:pulumi:s::p::t:t:T::x",
        type="command:local:Command",
        custom=True,
        inputs=inputs,
        provider="urn:p::id",
        **members,
    )


def decision(old: dict[str, Any], new: dict[str, Any], **options: Any) -> tuple[Op, bool]:
    goal = Goal(type="command:local:Command", name="x", custom=True, replace_on_changes=["triggers[*]"], **options)
    found = decide(goal, command(old), command(new), set(), ask)
    return found.kind, found.delete_first


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ({"create": "a"}, {"create": "a"}, Op.SAME),
        ({"create": "a"}, {"create": "b"}, Op.UPDATE),
        ({"create": "a"}, {"create": "a", "delete": "d"}, Op.UPDATE),
        ({"create": "a", "stdin": "s"}, {"create": "a"}, Op.UPDATE),
        ({"create": "a"}, {"create": Secret("a")}, Op.UPDATE),
        ({"create": Secret("a")}, {"create": Secret("a")}, Op.SAME),
        ({"create": "a"}, {"create": UNKNOWN}, Op.UPDATE),
        ({"triggers": [1]}, {"triggers": [2]}, Op.REPLACE),
        ({"triggers": [1]}, {"triggers": [1, 2]}, Op.REPLACE),
        ({"triggers": [{"a": [1]}]}, {"triggers": [{"a": [2]}]}, Op.REPLACE),
        ({}, {"triggers": [1]}, Op.REPLACE),
        ({"triggers": [1]}, {}, Op.REPLACE),
        ({"triggers": [1]}, {"triggers": [UNKNOWN]}, Op.REPLACE),
        ({"triggers": [1]}, {"triggers": [1.0]}, Op.SAME),
        ({"triggers": [1]}, {"triggers": [True]}, Op.REPLACE),
        ({"environment": {"A": None}}, {"environment": {}}, Op.SAME),
    ],
)
def test_inputs_decide_the_step(old: dict[str, Any], new: dict[str, Any], kind: Op) -> None:
    assert decision(old, new)[0] is kind


def test_what_is_new_is_created() -> None:
    goal = Goal(type="command:local:Command", name="x", custom=True)
    assert decide(goal, None, command({}), set(), ask).kind is Op.CREATE


def test_a_replacement_is_created_first_unless_the_program_says_otherwise() -> None:
    assert decision({"triggers": [1]}, {"triggers": [2]}) == (Op.REPLACE, False)
    assert decision({"triggers": [1]}, {"triggers": [2]}, delete_before_replace=True) == (Op.REPLACE, True)


def test_a_resource_deleted_for_its_replacement_is_created_without_a_change() -> None:
    goal = Goal(type="command:local:Command", name="x", custom=True)
    found = decide(goal, command({}, pending_replacement=True), command({}), set(), ask)
    assert (found.kind, found.delete_first) == (Op.REPLACE, True)


def test_a_resource_is_replaced_with_those_it_names() -> None:
    goal = Goal(type="command:local:Command", name="x", custom=True, replace_with=["urn:other"])
    assert decide(goal, command({}), command({}), {"urn:other"}, ask).kind is Op.REPLACE
    assert decide(goal, command({}), command({}), set(), ask).kind is Op.SAME


def test_the_detailed_diff_names_paths_as_the_cli_does() -> None:
    old = {"environment": {"A": "1", "x.y": "2"}, "triggers": [1, 2], "gone": 1}
    new = {"environment": {"A": "3", "x.y": "4"}, "triggers": [1], "added": 1}
    assert detailed_diff(old, new) == {
        "added": "add",
        "environment.A": "update",
        'environment["x.y"]': "update",
        "gone": "delete",
        "triggers[1]": "delete",
    }


@pytest.mark.parametrize("text", ["a", "a.b", "a[0]", 'a["b.c"]', "a[0].b[1]"])
def test_paths_are_read_as_they_are_written(text: str) -> None:
    assert path_text(parse_path(text)) == text


def test_replace_on_changes_turns_only_the_named_changes_into_replacements() -> None:
    diff = command_diff({"create": "a", "stdin": "s"}, {"create": "b", "stdin": "s"})
    assert apply_replace_on_changes(diff, ["create"]).replaces
    assert not apply_replace_on_changes(diff, ["stdin"]).replaces
    assert not apply_replace_on_changes(Diff(), ["create"]).replaces


def test_ignored_changes_keep_the_old_value() -> None:
    new = {"create": "b", "triggers": [1, 9], "environment": {"A": "2"}, "stdin": "new"}
    old = {"create": "a", "triggers": [1, 2], "environment": {"A": "1"}}
    kept = reset_ignored(new, old, ["create", "triggers[*]", "environment.A", "stdin"])
    assert kept == old


def resource(name: str, needs: str = "", parent: str = "", **members: Any) -> ResourceState:
    return ResourceState(urn=name, type="t", custom=True, dependencies=needs.split(), parent=parent, **members)


def names(rounds: list[list[ResourceState]]) -> list[list[str]]:
    return [[state.urn for state in round_] for round_ in rounds]


def test_deletes_go_from_dependents_to_what_they_depend_on() -> None:
    states = [
        resource("stack"),
        resource("group", parent="stack"),
        resource("a", parent="group"),
        resource("b", "a", parent="group"),
        resource("c", "b"),
        resource("lone"),
    ]
    assert names(deletion_order(states, states)) == [["c"], ["b"], ["a"], ["group"], ["stack", "lone"]]


def test_only_condemned_resources_are_ordered() -> None:
    states = [resource("a"), resource("b", "a"), resource("c", "b")]
    assert names(deletion_order(states, [states[0], states[2]])) == [["a", "c"]]


def test_what_a_kept_resource_needs_is_kept() -> None:
    states = [resource("stack"), resource("a", parent="stack"), resource("b", "a"), resource("c", "b")]
    assert {id(state) for state in states[:3]} == needed_by(states, [states[2]])


def test_deleting_before_replacing_takes_along_what_the_replacement_would_replace() -> None:
    base = resource("base")
    triggered = resource("triggered", property_dependencies={"triggers": ["base"]})
    onward = resource("onward", property_dependencies={"triggers": ["triggered"]})
    plain = resource("plain", property_dependencies={"stdin": ["base"]})
    assert replaced_dependents([base, triggered, onward, plain], base) == [triggered, onward]
