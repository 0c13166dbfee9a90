"""What the program asks for: read strictly, named by a digest that gives no secret away."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.containers.errors import ContainerError
from scripts.containers.identity import hosts_file, identity_archive
from scripts.containers.machine import create_arguments
from scripts.containers.quirks import NOFILE_STEPS, NPROC_STEPS, Runtime, candidates, confinement
from scripts.containers.spec import MachineSpec, NetworkSpec

KEY = "the host's private key"
SPEC = MachineSpec(
    stack="t", name="db-a", container="evenkeel-t-db-a", image="image:1", network="evenkeel-t", address="10.1.0.31",
    cpus=1, memory_mb=1024, authorized_key="ssh-ed25519 AAAA deploy", host_private_key=KEY,
    volumes={"evenkeel-t-db-a-data": "/var/lib/cassandra"}, publish=["127.0.0.1:8080:80"],
    dns=["10.1.0.21", "10.1.0.22"], search="evenkeel.test", hosts={"lb-a": "10.1.0.11"},
)  # fmt: skip
ORDINARY = Runtime("", ())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"stack": "t", "name": "n", "subnet": "10.1.0.0/24"}', "'gateway'"),
        ('{"stack": "t", "name": "n", "subnet": "s", "gateway": "g", "colour": 1}', "Unknown key 'colour'"),
    ],
)
def test_a_bad_specification_is_refused_by_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(ContainerError, match=sentence):
        NetworkSpec.parse(text)


def test_an_address_that_is_none_is_refused_with_its_host() -> None:
    with pytest.raises(ContainerError, match=r"db-a.*10\.1\.0\.300"):
        replace(SPEC, address="10.1.0.300")


def test_the_digest_changes_with_every_field() -> None:
    changes = [
        {"image": "image:2"}, {"address": "10.1.0.32"}, {"cpus": 2}, {"memory_mb": 512}, {"authorized_key": "other"},
        {"host_private_key": "other"}, {"volumes": {}}, {"publish": []}, {"dns": []}, {"hosts": {}},
        {"generation": "2"},
    ]  # fmt: skip
    digests = {SPEC.digest()} | {replace(SPEC, **change).digest() for change in changes}  # type: ignore[arg-type]
    assert len(digests) == len(changes) + 1


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    content = {**SPEC.__dict__}
    backwards = dict(reversed(content.items()))
    assert MachineSpec.parse(json.dumps(backwards)).digest() == SPEC.digest()


def test_the_private_key_shows_neither_in_podmans_arguments_nor_in_print() -> None:
    assert KEY not in " ".join(create_arguments(SPEC, ORDINARY))
    assert KEY not in repr(SPEC)


def test_an_ordinary_machine_gets_no_runtime_and_no_limits_of_ours() -> None:
    arguments = create_arguments(SPEC, ORDINARY)
    assert arguments[0] == "create"
    assert "--ulimit" not in arguments


def test_a_hosts_size_address_and_data_are_in_podmans_arguments() -> None:
    line = " ".join(create_arguments(SPEC, Runtime("runc", ("nofile=10:10",))))
    assert line.startswith("--runtime runc create --pull=never --name evenkeel-t-db-a --hostname db-a ")
    for part in (
        "--ip 10.1.0.31", "--memory 1024m --memory-swap 1024m", "--cpus 1", "--publish 127.0.0.1:8080:80",
        "--dns 10.1.0.21 --dns 10.1.0.22", "--volume evenkeel-t-db-a-data:/var/lib/cassandra", "--ulimit nofile=10:10",
        f"--label evenkeel.spec={SPEC.digest()}", "--label evenkeel.stack=t", "--label evenkeel.host=db-a",
    ):  # fmt: skip
        assert part in line
    assert line.endswith(" image:1")


def test_keys_go_in_with_the_modes_that_sshd_insists_on() -> None:
    with tarfile.open(fileobj=io.BytesIO(identity_archive(SPEC))) as archive:
        modes = {member.name: (member.mode, member.uid) for member in archive}
        key = archive.extractfile("etc/ssh/ssh_host_ed25519_key")
        assert key is not None
        assert key.read().decode() == KEY + "\n"
    assert modes == {
        "etc/ssh/ssh_host_ed25519_key": (0o600, 0),
        "root/.ssh/authorized_keys": (0o600, 0),
        "etc/hosts": (0o644, 0),
    }


def test_a_host_knows_its_own_name_and_those_it_was_given() -> None:
    assert hosts_file(SPEC).splitlines() == [
        "127.0.0.1\tlocalhost",
        "10.1.0.31\tdb-a.evenkeel.test db-a",
        "10.1.0.11\tlb-a",
    ]


def test_the_ordinary_way_is_tried_first_and_no_limit_exceeds_our_own() -> None:
    ways = list(candidates(20_000, 1 << 30))
    assert ways[0] == Runtime("", ())
    limits = [dict(limit.split("=") for limit in way.ulimits) for way in ways if way.ulimits]
    assert all(int(limit["nofile"].split(":")[0]) <= 20_000 for limit in limits)
    assert limits[0] == {"nofile": "20000:20000", "nproc": f"{NPROC_STEPS[0]}:{NPROC_STEPS[0]}"}
    assert limits[len(NOFILE_STEPS) - 1] == {"nofile": "4096:4096", "nproc": "4096:4096"}


def test_profiles_made_for_single_programs_are_lifted_where_the_machine_has_them(tmp_path: Path) -> None:
    assert confinement(tmp_path) == []
    enabled = tmp_path / "module" / "apparmor" / "parameters" / "enabled"
    enabled.parent.mkdir(parents=True)
    enabled.write_text("N\n")
    assert confinement(tmp_path) == []
    enabled.write_text("Y\n")
    assert confinement(tmp_path) == ["--security-opt", "apparmor=unconfined"]
