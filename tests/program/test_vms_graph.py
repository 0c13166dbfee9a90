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
NETWORK, POOL, COMMAND = "libvirt:index/network:Network", "libvirt:index/pool:Pool", "command:local:Command"
IMAGE = [sys.executable, "-m", "scripts.image", "disk"]
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

    def seeds(self) -> dict[str, dict[str, Any]]:
        """Host -> inputs of the command that writes its seed disk."""
        commands = self.of(COMMAND).items()
        return {
            name.removesuffix("-seed"): inputs
            for name, inputs in commands
            if inputs["create"].endswith("scripts.vms write-seed")
        }

    def provider_of(self, name: str) -> str:
        """The hypervisor that a resource is made at."""
        (state,) = [state for state in self.states if state["urn"].endswith(f"::{name}")]
        return str(state["provider"]).split("::")[-2].removeprefix("hypervisor-").removesuffix("-provider")


class Project:
    """The program with Pulumi.libvirt.yaml, some of whose values are changed, on a machine without libvirt."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.folder = folder
        shutil.copy(ROOT / "__main__.py", folder)  # not linked: it takes its own place for the project's
        for name in ("Pulumi.yaml", "components", "scripts", "templates", "app", "mirror"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        write_artifact(folder / "artifacts", "1.0.0")
        self.set(**config)
        (folder / "state").mkdir()
        empty = folder / "empty"
        empty.mkdir()
        for program in ("sh", "env"):
            (empty / program).symlink_to(str(shutil.which(program)))
        self.engine("stack", "init", "libvirt")

    def set(self, **config: object) -> None:
        """Change values of the stack's file."""
        values = yaml.safe_load((ROOT / "Pulumi.libvirt.yaml").read_text())["config"]
        values |= {f"evenkeel:{key}": value for key, value in config.items()}
        (self.folder / "Pulumi.libvirt.yaml").write_text(yaml.safe_dump({"config": values}))

    def engine(self, *arguments: str) -> str:
        """Run `pulumi`; return what it printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI", "LIBVIRT"))}
        environment |= {
            "PATH": str(self.folder / "empty"),  # no virsh, no plugin, no SSH
            "PYTHONPATH": str(ROOT),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "a phrase",
            "PULUMI_HOME": str(self.folder / "home"),
        }
        command = [sys.executable, "-m", "scripts.engine", "-C", str(self.folder), *arguments]
        result = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def preview(self) -> dict[str, Any]:
        """Run `pulumi preview --json`; return its document."""
        printed = self.engine("preview", "--json")
        document: dict[str, Any] = json.loads(printed[printed.index("{") :])
        return document

    def bring_up(self, states: list[dict[str, Any]]) -> None:
        """Have these in the state, each with an id, and machines with their disks'."""
        resources = [
            {
                **state,
                "id": f"{name_of(state)}-id",
                "inputs": state["inputs"] | disks_of(state),
                "outputs": state["inputs"],
            }
            for state in states
        ]
        exported = self.folder / "exported.json"
        exported.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
        self.engine("stack", "import", "--file", str(exported))

    def replaced(self) -> dict[str, set[str]]:
        """What a preview would replace, and which properties it is due to."""
        steps = self.preview()["steps"]
        return {name_of(step): set(step["replaceReasons"]) for step in steps if step["op"] == "replace"}


def name_of(entry: dict[str, Any]) -> str:
    return str(entry["urn"].rpartition("::")[2])


def disks_of(state: dict[str, Any]) -> dict[str, Any]:
    """A machine's root and seed, and a root's image, as the inputs have them once those are made."""
    if "baseVolumeId" in state["inputs"]:
        return {"baseVolumeId": "hypervisor-local-base-id"}
    if state["type"] != DOMAIN:
        return {}
    host = name_of(state).removesuffix("-machine")
    return {"disks": [{"volumeId": f"{host}-root-id"}], "cloudinit": f"{host}-seed-id"}


def preview(folder: Path, **config: object) -> Preview:
    return Preview(Project(folder, **config).preview())


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
    wanted = {DOMAIN: 16, VOLUME: 16 + 5 + 1, NETWORK: 1, POOL: 1}
    assert {type_: one.counts[type_] for type_ in wanted} == wanted
    assert len(one.seeds()) == 16
    (network,) = one.of(NETWORK).values()
    assert (network["mode"], network["addresses"]) == ("nat", ["10.87.0.0/24"])
    assert one.provider_of("db-c-machine") == "local"


def test_four_hypervisors_get_a_site_each_the_image_once_each_and_the_bridge_that_is_there(four: Preview) -> None:
    wanted = {DOMAIN: 16, VOLUME: 16 + 5 + 4, NETWORK: 0, POOL: 4}
    assert {type_: four.counts[type_] for type_ in wanted} == wanted
    assert Counter(seed["triggers"][0] for seed in four.seeds().values()) == dict.fromkeys(FOUR.values(), 4)
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


def test_what_holds_keys_is_secret_and_where_a_seed_is_is_not(one: Preview) -> None:
    for host, seed in one.seeds().items():
        assert seed["stdin"] == "[secret]"
        assert seed["triggers"][:2] == ["qemu:///system", "evenkeel-libvirt"], host


def test_the_same_services_are_configured_on_machines_as_in_containers(one: Preview) -> None:
    configured = [name for name in one.of("command:remote:Command") if name.endswith(("-node", "-config", "-programs"))]
    assert {"db-a-node", "db-d-node", "app-a-config", "lb-d-config", "ns-1-config", "control-programs"} <= set(
        configured
    )
    assert not [name for name, inputs in one.of("command:local:Command").items() if "containers" in inputs["create"]]


def test_without_the_plugin_a_preview_shows_which_machines_another_image_takes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    made = [step["newState"] for step in project.preview()["steps"]]
    image = json.loads(subprocess.run(IMAGE, cwd=ROOT, capture_output=True, text=True, check=True).stdout)["name"]
    of_another = json.dumps([state for state in made if state["type"].startswith("libvirt:")])
    project.bring_up(json.loads(of_another.replace(image, "0123456789ab")))
    replaced = project.replaced()
    assert {"name", "source"} <= replaced["hypervisor-local-base"]
    for host in ("lb-a", "db-d", "ns-2", "control"):
        assert "baseVolumeId" in replaced[f"{host}-root"]
        assert {"disks", "cloudinit"} <= replaced[f"{host}-machine"]
    assert not [name for name in replaced if name.endswith("-disk")], "data disks stay"


def test_another_size_or_name_is_another_machine_and_another_name_another_disk(one: Preview) -> None:
    anew = {name_of(state): set(state.get("replaceOnChanges", ())) for state in one.states}
    assert {"name", "memory", "vcpu"} <= anew["app-a-machine"]
    assert {"name", "baseVolumeId"} <= anew["app-a-root"]
