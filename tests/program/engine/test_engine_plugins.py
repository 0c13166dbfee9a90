"""The engine over a program whose resources a real provider plugin makes, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from scripts.vms.amend import without
from tests.program.engine.conftest import Project

PLUGIN = Path(__file__).with_name("plugin.py")
PROGRAM = """
class Place(pulumi.ProviderResource):
    def __init__(self, name, place, opts=None):
        super().__init__("thing", name, {"place": place}, opts)
class Thing(pulumi.CustomResource):
    def __init__(self, called, opts=None, **inputs):
        super().__init__("thing:index:Thing", called, inputs, opts)
def thing(called, **inputs):
    keep = inputs.pop("opts", {})
    return Thing(called, pulumi.ResourceOptions(provider=place, **keep), **inputs)
"""


@pytest.fixture
def path(project: Project) -> str:
    """A PATH with the plugin on it."""
    folder = project.root / "bin"
    folder.mkdir()
    program = folder / "pulumi-resource-thing"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PLUGIN} "$@"\n')
    program.chmod(0o755)
    (project.root / "place").mkdir()
    return f"{folder}:{os.environ['PATH']}"


def write(project: Project, text: str) -> None:
    project.program(PROGRAM + f"place = Place('here', {str(project.root / 'place')!r})\n" + text)


def calls(project: Project) -> list[str]:
    return [line for line in (project.root / "place" / "calls").read_text().splitlines() if line != "configure"]


def test_a_plugin_makes_changes_replaces_and_removes_its_resources(project: Project, path: str) -> None:
    write(project, "thing('a', name='one', text='x', secret=pulumi.Output.secret('hidden'))")
    project.up(PATH=path)
    assert "hidden" not in project.checkpoint.read_text()
    assert "hidden" in (project.root / "place" / "one").read_text()
    write(project, "thing('a', name='one', text='y', secret=pulumi.Output.secret('hidden'))")
    project.up(PATH=path)
    project.run("preview", "--expect-no-changes", PATH=path)
    write(project, "thing('a', name='two', text='y')")
    project.up(PATH=path)
    project.run("destroy", "--yes", "--skip-preview", PATH=path)
    assert calls(project) == ["create one", "update one", "create two", "delete one", "delete two"]
    assert project.names() == []


def test_the_old_one_goes_first_where_the_program_says_so_and_what_its_id_triggers_goes_before_it(
    project: Project, path: str
) -> None:
    text = """
a = thing('a', name={name!r}, text='x', opts=dict(delete_before_replace=True))
command('after', 'echo new >> log', delete='echo gone >> log', triggers=[a.id])
"""
    write(project, text.format(name="one"))
    project.up(PATH=path)
    write(project, text.format(name="two"))
    project.up(PATH=path)
    assert calls(project) == ["create one", "delete one", "create two"]
    assert project.log() == ["new", "gone", "new"]


def test_a_change_that_a_program_wants_to_take_another_resource_does(project: Project, path: str) -> None:
    again = "dict(replace_on_changes=['text'], delete_before_replace=True)"
    for text in ("x", "y"):
        write(
            project,
            f"thing('a', name='one', text={text!r}, opts={again})",
        )
        project.up(PATH=path)
    assert calls(project) == ["create one", "delete one", "create one"]


def test_what_is_asked_to_be_made_anew_under_its_name_is_there_afterwards(project: Project, path: str) -> None:
    write(project, "thing('a', name='one', opts=dict(delete_before_replace=True))")
    project.up(PATH=path)
    (urn,) = [state["urn"] for state in project.latest()["resources"] if state["urn"].endswith("::a")]
    (project.root / "place" / "one").unlink()
    (project.root / "place" / "one").touch()
    project.run("up", "--yes", "--skip-preview", "--replace", urn, PATH=path)
    assert (project.root / "place" / "one").read_text()
    assert calls(project) == ["create one", "delete one", "create one"]


def test_what_an_imported_state_has_no_more_is_made_anew_and_nothing_is_deleted(project: Project, path: str) -> None:
    write(
        project,
        "a = thing('a', name='one', secret=pulumi.Output.secret('hidden'))\nthing('b', name='two', text=a.id)",
    )
    project.up(PATH=path)
    (project.root / "place" / "one").unlink()
    exported = project.root / "exported.json"
    state = json.loads(project.run("stack", "export"))
    gone = [entry["urn"] for entry in state["deployment"]["resources"] if entry["urn"].endswith("::a")]
    exported.write_text(json.dumps(without(state, gone)))
    project.run("stack", "import", "--file", str(exported))
    assert project.names() == ["b", "here", "small-dev"]
    assert "hidden" not in project.checkpoint.read_text()
    project.up(PATH=path)
    assert (project.root / "place" / "one").exists()
    assert calls(project) == ["create one", "create two", "create one"]


def test_a_state_of_another_stack_is_not_imported(project: Project) -> None:
    exported = project.root / "exported.json"
    state = {"version": 3, "deployment": {"resources": [{"urn": "urn:pulumi:other::small::x::y", "type": "x"}]}}
    exported.write_text(json.dumps(state))
    printed = project.run("stack", "import", "--file", str(exported), code=1)
    assert "is of another stack than dev: it has urn:pulumi:other::small::x::y" in printed
    exported.write_text("[]")
    assert "is not what `pulumi stack export` prints" in project.run("stack", "import", "--file", str(exported), code=1)


def test_a_creation_that_fails_half_way_is_undone_and_stores_nothing(project: Project, path: str) -> None:
    write(project, "thing('a', name='half')")
    printed = project.up(code=1, PATH=path)
    assert "it is there, but not well" in printed and "too late" in printed
    assert calls(project) == ["create half", "delete half"]
    assert "a" not in project.names()


def test_a_plugins_refusals_are_shown_in_its_words(project: Project, path: str) -> None:
    write(project, "thing('a', name='none')")
    assert "nothing comes of nothing" in project.up(code=1, PATH=path)
    write(project, "thing('a', text='x')")
    assert "thing:index:Thing resource 'a' has a problem: name: is missing" in project.up(code=1, PATH=path)
    project.program(PROGRAM + "place = Place('here', '/nowhere')\nthing('a', name='one')")
    printed = project.up(code=1, PATH=path)
    assert "the provider thing could not be configured: there is no place /nowhere" in printed
    assert "Traceback" not in printed


def test_without_the_plugin_a_preview_works_and_an_update_says_how_to_get_it(project: Project) -> None:
    write(project, "a = thing('a', name='one')\npulumi.export('id', a.id)")
    document = json.loads(project.run("preview", "--json").partition("\n")[2])
    assert [step["urn"].rpartition("::")[2] for step in document["steps"]] == ["small-dev", "a"]
    printed = project.up(code=1)
    assert (
        "the Pulumi provider thing is not installed: install it with `pulumi plugin install resource thing`" in printed
    )
    assert "Traceback" not in printed


def test_without_the_plugin_a_preview_of_what_is_there_shows_what_differs_and_nothing_else(
    project: Project, path: str
) -> None:
    write(project, "thing('a', name='one', text='x')")
    project.up(PATH=path)
    project.run("preview", "--expect-no-changes")
    write(project, "thing('a', name='one', text='y')")
    project.run("preview", "--expect-no-changes", code=7)


def test_a_provider_whose_configuration_is_not_known_before_the_update_is_not_asked_in_a_preview(
    project: Project, path: str
) -> None:
    where = str(project.root / "place")
    program = f"""
found = command('found', 'printf %s {where}')
place = Place('here', found.stdout)
thing('a', name='one')
"""
    project.program(PROGRAM + program)
    project.run("preview", PATH=path)
    assert not (project.root / "place" / "calls").exists()
    project.up(PATH=path)
    assert calls(project) == ["create one"]
