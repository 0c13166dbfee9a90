"""The whole program on virtual machines: what Pulumi would make, with no libvirt anywhere.

The previews are the embedded engine's over the unmodified program; the graph is what the test monitor sees.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import write_artifact

ROOT = Path(__file__).parents[2]
DOMAIN, VOLUME = "libvirt:index/domain:Domain", "libvirt:index/volume:Volume"
SEED, NETWORK, POOL = (
    "libvirt:index/cloudInitDisk:CloudInitDisk",
    "libvirt:index/network:Network",
    "libvirt:index/pool:Pool",
)
FOUR = {site: f"qemu+ssh://root@hv{number}/system" for number, site in enumerate("abcd", 1)}
FOUR |= {"ns-1": FOUR["a"], "ns-2": FOUR["b"], "control": FOUR["c"], "runner": FOUR["d"]}


class Preview:
    """A preview's resources, by type."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.states = [step["newState"] for step in document["steps"]]
        self.operations = {step["op"] for step in document["steps"]}
        self.counts = Counter(state["type"] for state in self.states)

    def of(self, type_: str) -> dict[str, dict[str, Any]]:
        """Name in the program -> inputs."""
        return {state["urn"].rpartition("::")[2]: state["inputs"] for state in self.states if state["type"] == type_}

    def provider_of(self, name: str) -> str:
        """The hypervisor that a resource is made at."""
        (state,) = [state for state in self.states if state["urn"].endswith(f"::{name}")]
        return str(state["provider"]).split("::")[-2].removeprefix("hypervisor-").removesuffix("-provider")


def preview(folder: Path, **config: object) -> Preview:
    """Run `pulumi preview --json` on Pulumi.libvirt.yaml with some values changed, on a machine without libvirt."""
    shutil.copy(ROOT / "__main__.py", folder)  # not linked: it takes its own place for the project's
    for name in ("Pulumi.yaml", "components", "scripts", "templates", "app", "mirror"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    write_artifact(folder / "artifacts", "1.0.0")
    values = yaml.safe_load((ROOT / "Pulumi.libvirt.yaml").read_text())["config"]
    values |= {f"evenkeel:{key}": value for key, value in config.items()}
    (folder / "Pulumi.libvirt.yaml").write_text(yaml.safe_dump({"config": values}))
    (folder / "state").mkdir()
    empty = folder / "empty"
    empty.mkdir()
    for program in ("sh", "env"):
        (empty / program).symlink_to(str(shutil.which(program)))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI", "LIBVIRT"))}
    environment |= {
        "PATH": str(empty),  # no virsh, no plugin, no SSH
        "PYTHONPATH": str(ROOT),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "a phrase",
        "PULUMI_HOME": str(folder / "home"),
    }

    def engine(*arguments: str) -> str:
        command = [sys.executable, "-m", "scripts.engine", "-C", str(folder), *arguments]
        result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    engine("stack", "init", "libvirt")
    printed = engine("preview", "--json")
    return Preview(json.loads(printed[printed.index("{") :]))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Preview:
    return preview(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Preview:
    return preview(tmp_path_factory.mktemp("four"), libvirtUris=FOUR, libvirtBridge="br0")


def test_one_hypervisor_gets_sixteen_machines_with_their_disks_on_a_network_and_in_a_pool_of_their_own(
    one: Preview,
) -> None:
    assert one.operations == {"create"}
    # A root disk a machine, a data disk for each database and the journal, and the image they are laid over, once.
    wanted = {DOMAIN: 16, SEED: 16, VOLUME: 16 + 5 + 1, NETWORK: 1, POOL: 1}
    assert {type_: one.counts[type_] for type_ in wanted} == wanted
    (network,) = one.of(NETWORK).values()
    assert (network["mode"], network["addresses"]) == ("nat", ["10.87.0.0/24"])
    assert one.provider_of("db-c-machine") == "local"


def test_four_hypervisors_get_a_site_each_the_image_once_each_and_the_bridge_that_is_there(four: Preview) -> None:
    wanted = {DOMAIN: 16, SEED: 16, VOLUME: 16 + 5 + 4, NETWORK: 0, POOL: 4}
    assert {type_: four.counts[type_] for type_ in wanted} == wanted
    machines = four.of(DOMAIN)
    assert Counter(four.provider_of(name) for name in machines) == {"hv1": 4, "hv2": 4, "hv3": 4, "hv4": 4}
    assert [four.provider_of(f"{role}-b-machine") for role in ("lb", "app", "db")] == ["hv2"] * 3
    assert {machine["networkInterfaces"][0]["bridge"] for machine in machines.values()} == {"br0"}
    assert len([name for name in four.of(VOLUME) if name.endswith("-base")]) == 4


def test_machines_have_the_sizes_of_their_roles(one: Preview) -> None:
    machines = one.of(DOMAIN)
    sizes = {name.split("-")[0]: (machine["vcpu"], machine["memory"]) for name, machine in machines.items()}
    assert sizes == {
        "lb": (1, 256), "app": (1, 256), "db": (1, 1024), "ns": (1, 256), "control": (1, 512), "runner": (2, 1024),
    }  # fmt: skip


def test_what_holds_keys_is_secret_and_the_rest_of_a_seed_is_not(one: Preview) -> None:
    for seed in one.of(SEED).values():
        assert seed["userData"] == "[secret]"
        assert "addresses: [10.87.0." in seed["networkConfig"]


def test_the_same_services_are_configured_on_machines_as_in_containers(one: Preview) -> None:
    configured = [name for name in one.of("command:remote:Command") if name.endswith(("-node", "-config", "-programs"))]
    assert {"db-a-node", "db-d-node", "app-a-config", "lb-d-config", "ns-1-config", "control-programs"} <= set(
        configured
    )
    assert not [name for name, inputs in one.of("command:local:Command").items() if "containers" in inputs["create"]]
