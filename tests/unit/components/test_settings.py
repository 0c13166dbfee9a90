"""Every config value is checked once, and a bad one is refused by its name in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.config_reader import SettingsError
from components.hypervisor import memory_of, needs_of
from components.settings import KEYS, Settings, load
from scripts.image.disk import NEEDED_MB

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]


class NoCalls(pulumi.runtime.Mocks):
    """Settings make no resources and ask nothing."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        raise AssertionError(args.name)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


def as_config(value: object) -> str:
    """Return a value as Pulumi hands it to a program."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


@pytest.fixture
def load_with(project: Path) -> Callable[..., Settings]:
    """Load the settings from Pulumi.yaml's defaults with some values changed; None removes one."""
    pulumi.runtime.set_mocks(NoCalls(), project="evenkeel", stack="dev", preview=False)

    def load_changed(**changes: object) -> Settings:
        values = {key: entry["default"] for key, entry in SCHEMA.items()} | changes
        given = {f"evenkeel:{key}": as_config(value) for key, value in values.items() if value is not None}
        pulumi.runtime.set_all_config(given)
        return load(project)

    return load_changed


def test_the_defaults_describe_four_sites(load_with: Callable[..., Settings]) -> None:
    settings = load_with()
    assert [site.name for site in settings.sites] == ["a", "b", "c", "d"]
    assert settings.names.service_name == "test.evenkeel.test"
    assert settings.artifact.manifest.version == "1.0.0"
    assert settings.sizes["db"].memory_mb == 1024
    assert settings.prefix == "evenkeel-dev"


def test_every_key_that_is_read_is_declared_with_type_default_and_description() -> None:
    assert set(SCHEMA) == set(KEYS)
    assert all({"type", "default", "description"} <= set(entry) for entry in SCHEMA.values())


def test_sites_may_be_words_with_numbers(load_with: Callable[..., Settings]) -> None:
    settings = load_with(sites=["paris:7", "rome:9"], replicationFactor=2)
    assert str(settings.addresses["lb-paris"]) == "10.77.0.44"


def test_a_size_changes_only_what_it_names(load_with: Callable[..., Settings]) -> None:
    settings = load_with(sizes={"db": {"memoryMb": 2048}})
    assert (settings.sizes["db"].vcpus, settings.sizes["db"].memory_mb) == (1, 2048)


def test_nothing_is_published_where_the_config_says_none(load_with: Callable[..., Settings]) -> None:
    assert load_with(publish="none").publish == ""


BAD = [
    ({"sites": ["a"]}, "config evenkeel:sites: names 1 site(s); zero downtime needs at least two"),
    ({"sites": ["a", "a"]}, "config evenkeel:sites: name a is used by more than one site"),
    ({"sites": ["a", "paris:1"]}, "config evenkeel:sites: number 1 is used by more than one site"),
    ({"sites": "a"}, "config evenkeel:sites: 'a' is not a list of sites such as [a, b, c, d]"),
    ({"sites": ["A", "b"]}, "config evenkeel:sites: 'A' is neither a letter a to z nor name:number"),
    ({"sites": ["control:3", "b"]}, "config evenkeel:sites: the site name 'control' is kept for hosts and disks"),
    ({"sites": ["a b:3", "b"]}, "config evenkeel:sites: the site name 'a b' is not 1 to 16 lower-case"),
    ({"sites": ["paris:many", "b"]}, "config evenkeel:sites: the number of site paris is 'many', which is not"),
    ({"sites": ["paris:51", "b"]}, "config evenkeel:sites: the number of site paris is 51, outside 1 to 50"),
    ({"addresses": {"lb-x": "10.77.0.99"}}, "config evenkeel:addresses: 'lb-x' is no host of this stack"),
    ({"addresses": {"lb-a": "10.77.0.24"}}, "config evenkeel:addresses: lb-a and lb-b both have the address"),
    ({"addresses": ["10.77.0.24"]}, "config evenkeel:addresses: '[\"10.77.0.24\"]' is not a map of host to address"),
    ({"network": "10.77.0.0"}, "config evenkeel:network: 10.77.0.0 must be between a /8 and a /24"),
    ({"network": "10.77.0.9/24"}, "config evenkeel:network: '10.77.0.9/24' is not an IPv4 network"),
    ({"replicationFactor": "three"}, "config evenkeel:replicationFactor: replicationFactor is 'three', which is not"),
    ({"replicationFactor": 5}, "config evenkeel:replicationFactor: is 5, but there are only 4 sites; set it to 4"),
    ({"maxConnections": 1.5}, "config evenkeel:maxConnections: maxConnections is '1.5', which is not a whole number"),
    ({"maxConnections": 0}, "config evenkeel:maxConnections: maxConnections is 0, outside 10 to 100000"),
    ({"substrate": "clouds"}, "config evenkeel:substrate: 'clouds' is not one of: containers, libvirt"),
    ({"substrate": "libvirt"}, "config evenkeel:publish: is 127.0.0.1:8080, but hosts of libvirt are reached at their"),
    ({"libvirtUri": "hv1"}, "config evenkeel:libvirtUri: 'hv1' is neither qemu:///system nor qemu+ssh://USER@HOST/sys"),
    ({"libvirtUri": "qemu+ssh://root@hv1:2222/system"}, "has a port or a password in it; leave it to ~/.ssh/config"),
    (
        {"libvirtUri": "qemu+ssh://[hv1/system"},
        "config evenkeel:libvirtUri: 'qemu+ssh://[hv1/system' is not a URI such",
    ),
    ({"libvirtUris": {"x": "qemu:///system"}}, "config evenkeel:libvirtUris: 'x' is no site or host of this stack"),
    (
        {"libvirtUris": {"a": "qemu+ssh://root@hv1/system", "b": "qemu+ssh://me@hv1/system"}, "libvirtBridge": "br0"},
        "config evenkeel:libvirtUris: hv1 is named in two ways, ",
    ),
    (
        {"libvirtUris": {"b": "qemu+ssh://root@hv1/system"}},
        "config evenkeel:libvirtBridge: is none, but hosts run on local, hv1; name the bridge that joins those",
    ),
    ({"libvirtBridge": "br 0"}, "config evenkeel:libvirtBridge: 'br 0' is not a bridge's name such as br0, nor none"),
    ({"libvirtDomainType": "xen"}, "config evenkeel:libvirtDomainType: 'xen' is not one of: detect, kvm, qemu"),
    ({"libvirtPool": "../x"}, "config evenkeel:libvirtPool: '../x' is not a storage pool's name, nor a directory"),
    ({"libvirtDataGb": 0}, "config evenkeel:libvirtDataGb: libvirtDataGb is 0, outside 1 to"),
    ({"ntp": "10.77.0.1"}, "config evenkeel:ntp: '10.77.0.1' is not a list of addresses such as [192.168.40.1]"),
    ({"ntp": ["pool.ntp.org"]}, "'pool.ntp.org': take IPv4 addresses, since hosts look up no names but the zone's"),
    ({"publish": "8080"}, "config evenkeel:publish: '8080' is not ADDRESS:PORT"),
    ({"publish": "127.0.0.1:99999"}, "config evenkeel:publish: the port is 99999, outside 1 to 65535"),
    ({"zone": "Not A Zone"}, "config evenkeel:zone: 'Not A Zone' is not a DNS zone"),
    ({"service": "a.b"}, "config evenkeel:service: 'a.b' is not a single DNS label"),
    ({"keyspace": "Evil; DROP"}, "config evenkeel:keyspace: 'Evil; DROP' is not a lower-case keyspace name"),
    ({"sizes": {"cache": {}}}, "config evenkeel:sizes: names the role 'cache'; the roles are lb, app"),
    ({"sizes": {"db": {"ram": 1}}}, "config evenkeel:sizes: the size of db may have vcpus and memoryMb, not"),
    ({"sizes": {"db": {"vcpus": "two"}}}, "config evenkeel:sizes: vcpus of db is 'two', which is not a number"),
    ({"sizes": {"db": {"memoryMb": 1}}}, "config evenkeel:sizes: memoryMb of db is 1, outside 64 to"),
    ({"version": "one"}, "config evenkeel:version: 'one' is not a version such as 1.0.0"),
    ({"version": "9.9.9"}, "config evenkeel:version: 9.9.9 cannot be used: there is no file"),
    ({"artifact": "artifacts/fixed.tar.gz"}, "config evenkeel:artifact: 'artifacts/fixed.tar.gz' has no {version}"),
    ({"maxConections": 10}, "config evenkeel:maxConections: there is no such key; did you mean maxConnections?"),
    ({"zone": None}, "config evenkeel:zone: is missing; set it with `pulumi config set zone VALUE`"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_a_bad_value_is_refused_by_name(
    load_with: Callable[..., Settings], changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_with(**changes)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_host_runs_where_it_is_told_to_else_where_its_site_does_else_where_the_stack_does(
    load_with: Callable[..., Settings],
) -> None:
    first, second, third = (f"qemu+ssh://root@hv{number}/system" for number in (1, 2, 3))
    found = load_with(libvirtUri=first, libvirtUris={"b": second, "db-b": third}, libvirtBridge="br0").libvirt
    assert (found.uris["runner"], found.uris["lb-a"]) == (first, first)
    assert (found.uris["lb-b"], found.uris["db-b"]) == (second, third)
    assert found.hypervisors == {"hv1": first, "hv2": second, "hv3": third}


def test_the_time_comes_from_the_gateway_unless_the_config_says_otherwise(load_with: Callable[..., Settings]) -> None:
    assert [str(address) for address in load_with(network="10.87.0.0/24").libvirt.ntp] == ["10.87.0.1"]
    assert [str(address) for address in load_with(ntp=["192.0.2.1", "192.0.2.2"]).libvirt.ntp] == [
        "192.0.2.1",
        "192.0.2.2",
    ]


def test_the_machine_that_the_documentation_asks_for_is_not_refused(load_with: Callable[..., Settings]) -> None:
    stack = yaml.safe_load((ROOT / "Pulumi.libvirt.yaml").read_text())["config"]
    settings = load_with(**{key.removeprefix("evenkeel:"): value for key, value in stack.items()})
    needs = needs_of(settings, "qemu:///system")
    text = " ".join((ROOT / "docs" / "operations.md").read_text().split())
    told = re.search(r"machine with (\d+) GB of memory and (\d+) GB of disk", text)
    assert told is not None
    assert f"get {needs['memory_mb']:,} MB of memory" in text
    assert f"less than {needs['disk_mb']:,} MB of disk" in text
    assert f"Making the image takes {NEEDED_MB:,} MB" in text
    memory_gb, disk_gb = map(int, told.groups())
    # A fifth for the hypervisor itself: its system, and what QEMU takes beside its machines' memory.
    assert memory_gb * 1000 * 0.8 > needs["memory_mb"]
    assert disk_gb * 1000 * 0.8 > max(needs["disk_mb"], NEEDED_MB)


def test_an_emulated_machine_takes_more_memory_than_it_has(load_with: Callable[..., Settings]) -> None:
    needs = needs_of(load_with(substrate="libvirt", publish="none", network="10.87.0.0/24"), "qemu:///system")
    assert memory_of(needs, "kvm") == needs["memory_mb"]
    assert memory_of(needs, "qemu") == needs["memory_mb"] + 16 * 1024
    text = " ".join((ROOT / "docs" / "operations.md").read_text().split())
    assert f"{memory_of(needs, 'qemu') - needs['memory_mb']:,} MB for these sixteen" in text


def test_the_small_stack_s_network_is_neither_podman_s_nor_another_stack_s() -> None:
    files = [path for path in ROOT.glob("Pulumi.*.yaml") if path.name != "Pulumi.libvirt-small.yaml"]
    others = [yaml.safe_load(path.read_text())["config"].get("evenkeel:network") for path in files]
    small = IPv4Network(yaml.safe_load((ROOT / "Pulumi.libvirt-small.yaml").read_text())["config"]["evenkeel:network"])
    taken = ["10.88.0.0/16", SCHEMA["network"]["default"], *filter(None, others)]
    assert not [network for network in taken if small.overlaps(IPv4Network(network))]


def test_the_stack_files_for_slow_machines_are_taken(load_with: Callable[..., Settings]) -> None:
    config = yaml.safe_load((ROOT / "Pulumi.libvirt-small.yaml").read_text())["config"]
    settings = load_with(**{key.removeprefix("evenkeel:"): value for key, value in config.items()})
    assert (settings.slowness, settings.release.deadman_seconds) == (20, 600)
    text = (ROOT / "docs" / "operations.md").read_text()
    told = {"databaseJoinSeconds": 3600, "slowness": 20, "deadmanSeconds": 600}
    told |= {"requestTimeoutMs": 60000, "checkIntervalMs": 5000}
    assert all(f"evenkeel:{key}: {value}\n" in text for key, value in told.items())
    full = load_with(substrate="libvirt", publish="none", libvirtDomainType="qemu", **told)
    assert full.slow == settings.slow


def test_an_artifact_that_is_not_what_its_sha256_says_is_refused(
    load_with: Callable[..., Settings], project: Path
) -> None:
    with (project / "artifacts" / "item-service-1.0.0.tar.gz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(SettingsError, match=r"config evenkeel:version: 1\.0\.0 cannot be used: .*sha256"):
        load_with()


def test_an_artifact_of_another_version_than_its_name_is_refused(
    load_with: Callable[..., Settings], project: Path
) -> None:
    artifacts = project / "artifacts"
    (artifacts / "item-service-1.0.0.tar.gz").rename(artifacts / "item-service-1.0.1.tar.gz")
    sidecar = (artifacts / "item-service-1.0.0.tar.gz.sha256").read_text()
    (artifacts / "item-service-1.0.1.tar.gz.sha256").write_text(sidecar.replace("1.0.0", "1.0.1"))
    with pytest.raises(SettingsError, match=r"is 1\.0\.1, but the manifest in .* says 1\.0\.0; pack it again"):
        load_with(version="1.0.1")


def test_hosts_are_not_slow_unless_the_config_says_so_and_then_no_document_speaks_of_it(
    load_with: Callable[..., Settings],
) -> None:
    assert (load_with().slowness, load_with().slow) == (1, {})
    assert load_with(slowness=20, deadmanSeconds=200).slow == {"slowness": 20}


@pytest.mark.parametrize("value", [0, 61, "2.5", "slow"])
def test_a_slowness_that_cannot_be_is_refused_by_its_name(load_with: Callable[..., Settings], value: object) -> None:
    with pytest.raises(SettingsError, match=r"^config evenkeel:slowness: slowness is .*(outside 1 to 60|not a whole)"):
        load_with(slowness=value)


def test_a_deployer_that_slow_hosts_keep_waiting_must_not_count_as_dead(load_with: Callable[..., Settings]) -> None:
    assert load_with(slowness=60, deadmanSeconds=600).release.deadman_seconds == 600
    sentence = "deadmanSeconds: is 30, too little with slowness 20; set it to 200 or more"
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        load_with(slowness=20)
