"""An interrupted `make up` is finished by the next; `make down` leaves nothing; bad input makes nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from scripts.inventory import load
from tests.system.running import ROOT, RunningStack, make, pulumi

pytestmark = pytest.mark.system
PAIR = "pair"


def podman(*arguments: str) -> list[str]:
    """Return the lines that podman prints."""
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True).stdout.split()


def left_over() -> dict[str, list[str]]:
    """Return everything of the pair stack that is on this machine."""
    name = f"evenkeel-{PAIR}"
    return {
        "containers": podman("ps", "-a", "--filter", f"name=^{name}-", "--format", "{{.Names}}"),
        "networks": podman("network", "ls", "--filter", f"name={name}", "--format", "{{.Name}}"),
        "volumes": podman("volume", "ls", "--filter", f"name=^{name}-", "--format", "{{.Name}}"),
        "processes": [
            line for line in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
            .stdout.splitlines() if "conmon" in line and f"{name}-" in line
        ],
    }  # fmt: skip


SMALL = {"disk_mb": 1, "memory_mb": 1}
NOTHING: dict[str, list[str]] = {"containers": [], "networks": [], "volumes": [], "processes": []}


@pytest.fixture
def no_pair() -> Iterator[None]:
    """Have no pair stack before and after."""
    make("down", PAIR)
    yield
    make("down", PAIR)


def start_up() -> subprocess.Popen[str]:
    """Start `make up` for the pair in a process group of its own."""
    return subprocess.Popen(
        ["make", "up", f"STACK={PAIR}"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def interrupt(number: signal.Signals, when: str) -> int:
    """Start `make up`, send a signal to all of it when a line contains `when`, and return its exit status."""
    process = start_up()
    assert process.stdout
    for line in process.stdout:
        if when in line:
            break
    else:
        pytest.fail(f"make up ended without saying «{when}»")
    time.sleep(0.5)
    os.killpg(process.pid, number)
    process.stdout.read()
    return process.wait(120)


@pytest.mark.usefixtures("no_pair")
def test_an_interrupted_up_is_finished_by_the_next_and_down_leaves_nothing() -> None:
    assert interrupt(signal.SIGKILL, "ns-1-machine creating") != 0
    assert interrupt(signal.SIGINT, "db-a-node creating") != 0
    make("up", PAIR)
    stack = RunningStack(load(PAIR, refresh=True))
    for site in ("a", "b"):
        assert stack.ask("GET", "/item?limit=1", stack.host(f"lb-{site}").address).status == 200
    assert len(left_over()["containers"]) == 10
    make("down", PAIR)
    assert left_over() == NOTHING


def refused(sentence: str, **config: object) -> None:
    """Check that `pulumi up` with these config values ends with one sentence and makes nothing."""
    file = ROOT / f"Pulumi.{PAIR}.yaml"
    before = file.read_text()
    content = yaml.safe_load(before)
    content["config"] |= {f"evenkeel:{key}": value for key, value in config.items()}
    try:
        file.write_text(yaml.safe_dump(content))
        done = pulumi("up", "--yes", "--skip-preview", stack=PAIR)
    finally:
        file.write_text(before)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert sentence in " ".join(said.split()), said
    assert "Traceback" not in said
    assert left_over() == NOTHING


@pytest.fixture(scope="module")
def empty_pair() -> Iterator[None]:
    """Have a pair stack in Pulumi's state with nothing made of it, and the artifact at hand."""
    make("down", PAIR)
    pulumi("stack", "select", "--create", stack=PAIR)
    yield
    make("down", PAIR)


@pytest.mark.usefixtures("empty_pair", "stack")
class TestBadInput:
    """Each with one clear sentence, a status other than 0, and nothing made."""

    def test_one_site(self) -> None:
        refused("config evenkeel:sites: names 1 site(s); zero downtime needs at least two", sites=["a"])

    def test_an_unknown_site(self) -> None:
        refused("config evenkeel:addresses: 'lb-x' is no host of this stack", addresses={"lb-x": "10.79.0.99"})

    def test_duplicate_addresses(self) -> None:
        refused("lb-a and lb-b both have the address 10.79.0.24", addresses={"lb-a": "10.79.0.24"})

    def test_a_wrong_type(self) -> None:
        refused("replicationFactor", replicationFactor="many")

    def test_a_missing_artifact(self) -> None:
        refused("config evenkeel:version: 9.9.9 cannot be used: the", version="9.9.9")

    def test_a_wrong_sha256(self) -> None:
        original = ROOT / "artifacts" / "item-service-1.0.0.tar.gz"
        directory = ROOT / "artifacts" / "wrong"
        directory.mkdir(exist_ok=True)
        (directory / original.name).write_bytes(original.read_bytes() + b"x")
        (directory / f"{original.name}.sha256").write_text((ROOT / f"{original}.sha256").read_text())
        refused("has the sha256", artifact="artifacts/wrong/item-service-{version}.tar.gz")

    def test_a_port_that_is_taken(self) -> None:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            refused(f"127.0.0.1:{port}", publish=f"127.0.0.1:{port}")

    def test_a_network_that_is_in_use(self, stack: RunningStack) -> None:
        network = stack.host("lb-a").address.rsplit(".", 1)[0] + ".0/24"
        refused(network, network=network)

    def test_a_machine_that_is_too_small(self) -> None:
        refused("memory", sizes={"db": {"memoryMb": 1_000_000}})

    def test_podman_missing(self, tmp_path: Path) -> None:
        """With a PATH that has everything but podman."""
        for folder in os.environ["PATH"].split(":"):
            for program in Path(folder).glob("*") if Path(folder).is_dir() else ():
                if program.name != "podman" and not (tmp_path / program.name).is_symlink():
                    (tmp_path / program.name).symlink_to(program)
        command = [str(ROOT / ".venv/bin/python"), "-m", "scripts.containers", "check"]
        wanted = {
            "stack": PAIR,
            "image": "none",
            "network": "10.79.0.0/24",
            "publish": [],
            "disk_mb": 1,
            "memory_mb": 1,
        }
        done = subprocess.run(
            command, cwd=ROOT, input=json.dumps(wanted), env={"PATH": str(tmp_path)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "podman" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    def test_no_disk(self) -> None:
        done = check({"disk_mb": 10**9, "memory_mb": 1})
        assert "MB free: make room first." in done.stderr

    def test_not_root(self) -> None:
        """As another user, who has the right to nothing but to run the check."""
        program = "import os, sys; from scripts.containers.__main__ import main; "
        program += "os.setuid(65534); sys.argv[1:] = ['check']; sys.exit(main())"
        command = [str(ROOT / ".venv/bin/python"), "-c", program]
        wanted = json.dumps({"stack": PAIR, "image": "none", "network": "10.79.0.0/24", "publish": []} | SMALL)
        done = subprocess.run(command, cwd=ROOT, input=wanted, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "root" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def check(sizes: dict[str, int]) -> subprocess.CompletedProcess[str]:
    """Run the machine's check with the image that is there; it must refuse in one sentence."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "scripts.containers", "check"]
    reference = [str(ROOT / ".venv/bin/python"), "-m", "scripts.image", "reference"]
    image = subprocess.run(reference, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    wanted = json.dumps({"stack": PAIR, "image": image, "network": "10.79.0.0/24", "publish": []} | sizes)
    done = subprocess.run(command, cwd=ROOT, input=wanted, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    return done
