"""Hosts as containers, made, made anew, interrupted and removed for real, on a network of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from scripts.containers.spec import MachineSpec
from scripts.image.build import ensure_image
from scripts.readiness import answers
from tests.system.running import RunningStack, container_of, make

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
STACK = "hosts-test"
NETWORK = {"stack": STACK, "name": f"evenkeel-{STACK}", "subnet": "10.76.0.0/24", "gateway": "10.76.0.1"}
VOLUME = f"evenkeel-{STACK}-db-a-data"
CONTAINERS = [sys.executable, "-m", "scripts.containers"]


def containers(*arguments: str, given: object = None) -> str:
    """Run scripts.containers and return what it printed."""
    done = subprocess.run(
        [*CONTAINERS, *arguments], cwd=ROOT, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def create(spec: MachineSpec) -> str:
    """Create a host; its container's id."""
    identity: str = json.loads(containers("machine", "create", given=asdict(spec)))["id"]
    return identity


def inside(spec: MachineSpec, *command: str) -> str:
    """Run a command in a host."""
    done = subprocess.run(["podman", "exec", spec.container, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def of_the_stack(kind: str) -> list[str]:
    """Names or ids of what podman has of the stack."""
    listing = [kind, "ls", "--filter", f"label=evenkeel.stack={STACK}", "--format", "{{.Name}}"]
    if kind == "container":
        listing = ["ps", "--all", "--filter", f"label=evenkeel.stack={STACK}", "--format", "{{.Names}}"]
    return subprocess.run(["podman", *listing], capture_output=True, text=True, check=True).stdout.split()


@dataclass(frozen=True)
class Key:
    """An ed25519 key pair as OpenSSH writes it."""

    private: str
    public: str


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """A key for the test's hosts."""
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return Key(path.read_text(), path.with_suffix(".pub").read_text())


@pytest.fixture
def host(key: Key) -> Iterator[MachineSpec]:
    """The specification of a database host on the test's network; all of the stack is gone afterwards."""
    image = ensure_image()
    containers("purge", "--stack", STACK)
    containers("network", "create", given=NETWORK)
    try:
        yield MachineSpec(
            stack=STACK, name="db-a", container=f"evenkeel-{STACK}-db-a", image=image, network=NETWORK["name"],
            address="10.76.0.31", cpus=1, memory_mb=256, authorized_key=key.public, host_private_key=key.private,
            volumes={VOLUME: "/var/lib/cassandra"},
        )  # fmt: skip
    finally:
        containers("purge", "--stack", STACK)


def test_a_host_boots_whole_and_shows_its_own_key(host: MachineSpec, key: Key) -> None:
    create(host)
    assert inside(host, "systemctl", "is-system-running", "--wait") == "running"
    assert inside(host, "hostname") == "db-a"
    scan = subprocess.run(["ssh-keyscan", "-t", "ed25519", host.address], capture_output=True, text=True, check=True)
    assert scan.stdout.split()[-1] == key.public.split()[1]
    assert inside(host, "stat", "-c", "%U", "/var/lib/cassandra") == "cassandra"


def test_no_key_is_in_what_podman_tells_of_a_host(host: MachineSpec, key: Key) -> None:
    create(host)
    told = subprocess.run(["podman", "inspect", host.container], capture_output=True, text=True, check=True).stdout
    assert key.private.splitlines()[2] not in told


def test_creating_a_host_again_changes_nothing_and_starts_one_that_is_stopped(host: MachineSpec) -> None:
    first = create(host)
    assert create(host) == first
    containers("stop", "--stack", STACK, "db-a")
    assert not answers(host.address)
    assert create(host) == first
    assert answers(host.address)


def test_a_changed_host_is_made_anew_with_its_data_and_survives_the_old_ones_deletion(host: MachineSpec) -> None:
    first = create(host)
    inside(host, "touch", "/var/lib/cassandra/kept")
    larger = replace(host, memory_mb=300)
    second = create(larger)
    assert second != first
    containers("machine", "delete", given=asdict(host))
    assert answers(host.address)
    assert inside(larger, "ls", "/var/lib/cassandra") == "kept"
    containers("machine", "delete", given=asdict(larger))
    assert of_the_stack("container") == []
    assert of_the_stack("volume") == []


def test_a_host_that_loses_its_power_stays_off_until_it_is_started(host: MachineSpec) -> None:
    create(host)
    subprocess.run(["podman", "kill", host.container], capture_output=True, check=True)
    time.sleep(2)
    assert not answers(host.address)
    containers("start", "--stack", STACK, "db-a")
    create(host)
    assert answers(host.address)


@pytest.mark.parametrize("after", [0.3, 0.7, 1.1, 1.6, 2.2, 3.0])
def test_a_creation_killed_at_any_point_is_finished_by_the_next(host: MachineSpec, after: float) -> None:
    with subprocess.Popen(
        [*CONTAINERS, "machine", "create"], cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as creation:  # fmt: skip
        assert creation.stdin is not None
        creation.stdin.write(json.dumps(asdict(host)).encode())
        creation.stdin.close()
        time.sleep(after)
        os.killpg(creation.pid, signal.SIGKILL)
    create(host)
    assert inside(host, "systemctl", "is-active", "ssh") == "active"


def test_a_host_started_before_its_keys_were_in_gets_them_all_the_same(host: MachineSpec) -> None:
    create(host)
    inside(host, "rm", "/etc/ssh/ssh_host_ed25519_key")
    containers("stop", "--stack", STACK, "db-a")
    containers("start", "--stack", STACK, "db-a")
    create(host)
    assert answers(host.address)


def test_a_network_with_another_subnet_is_made_anew_and_the_old_ones_deletion_leaves_it(host: MachineSpec) -> None:
    other = NETWORK | {"subnet": "10.76.1.0/24", "gateway": "10.76.1.1"}
    containers("network", "create", given=other)
    containers("network", "delete", given=NETWORK)
    assert of_the_stack("network") == [NETWORK["name"]]
    containers("network", "delete", given=other)
    assert of_the_stack("network") == []


def test_purge_leaves_nothing_of_the_stack(host: MachineSpec) -> None:
    create(host)
    containers("purge", "--stack", STACK)
    assert [of_the_stack(kind) for kind in ("container", "network", "volume")] == [[], [], []]
    processes = subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True).stdout
    assert host.container not in processes


def test_a_host_that_was_removed_by_hand_is_made_anew_by_the_next_up(stack: RunningStack) -> None:
    lost, spared = stack.host("lb-a"), stack.host("lb-b")
    identity = ["podman", "inspect", "--format", "{{.Id}}", container_of(spared)]
    before = subprocess.run(identity, capture_output=True, check=True).stdout
    subprocess.run(["podman", "rm", "--force", container_of(lost)], capture_output=True, check=True)
    make("up")
    assert stack.ask("GET", "/item?limit=1", lost.address).status == 200
    assert subprocess.run(identity, capture_output=True, check=True).stdout == before
