"""scripts/inventory.py: what Pulumi says, and the copy kept of it."""

import json
import os
import stat

import pytest

from scripts import inventory
from scripts.cli.undo import as_stack
from scripts.inventory import InventoryError, Role, UnknownHostError, parse_outputs

from .stack import outputs


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project directory with a checkpoint, and a `pulumi` that counts how often it was asked."""
    for name in ("PULUMI_BACKEND_URL", "PULUMI_STACK", "EVENKEEL_STACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(inventory, "ROOT", tmp_path)
    checkpoint = tmp_path / ".evenkeel/state/.pulumi/stacks/evenkeel/dev.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("{}")
    pulumi(tmp_path, monkeypatch, json.dumps(outputs()))
    return tmp_path


def pulumi(directory, monkeypatch, prints, status=0, complains=""):
    (directory / "answer").write_text(prints)
    script = directory / "pulumi"
    script.write_text(
        f"#!/bin/sh\necho \"$@\" >> {directory}/asked\ncat {directory}/answer\necho '{complains}' >&2\nexit {status}\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(inventory, "pulumi_command", lambda: str(script))


def asked(directory):
    return (directory / "asked").read_text().splitlines()


def test_the_stack_s_outputs_become_hosts_of_known_roles(project):
    stack = inventory.load()
    assert stack.stack == "dev"
    assert len(stack.hosts) == 16
    assert [host.name for host in stack.with_role(Role.NAME_SERVER)] == ["ns-1", "ns-2"]
    assert stack.host("app-c").site == "c"
    assert stack.host("control").site is None
    assert asked(project) == ["stack output --json --show-secrets --stack dev --non-interactive"]


def test_pulumi_is_asked_once_until_the_checkpoint_changes(project):
    first = inventory.load()
    assert inventory.load() == first
    assert len(asked(project)) == 1
    os.utime(project / ".evenkeel/state/.pulumi/stacks/evenkeel/dev.json", ns=(1, 1))
    inventory.load()
    assert len(asked(project)) == 2


def test_while_an_update_runs_the_copy_is_good_whatever_the_checkpoint_becomes(project):
    inventory.load()
    lock = project / ".evenkeel/state/.pulumi/locks/organization/evenkeel/dev/some.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    os.utime(project / ".evenkeel/state/.pulumi/stacks/evenkeel/dev.json", ns=(1, 1))
    inventory.load()
    assert len(asked(project)) == 1
    lock.unlink()
    inventory.load()
    assert len(asked(project)) == 2


def test_pulumi_is_asked_again_when_told_to(project):
    inventory.load()
    inventory.load(refresh=True)
    assert len(asked(project)) == 2


def test_a_spoilt_copy_is_read_again_from_pulumi(project):
    directory = inventory.load().directory
    (directory / "inventory.json").write_text("{")
    assert len(inventory.load().hosts) == 16
    (directory / "deploy_key").unlink()
    inventory.load()
    assert (directory / "deploy_key").exists()


def test_key_and_known_hosts_are_readable_by_their_owner_only(project):
    os.umask(0o022)
    stack = inventory.load()
    assert stat.S_IMODE(stack.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in stack.directory.iterdir()} == {0o600}
    assert stack.key_file.read_text() == "PRIVATE\n"
    assert "10.77.0.11 ssh-ed25519 lb-a" in stack.known_hosts_file.read_text().splitlines()


def test_the_key_is_in_no_other_file_and_in_no_message(project):
    stack = inventory.load()
    assert "PRIVATE" not in (stack.directory / "inventory.json").read_text()
    assert "PRIVATE" not in repr(stack)


def test_a_stack_that_is_not_there_is_said_so_without_asking_pulumi(project):
    with pytest.raises(InventoryError, match="there is no stack staging"):
        inventory.load("staging")
    assert not (project / "asked").exists()


@pytest.mark.parametrize("prints", ["{}", '{"version": "1.0.0"}'])
def test_a_stack_that_is_not_up_is_said_so(project, monkeypatch, prints):
    pulumi(project, monkeypatch, prints)
    with pytest.raises(InventoryError, match="stack dev is not up yet") as caught:
        inventory.load()
    assert caught.value.hint == "`make up` brings it up"


def test_pulumi_s_own_complaint_comes_through_in_one_sentence(project, monkeypatch):
    pulumi(project, monkeypatch, "", 255, "warning: old\nerror: incorrect passphrase")
    with pytest.raises(InventoryError) as caught:
        inventory.load()
    assert str(caught.value) == "Pulumi does not show stack dev: incorrect passphrase"


def test_outputs_of_another_version_are_refused_by_name(project, monkeypatch):
    changed = outputs()
    del changed["inventory"]["zone"]
    pulumi(project, monkeypatch, json.dumps(changed))
    with pytest.raises(InventoryError, match="no usable 'zone'"):
        inventory.load()


@pytest.mark.parametrize("name", ["../../etc", "..", "a b", "/", "x" * 101])
def test_a_bad_stack_name_never_becomes_a_path(project, name):
    with pytest.raises(InventoryError, match="is no name of a stack"):
        inventory.load(name)


def test_the_stack_is_the_named_one_then_the_environment_s_then_the_selected_one(project, monkeypatch):
    assert inventory.selected_stack() == "dev"
    digest = inventory.hashlib.sha1(str(project / "Pulumi.yaml").encode()).hexdigest()
    workspaces = project / "home/workspaces"
    workspaces.mkdir(parents=True)
    selection = workspaces / f"evenkeel-{digest}-workspace.json"
    selection.write_text('{"stack": "organization/evenkeel/before"}')
    assert inventory.selected_stack() == "before"
    selection.write_text(json.dumps({"stacks": {inventory.backend_url(): "organization/evenkeel/chosen"}}))
    with pytest.raises(InventoryError, match="no stack chosen"):
        inventory.load()
    monkeypatch.setenv("EVENKEEL_STACK", "other")
    with pytest.raises(InventoryError, match="no stack other"):
        inventory.load()
    with pytest.raises(InventoryError, match="no stack named"):
        inventory.load("named")


def test_another_backend_is_asked_every_time(project, monkeypatch):
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    inventory.load()
    inventory.load()
    assert len(asked(project)) == 2


def test_an_unknown_host_is_answered_with_near_names(inventory):
    with pytest.raises(UnknownHostError, match="stack dev has no host «lb-e»") as caught:
        inventory.host("lb-e")
    assert caught.value.hint.startswith("did you mean lb-")
    with pytest.raises(UnknownHostError) as caught:
        inventory.host("zzzzzz")
    assert caught.value.hint.startswith("there are lb-a, ")


def test_hosts_are_as_slow_as_the_stack_says(inventory):
    assert {inventory.login(host).slowness for host in inventory.hosts} == {1}
    told = outputs()
    told["inventory"]["slowness"] = 20
    slow = parse_outputs(told, "dev", inventory.directory)
    assert {slow.login(host).slowness for host in slow.hosts} == {20}
    assert as_stack(slow).slowness == 20
