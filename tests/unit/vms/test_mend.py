"""Libvirt and the state brought together: leftovers go, what is lost is named, and nobody else's is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from scripts.vms.errors import VmError
from scripts.vms.known import Known, hypervisors_of, known_things
from scripts.vms.machine import stop_machine
from scripts.vms.mend import METADATA, find_lost, purge, refuse_inactive_pools, stand_in, sweep
from scripts.vms.spec import Machine
from tests.unit.vms.conftest import FakeVirsh

URI = "qemu:///system"
PROVIDER = "urn:pulumi:t::evenkeel::pulumi:providers:libvirt::hypervisor-local-provider"


def entry(kind: str, name: str, id_: str, called: str, **more: Any) -> dict[str, Any]:
    types = {"domain": "domain:Domain", "volume": "volume:Volume", "seed": "cloudInitDisk:CloudInitDisk"}
    return {
        "urn": f"urn:pulumi:t::evenkeel::x::{name}",
        "type": f"libvirt:index/{types[kind]}",
        "id": id_,
        "outputs": {"name": called},
        "provider": f"{PROVIDER}::some-id",
        **more,
    }


def state(*entries: dict[str, Any]) -> dict[str, Any]:
    provider = {"urn": PROVIDER, "type": "pulumi:providers:libvirt", "inputs": {"uri": URI}}
    return {"deployment": {"resources": [provider, *entries]}}


@pytest.fixture
def full(virsh: FakeVirsh) -> FakeVirsh:
    """A hypervisor with a stack t, its neighbour t-x, and somebody's own things."""
    virsh.answer("list --all --name", "evenkeel-t-db-a\nevenkeel-t-x-db-a\nmail\nevenkeel-t-lb-a\n")
    virsh.answer("domuuid evenkeel-t-db-a", "uuid-db-a\n")
    virsh.answer("domuuid evenkeel-t-lb-a", "uuid-lb-a\n")
    virsh.answer("pool-list --name", "evenkeel-t\n")
    virsh.answer("pool-list --all --name", "evenkeel-t\nevenkeel-t-x\n")
    virsh.answer("pool-uuid", "uuid-pool\n")
    virsh.answer(
        "vol-list",
        " evenkeel-t-db-a-data.qcow2      /p/evenkeel-t-db-a-data.qcow2\n"
        " evenkeel-t-db-a-seed-0123.iso   /p/evenkeel-t-db-a-seed-0123.iso\n"
        " evenkeel-t-x-db-a-data.qcow2    /p/evenkeel-t-x-db-a-data.qcow2\n"
        " mail.qcow2                      /p/mail.qcow2\n",
    )
    virsh.answer("net-list --all --name", "evenkeel-t\ndefault\n")
    virsh.answer("net-uuid", "uuid-net\n")
    return virsh


def test_what_a_killed_update_left_is_removed_and_what_the_state_knows_stays(full: FakeVirsh) -> None:
    known = known_things(
        state(
            entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a"),
            entry("volume", "db-a-data-disk", "/p/evenkeel-t-db-a-data.qcow2", "evenkeel-t-db-a-data.qcow2"),
            entry("seed", "db-a-seed", "/p/evenkeel-t-db-a-seed-0123.iso;uuid", "x"),
            entry("volume", "pool", "uuid-pool", "x"),
            entry("volume", "net", "uuid-net", "x"),
        )
    )
    assert sweep([URI], "evenkeel-t", known) == ["domain evenkeel-t-lb-a"]
    changes = [line for line in full.asked if line.startswith(("destroy", "undefine", "vol-delete", "net-", "pool-un"))]
    assert [line.split()[0] for line in changes if "list" not in line and "uuid evenkeel" not in line] == [
        "destroy",
        "undefine",
    ]


def test_a_purge_takes_all_of_the_stack_and_nothing_of_its_neighbours(full: FakeVirsh) -> None:
    assert purge([URI], "evenkeel-t") == [
        "domain evenkeel-t-db-a",
        "domain evenkeel-t-lb-a",
        "volume evenkeel-t-db-a-data.qcow2",
        "volume evenkeel-t-db-a-seed-0123.iso",
        "network evenkeel-t",
        "pool evenkeel-t",
    ]
    assert not [line for line in full.asked if "mail" in line or "evenkeel-t-x" in line]


def test_what_the_state_has_and_the_hypervisor_has_not_is_lost(full: FakeVirsh) -> None:
    export = state(
        entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a"),
        entry("domain", "app-a-machine", "uuid-app-a", "evenkeel-t-app-a"),
        entry("volume", "old-root", "/p/gone.qcow2", "gone.qcow2", delete=True),
    )
    assert hypervisors_of(export) == [URI]
    assert [thing.urn for thing in find_lost("evenkeel-t", known_things(export))] == [
        "urn:pulumi:t::evenkeel::x::app-a-machine"
    ]


def test_volumes_in_a_pool_that_is_not_active_are_not_taken_for_lost(virsh: FakeVirsh) -> None:
    virsh.answer("pool-list --inactive --name", "evenkeel-t\nmail\n")
    virsh.answer("pool-dumpxml evenkeel-t", "<pool type='dir'><target><path>/p</path></target></pool>")
    virsh.answer("pool-dumpxml mail", "<pool type='dir'><target><path>/mail</path></target></pool>")
    disk = entry("volume", "db-a-data-disk", "/p/evenkeel-t-db-a-data.qcow2", "evenkeel-t-db-a-data.qcow2")
    with pytest.raises(VmError, match=r"pool evenkeel-t at .* is not active.*pool-start evenkeel-t"):
        refuse_inactive_pools([URI], known_things(state(disk)))
    refuse_inactive_pools([URI], known_things(state()))


def test_a_lost_machine_gets_a_stand_in_that_the_provider_can_delete(virsh: FakeVirsh) -> None:
    stand_in(Known("domain", "uuid-app-a", "evenkeel-t-app-a", URI, "urn", False))
    stand_in(Known("volume", "/p/gone", "gone", URI, "urn", False))
    assert virsh.asked == ["define /dev/stdin"]


def test_a_stand_in_that_was_not_deleted_is_still_lost(full: FakeVirsh) -> None:
    full.answer("list --inactive --uuid", "uuid-lb-a\n")
    full.answer("dumpxml uuid-lb-a", f"<domain>{METADATA}</domain>")
    export = state(
        entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a"),
        entry("domain", "lb-a-machine", "uuid-lb-a", "evenkeel-t-lb-a"),
    )
    assert [thing.id for thing in find_lost("evenkeel-t", known_things(export))] == ["uuid-lb-a"]


def test_a_neighbour_whose_name_ends_like_a_host_keeps_what_it_has(virsh: FakeVirsh) -> None:
    theirs = "evenkeel-t-db-control", "evenkeel-t-lb-ns-1", "evenkeel-t-db-runner", "evenkeel-t-db-lb-a"
    virsh.answer("list --all --name", "".join(f"{name}\n" for name in theirs))
    virsh.answer("pool-list --name", "p\n")
    disks = [f"{name}-data.qcow2" for name in theirs] + ["evenkeel-t-db-base-abcdef.qcow2"]
    virsh.answer("vol-list", "".join(f" {disk}  /p/{disk}\n" for disk in disks))
    assert purge([URI], "evenkeel-t") == []


def test_an_empty_state_knows_nothing() -> None:
    assert known_things({}) == [] == known_things({"deployment": None})


def test_stopping_a_machine_that_is_gone_stops_nobody(virsh: FakeVirsh) -> None:
    virsh.answer("domstate", error="error: failed to get domain 'x'")
    stop_machine(Machine(URI, "x", "db-a", "10.99.0.22"))
    assert virsh.asked == ["domstate x"]


def test_a_machine_is_asked_to_shut_down_before_it_goes(virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch) -> None:
    virsh.answer("domstate", "running\n")
    monkeypatch.setattr("scripts.vms.machine.STOP_SECONDS", {"kvm": 0.0, "qemu": 0.0})
    stop_machine(Machine(URI, "x", "db-a", "10.99.0.22"))
    assert "shutdown x --mode acpi" in virsh.asked


def test_the_command_answers_in_one_sentence(virsh: FakeVirsh) -> None:
    virsh.answer("version", error="error: Failed to connect socket to '/run/x': Connection refused")
    command = [sys.executable, "-m", "scripts.vms", "mend", "--prefix", "evenkeel-t", "--uri", URI]
    result = subprocess.run(command, input=json.dumps(state()), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("vms: libvirt is not running on this machine")
    assert len(result.stderr.splitlines()) == 1
