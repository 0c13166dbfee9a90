"""`pulumi up` again changes nothing; a changed value changes what it names, and users notice neither."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.system.running import RunningStack, container_of, make, pulumi, wait_for

pytestmark = pytest.mark.system


def changed_resources(*arguments: str) -> dict[str, str]:
    """Return {resource name: operation} of everything that a preview would touch."""
    done = pulumi("preview", "--json", *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    steps = json.loads(done.stdout[done.stdout.index("{") :])["steps"]
    return {step["urn"].rpartition("::")[2]: step["op"] for step in steps if step["op"] != "same"}


def test_nothing_changes_the_second_time(stack: RunningStack) -> None:
    assert changed_resources() == {}
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "unchanged" in done.stdout
    assert "created" not in done.stdout
    assert "updated" not in done.stdout
    assert "replaced" not in done.stdout


@pytest.fixture
def other_limit() -> Iterator[None]:
    """Have another maxConnections in the config, and put the old one back afterwards."""
    pulumi("config", "set", "maxConnections", "1999")
    yield
    pulumi("config", "rm", "maxConnections")
    pulumi("up", "--yes", "--skip-preview")


@pytest.mark.usefixtures("other_limit")
def test_a_changed_limit_updates_the_load_balancers_alone_and_no_request_fails(stack: RunningStack) -> None:
    assert changed_resources() == {f"lb-{site}-config": "update" for site in "abcd"}
    with stack.load(50, 20) as reports:
        done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "4 updated" in done.stdout
    assert (reports[0].failed, reports[0].errors) == (0, [])
    assert reports[0].requests == 1000
    for site in "abcd":
        assert "maxconn 1999" in stack.on(f"lb-{site}", "cat /etc/haproxy/haproxy.cfg").stdout


def test_a_configuration_that_haproxy_refuses_changes_nothing(stack: RunningStack) -> None:
    before = stack.on("lb-a", "sha256sum /etc/haproxy/haproxy.cfg").stdout
    document = {
        "role": "haproxy",
        "files": [{"path": "/etc/haproxy/haproxy.cfg", "content": "nonsense\n", "owner": "root:haproxy"}],
        "validate": [["haproxy", "-c", "-q", "-f", "{/etc/haproxy/haproxy.cfg}"]],
        "enable": ["haproxy"],
        "reload": ["systemctl", "reload", "haproxy"],
    }
    from scripts.ssh import run

    tried = run(stack.inventory.login(stack.host("lb-a")), "evenkeel-apply", json.dumps(document), check=False)
    assert tried.exit_status == 1
    assert "haproxy refuses the new configuration, the old one stays" in tried.stderr
    assert stack.on("lb-a", "sha256sum /etc/haproxy/haproxy.cfg").stdout == before
    assert stack.ask("GET", "/item?limit=1", stack.host("lb-a").address).status == 200


def test_a_machine_that_was_removed_by_hand_can_be_made_anew(stack: RunningStack) -> None:
    """A whole host made anew by `pulumi up --replace`: configured again, serving again, the data still there."""
    import subprocess

    subprocess.run(["podman", "rm", "-f", container_of(stack.host("app-d"))], check=True, capture_output=True)
    machine = next(urn for urn in urns() if urn.endswith("::app-d-machine"))
    done = pulumi("up", "--yes", "--skip-preview", "--replace", machine)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    wait_for(
        "d-blue is up",
        lambda: json.loads(stack.on("lb-a", "evenkeel-traffic show").stdout)["d-blue"]["up"],
        30,
    )


def urns() -> list[str]:
    """Return the URNs of all resources of the stack."""
    done = pulumi("stack", "export")
    assert done.returncode == 0, done.stderr
    return [resource["urn"] for resource in json.loads(done.stdout)["deployment"]["resources"]]


def test_up_again_by_make_ends_with_the_table(stack: RunningStack) -> None:
    said = make("up")
    assert "lb-a" in said
    assert stack.inventory.version in said
