"""The same sites on virtual machines: up, released to, a site replaced, half-made and finished, gone without trace.

These need a hypervisor, pulumi-libvirt's plugin and, where there is no KVM, hours: they run where they are asked for.

    EVENKEEL_VMS=1 .venv/bin/python -m pytest tests/system/test_vms.py

EVENKEEL_VMS_RATE is the load in requests a second (0.5, which two emulated sites on two processors carry);
EVENKEEL_VMS_TYPE=qemu emulates where KVM is offered and does not work; EVENKEEL_KEEP=1 leaves the machines.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.experiment.load.attack import Load, LoadTest
from scripts.inventory import Role, load
from tests.system.deployer import PULUMI, again, configure, of_session, release
from tests.system.running import ROOT, RunningStack, make, pulumi, wait_for

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif("EVENKEEL_VMS" not in os.environ, reason="EVENKEEL_VMS=1 asks for tests on virtual machines"),
]
STACK = "libvirt-small"
URI = "qemu:///system"
PREFIX = f"evenkeel-{STACK}"
HOURS = 3 * 3600
NOTHING: dict[str, list[str]] = {"machines": [], "networks": [], "pools": [], "files": []}
UP = [PULUMI, "up", "--yes", "--skip-preview", "--stack", STACK]
# A request that an emulated site has answered after half a minute was slow, not lost. Items that the load deletes are
# made beforehand, for `seconds` of it.
LOAD = Load(rate=float(os.environ.get("EVENKEEL_VMS_RATE", "0.5")), timeout=30, seconds=60, longest=3600)


def virsh(*arguments: str) -> list[str]:
    """Return the lines that virsh prints."""
    command = ["virsh", "--connect", URI, "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.strip()]


def left_over() -> dict[str, list[str]]:
    """Return everything of the stack that the hypervisor has, and the files of its pool."""
    pools = [name for name in virsh("pool-list", "--all", "--name") if PREFIX in name]
    folder = Path("/var/lib/libvirt/evenkeel") / STACK
    return {
        "machines": [name for name in virsh("list", "--all", "--name") if name.startswith(f"{PREFIX}-")],
        "networks": [name for name in virsh("net-list", "--all", "--name") if name.startswith(PREFIX)],
        "pools": pools,
        "files": sorted(path.name for path in folder.iterdir()) if folder.exists() else [],
    }


@pytest.fixture(scope="module")
def vms() -> Iterator[RunningStack]:
    """The small stack on virtual machines, all of it serving its first version."""
    try:
        pulumi("stack", "select", "--create", stack=STACK)
        configure(STACK, libvirtDomainType=os.environ.get("EVENKEEL_VMS_TYPE", ""))
        make("vms", STACK, HOURS)
        yield RunningStack(load(STACK, refresh=True))
    finally:
        if os.environ.get("EVENKEEL_KEEP") != "1":
            make("vms-down", STACK, HOURS)
            configure(STACK, libvirtDomainType="", version="")


def ask(stack: RunningStack, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Send a request from the runner to the service's name, as its resolver finds it; status and body."""
    command = ["curl", "-sS", "-m", "60", "-w", "\\n%{http_code}", "-X", method]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    said = stack.on("runner", [*command, f"http://{stack.inventory.service}{path}"], timeout=120).stdout
    text, _, status = said.rpartition("\n")
    return int(status), text


def serving(stack: RunningStack) -> set[str]:
    """Return the versions that users get through every load balancer."""
    found = set()
    for host in stack.of(Role.LOAD_BALANCER):
        command = f"curl -sS -m 60 http://{host.address}/version -H 'Host: {stack.inventory.service}'"
        found.add(str(json.loads(stack.on("runner", command, timeout=120).stdout)["version"]))
    return found


def ring(stack: RunningStack, asked: str) -> list[str]:
    """Return the states of the ring's nodes, as one of them sees them."""
    lines = stack.on(asked, "nodetool status", timeout=300).stdout.splitlines()
    return sorted(line.split()[0] for line in lines if line[:2] in {"UN", "DN", "UJ", "UL", "UM"})


def urns(*names: str) -> list[str]:
    """Return the state's names of the machines of these hosts."""
    exported = subprocess.run([PULUMI, "stack", "export", "--stack", STACK], cwd=ROOT, capture_output=True, check=True)
    resources = json.loads(exported.stdout)["deployment"]["resources"]
    wanted = {f"{name}-machine" for name in names}
    return [each["urn"] for each in resources if each["urn"].rpartition("::")[2] in wanted]


def test_the_service_is_served_by_its_name(vms: RunningStack) -> None:
    name = f"on a virtual machine {uuid.uuid4()}"
    status, text = ask(vms, "POST", "/item", {"name": name, "quantity": 1})
    assert status == 201, text
    path = f"/item/{json.loads(text)['id']}"
    assert json.loads(ask(vms, "GET", path)[1])["name"] == name
    assert ask(vms, "PUT", path, {"name": name, "quantity": 2})[0] == 200
    assert json.loads(ask(vms, "GET", path)[1])["quantity"] == 2
    assert ask(vms, "DELETE", path)[0] == 204
    assert ask(vms, "GET", path)[0] == 404
    assert ring(vms, "db-a") == ["UN", "UN"]


def test_a_good_version_takes_over_and_no_request_fails(vms: RunningStack) -> None:
    with LoadTest(vms.inventory, LOAD) as test:
        ended = release("2.0.0", STACK)
        assert not test.is_over
    print(f"{ended.seconds:.0f} s, {len(test.report.all)} requests, {test.report.failed} failed")
    assert ended.status == 0, ended.said[-3000:]
    assert test.report.failed == 0, test.report.reasons()
    assert serving(vms) == {"2.0.0"}


def test_a_broken_version_reaches_no_user(vms: RunningStack) -> None:
    with LoadTest(vms.inventory, LOAD) as test:
        ended = release("9.2.0", STACK)
        assert not test.is_over
    print(f"{ended.seconds:.0f} s, {len(test.report.all)} requests, {test.report.failed} failed")
    assert ended.status != 0
    assert "smoke-1: " in ended.last_words
    assert test.report.failed == 0, test.report.reasons()
    assert set(test.report.by_version) == {"2.0.0"}
    assert serving(vms) == {"2.0.0"}
    configure(STACK, version="2.0.0")
    assert again(STACK).status == 0


def test_a_site_is_replaced_under_requests_and_the_ring_is_whole_again(vms: RunningStack) -> None:
    machines = urns("lb-b", "app-b", "db-b")
    before = set(virsh("list", "--uuid"))
    with LoadTest(vms.inventory, LOAD) as test:
        done = subprocess.run(
            [*UP, *(argument for urn in machines for argument in ("--replace", urn))],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not test.is_over
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert len(before - set(virsh("list", "--uuid"))) == len(machines)
    # Two replicas, of which both must answer: with one away only what needs no database is served.
    print(f"{len(test.report.all)} requests, {test.report.failed} failed: {test.report.reasons()}")
    wait_for("the ring is whole", lambda: ring(vms, "db-a") == ["UN", "UN"], 1800)
    assert ask(vms, "GET", "/item?limit=1")[0] == 200
    assert serving(vms) == {"2.0.0"}


def kill_when(said: str, command: list[str]) -> None:
    """Run a command and kill it with all that it started once it has said something."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert any(said in line for line in process.stdout), f"it ended without saying {said!r}"
    for pid in of_session(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert process.wait(60) != 0


def test_a_replacement_that_is_killed_is_finished_by_the_next_command(vms: RunningStack) -> None:
    kill_when("ns-1-machine creating", [*UP, "--replace", *urns("ns-1")])
    make("vms", STACK, HOURS)
    assert len(left_over()["machines"]) == len(vms.inventory.hosts)
    assert ask(vms, "GET", "/item?limit=1")[0] == 200


def test_a_destroyed_stack_leaves_nothing(vms: RunningStack) -> None:
    assert len(left_over()["machines"]) == len(vms.inventory.hosts)
    make("vms-down", STACK, HOURS)
    assert left_over() == NOTHING


@pytest.mark.usefixtures("vms")
def test_a_half_made_stack_is_destroyed_by_the_next_command() -> None:
    kill_when("control-ready creating", ["make", "vms", f"STACK={STACK}"])
    assert left_over()["machines"]
    make("vms-down", STACK, HOURS)
    assert left_over() == NOTHING
