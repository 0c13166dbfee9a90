"""The engine over a small program: what a user of up, preview, destroy, stack and config can rely on."""

from __future__ import annotations

import json
from typing import Any

TWO = """
first = command("first", "echo one >> log; echo 1", triggers=[config.get("t") or "x"], delete="echo gone-one >> log")
second = command("second", "echo two >> log; cat", stdin=first.stdout, delete="echo gone-two >> log")
pulumi.export("out", second.stdout)
"""


def test_up_makes_everything_once_and_says_so(project: Any) -> None:
    project.program(TWO)
    first = project.up()
    assert first.startswith("Evenkeel's embedded engine (not the Pulumi CLI")
    assert "+ 3 created" in first
    again = project.up()
    assert "3 unchanged" in again
    assert project.log() == ["one", "two"]
    assert project.run("stack", "output", "out").strip() == "1"


def test_a_changed_trigger_replaces_and_what_depends_on_it_keeps(project: Any) -> None:
    project.program(TWO)
    project.up()
    project.run("config", "set", "t", "y")
    printed = project.up()
    assert "+-1 replaced" in printed
    assert project.log() == ["one", "two", "one", "gone-one"]


def test_preview_touches_nothing(project: Any) -> None:
    project.program(TWO)
    before = project.checkpoint.read_text()
    printed = project.run("preview")
    assert "+ 3 to create" in printed
    assert project.checkpoint.read_text() == before
    assert project.log() == []
    assert "created" not in printed


def test_the_json_preview_is_json_and_hides_secrets(project: Any) -> None:
    project.program('command("a", "cat", stdin=config.require_secret("token"))')
    project.run("config", "set", "--secret", "token", "t0psecret")
    process = project.start("preview", "--json")
    printed, _ = process.communicate(timeout=120)
    document = json.loads(printed[printed.index("{") :])
    assert document["changeSummary"] == {"create": 2}
    assert document["config"] == {"small:token": "[secret]"}
    step = next(step for step in document["steps"] if step["urn"].endswith("::a"))
    assert (step["op"], step["newState"]["inputs"]) == ("create", {"create": "cat", "stdin": "[secret]"})
    assert "t0psecret" not in printed


def test_secrets_are_neither_on_screen_nor_on_disk_but_come_out_when_asked_for(project: Any) -> None:
    project.program("""
out = command("a", "cat", stdin=config.require_secret("token"), logging="none",
              opts={"additional_secret_outputs": ["stdout"]})
pulumi.export("token", out.stdout)
""")
    project.run("config", "set", "--secret", "token", "t0psecret")
    printed = project.run("up", "--yes")
    files = [path for path in (project.root / "state").rglob("*") if path.is_file()]
    assert "t0psecret" not in printed
    assert not [path for path in files if "t0psecret" in path.read_text()]
    assert json.loads(project.run("stack", "output", "--json"))["token"] == "[secret]"
    assert json.loads(project.run("stack", "output", "--json", "--show-secrets"))["token"] == "t0psecret"
    assert "incorrect passphrase" in project.run("stack", "output", code=1, PULUMI_CONFIG_PASSPHRASE="wrong")


def test_a_failure_stops_what_depends_on_it_and_the_next_up_finishes(project: Any) -> None:
    project.program("""
good = command("good", "echo good >> log")
bad = command("bad", "test -e mended || { echo the reason >&2; exit 3; }; echo bad >> log")
command("after", "echo after >> log", opts={"depends_on": [bad]})
""")
    printed = project.up(code=1)
    assert 'exit status 3: running "test -e mended' in printed
    assert "the reason" in printed
    assert "Traceback" not in printed
    assert "after" not in project.names()
    assert "bad" not in project.names()
    (project.root / "mended").touch()
    project.up()
    assert sorted(project.log()) == ["after", "bad", "good"]


def test_destroy_goes_from_dependents_to_what_they_depend_on(project: Any) -> None:
    project.program(TWO)
    project.up()
    printed = project.run("destroy", "--yes")
    assert project.log() == ["one", "two", "gone-two", "gone-one"]
    assert "- 3 deleted" in printed
    assert project.names() == []
    project.run("stack", "rm", "--yes")
    assert not project.checkpoint.exists()


def test_changes_need_a_yes_where_nobody_can_be_asked(project: Any) -> None:
    project.program(TWO)
    for verb in ("up", "destroy"):
        assert "--yes or --skip-preview or --preview-only must be passed" in project.run(verb, code=2)
    assert project.log() == []


def test_a_run_error_is_one_sentence_and_an_exception_shows_where(project: Any) -> None:
    project.program('command("a", "echo a >> log")\nraise pulumi.RunError("sites: give two or more")')
    told = project.up(code=1)
    assert "error: sites: give two or more" in told
    assert "Traceback" not in told
    project.program("1 / 0")
    told = project.up(code=1)
    assert "ZeroDivisionError" in told
    assert "__main__.py" in told
    assert "run_program.py" not in told


def test_a_failed_program_deletes_nothing(project: Any) -> None:
    project.program(TWO)
    project.up()
    project.program('raise pulumi.RunError("no")')
    project.up(code=1)
    assert project.names() == ["default_1_2_1", "first", "second", "small-dev"]


def test_components_nest_and_export_what_they_registered(project: Any) -> None:
    project.program("""
class Group(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("small:index:Group", "group")
        inner = local.Command("inner", create="echo in", opts=pulumi.ResourceOptions(parent=self))
        self.inner = inner.stdout
        self.register_outputs({"inner": inner.stdout})
group = Group()
command("outer", "echo out", opts={"depends_on": [group]})
pulumi.export("inner", group.inner)
""")
    project.up()
    states = {state["urn"].rsplit("::", 1)[1]: state for state in project.latest()["resources"]}
    assert states["inner"]["urn"].split("::")[2] == "small:index:Group$command:local:Command"
    assert states["group"]["outputs"] == {"inner": "in"}
    assert states["inner"]["urn"] in states["outer"]["dependencies"]


def test_a_run_invoke_runs_in_previews_too(project: Any) -> None:
    project.program('pulumi.export("ran", local.run(command="echo ran >> log; echo yes").stdout)')
    project.run("preview")
    assert project.log() == ["ran"]


def test_what_needs_the_cli_is_said_in_a_sentence(project: Any) -> None:
    project.program("""
class Bucket(pulumi.CustomResource):
    def __init__(self):
        super().__init__("aws:s3:Bucket", "b", {})
Bucket()
""")
    told = project.up(code=1)
    assert "the Pulumi provider aws is not installed: install it with `pulumi plugin install resource aws`" in told
    assert "Traceback" not in told


def test_config_is_set_read_and_removed(project: Any) -> None:
    project.run("config", "set", "--path", "sizes.lb[0]", "2")
    assert project.run("config", "get", "--path", "sizes.lb[0]").strip() == "2"
    project.run("config", "set", "word", "yes")
    assert project.run("config", "get", "word").strip() == "yes"
    project.run("config", "rm", "word")
    assert "configuration key 'word' not found" in project.run("config", "get", "word", code=1)


def test_an_unknown_stack_has_the_clis_exit_code(project: Any) -> None:
    assert "no stack named 'nope' found" in project.run("stack", "select", "nope", code=6)
