"""What the engine shows: a tree of what changes, outputs in the CLI's notation, never a secret."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.engine.diff import Diff
from scripts.engine.display import Display, duration_text
from scripts.engine.render import diff_lines, output_lines, plain_json, plain_text
from scripts.engine.state import ResourceState, make_urn
from scripts.engine.steps import Op, Step
from scripts.engine.tree import tree_lines, tree_rows
from scripts.engine.values import UNKNOWN, Secret

STACK = make_urn("dev", "shop", "", "pulumi:pulumi:Stack", "shop-dev")
GROUP = make_urn("dev", "shop", STACK, "shop:index:Group", "group")


def step(op: Op, name: str, parent: str, type_: str = "command:local:Command", **diff: Any) -> Step:
    urn = STACK if name == "shop-dev" else make_urn("dev", "shop", parent, type_, name)
    state = ResourceState(urn=urn, type=type_, custom=True, parent=parent)
    return Step(op, None if op is Op.CREATE else state, None if op is Op.DELETE else state, Diff(**diff))


STEPS = [
    step(Op.SAME, "shop-dev", ""),
    step(Op.SAME, "group", STACK, "shop:index:Group"),
    step(Op.CREATE_REPLACEMENT, "a", GROUP),
    step(Op.REPLACE, "a", GROUP, keys=["triggers"]),
    step(Op.SAME, "unchanged", GROUP),
    step(Op.CREATE, "b", STACK),
    step(Op.DELETE_REPLACED, "a", GROUP),
]


def test_a_preview_shows_changes_under_their_components_and_nothing_else() -> None:
    lines = [text for text, _ in tree_lines(tree_rows(STEPS), lambda found: ("x ", str(found.op), ""))]
    assert lines == [
        "    Type                         Name      Plan",
        "    pulumi:pulumi:Stack          shop-dev",
        "    ├─ shop:index:Group          group",
        " x  │  └─ command:local:Command  a         replace",
        " x  └─ command:local:Command     b         create",
    ]


def test_the_summary_counts_a_replacement_once(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display("Previewing update (dev)", dry_run=True, colour=False)
    for found in STEPS:
        display.started(found)
        display.finished(found, 0.0)
    display.close(failed=False)
    printed = capsys.readouterr().out
    assert "+ 1 to create" in printed
    assert "+-1 to replace" in printed
    assert "2 changes. 3 unchanged" in printed
    assert "[diff: ~triggers]" in printed


def test_outputs_are_shown_in_the_clis_notation_and_secrets_hidden() -> None:
    outputs = {"s": Secret({"deep": "hidden"}), "n": None, "l": ["a", {"b": UNKNOWN}], "word": "x"}
    assert list(output_lines(outputs)) == [
        "    l   : [",
        '        [0]: "a"',
        "        [1]: {",
        "            b: [unknown]",
        "        }",
        "    ]",
        "    n   : <null>",
        "    s   : [secret]",
        '    word: "x"',
    ]


def test_changed_outputs_are_marked() -> None:
    assert list(output_lines({"a": 2, "b": 1, "s": Secret("new")}, {"a": 1, "c": 1, "s": Secret("old")})) == [
        "  ~ a: 1 => 2",
        "  + b: 1",
        "  - c: 1",
        "  ~ s: [secret] => [secret]",
    ]


def test_a_diff_hides_what_is_inside_a_secret() -> None:
    old, new = {"connection": Secret({"key": "one"}), "env": {"A": Secret("one")}}, {}
    assert not [line for line in diff_lines(old, new, "") if "one" in line]


def test_outputs_come_out_in_clear_only_when_asked_for() -> None:
    assert plain_text(Secret("x"), show_secrets=False) == "[secret]"
    assert plain_text(Secret("x"), show_secrets=True) == "x"
    assert plain_json({"a": [Secret({"b": 1})]}, show_secrets=False) == {"a": ["[secret]"]}
    assert plain_json({"a": [Secret({"b": 1})]}, show_secrets=True) == {"a": [{"b": 1}]}


@pytest.mark.parametrize(("seconds", "text"), [(0.1, "1s"), (59.6, "1m0s"), (65, "1m5s"), (3605, "1h0m5s")])
def test_durations_read_as_the_clis(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
