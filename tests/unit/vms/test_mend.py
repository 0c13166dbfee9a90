"""Libvirt and the state brought together: leftovers go, what is lost is named, and nobody else's is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from components.libvirt import Libvirt
from components.settings import Settings
from scripts.vms.errors import VmError
from scripts.vms.known import hypervisors_of, known_things
from scripts.vms.machine import stop_machine, switch_off
from scripts.vms.mend import (
    Losses,
    find_losses,
    purge,
    refuse_inactive_pools,
    refuse_unknown_stack,
    settle,
    sweep,
)
from scripts.vms.spec import Machine
from tests.unit.vms.conftest import FakeVirsh

URI = "qemu:///system"
DEAD = "qemu+ssh://root@hv2/system"
PROVIDER = "urn:pulumi:t::evenkeel::pulumi:providers:libvirt::hypervisor-local-provider"


def entry(kind: str, name: str, id_: str, called: str, **more: Any) -> dict[str, Any]:
    types = {"domain": "domain:Domain", "volume": "volume:Volume"}
    return {
        "urn": f"urn:pulumi:t::evenkeel::x::{name}",
        "type": f"libvirt:index/{types[kind]}",
        "id": id_,
        "outputs": {"name": called},
        "provider": f"{PROVIDER}::some-id",
        **more,
    }


def seed(name: str, called: str, uri: str = URI, **more: Any) -> dict[str, Any]:
    """What the state has of a seed disk: a command, whose output is secret."""
    made = {"create": "exec .venv/bin/python -m scripts.vms write-seed", "triggers": [uri, "evenkeel-t", called]}
    return {
        "urn": f"urn:pulumi:t::evenkeel::x::{name}",
        "type": "command:local:Command",
        "id": "echo0",
        "inputs": made,
        "outputs": {"stdout": {"4dabf18193072939515e22adb298388d": "secret"}},
        **more,
    }


def state(*entries: dict[str, Any]) -> dict[str, Any]:
    provider = {"urn": PROVIDER, "type": "pulumi:providers:libvirt", "inputs": {"uri": URI}}
    return {"deployment": {"resources": [provider, *entries]}}


def run_vms(verb: str, export: dict[str, Any], *uris: str) -> subprocess.CompletedProcess[str]:
    """The program over a state, with these hypervisors or this machine's."""
    named = [argument for uri in uris or (URI,) for argument in ("--uri", uri)]
    command = [sys.executable, "-m", "scripts.vms", verb, "--prefix", "evenkeel-t", *named]
    return subprocess.run(command, input=json.dumps(export), capture_output=True, text=True, check=False)


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
            seed("db-a-seed", "evenkeel-t-db-a-seed-0123.iso"),
            entry("volume", "pool", "uuid-pool", "x"),
            entry("volume", "net", "uuid-net", "x"),
        )
    )
    assert sweep([URI], "evenkeel-t", known) == ["removed the domain evenkeel-t-lb-a, which an interrupted update left"]
    changes = [line for line in full.asked if line.startswith(("destroy", "undefine", "vol-delete", "net-", "pool-un"))]
    assert [line.split()[0] for line in changes if "list" not in line and "uuid evenkeel" not in line] == [
        "destroy",
        "undefine",
    ]


def removals(virsh: FakeVirsh) -> list[str]:
    verbs = ("destroy", "undefine", "vol-delete", "net-destroy", "net-undefine", "pool-destroy", "pool-undefine")
    return [line for line in virsh.asked if line.startswith(verbs)]


def test_data_that_the_state_does_not_know_are_named_and_left_with_the_pool_that_they_are_in(full: FakeVirsh) -> None:
    full.answer(
        "vol-info --bytes /p/evenkeel-t-db-a-data.qcow2", "Capacity: 21474836480 bytes\nAllocation: 9000000 bytes"
    )
    known = known_things(state(entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a")))
    told = sweep([URI], "evenkeel-t", known)
    assert told[1] == (
        "left the volume evenkeel-t-db-a-data.qcow2, which the state does not know and which may hold data: restore the"
        " state, or remove it with `virsh -c qemu:///system vol-delete /p/evenkeel-t-db-a-data.qcow2`"
    )
    assert not [line for line in removals(full) if "-data." in line or "pool" in line]
    assert "vol-delete /p/evenkeel-t-db-a-seed-0123.iso" in removals(full)


def test_a_data_disk_of_which_nothing_is_told_is_left(full: FakeVirsh) -> None:
    full.answer("vol-info", error="error: no answer")
    sweep([URI], "evenkeel-t", [])
    assert not [line for line in removals(full) if "-data." in line]


def test_a_data_disk_that_no_machine_ever_ran_with_is_what_an_interrupted_update_left(full: FakeVirsh) -> None:
    full.answer("vol-info", "Capacity:       21474836480 bytes\nAllocation:     200704 bytes\n")
    sweep([URI], "evenkeel-t", [])
    assert "vol-delete /p/evenkeel-t-db-a-data.qcow2" in removals(full)


@pytest.mark.parametrize(("machines", "named"), [("evenkeel-t-lb-a\n", "domain evenkeel-t-lb-a"), ("", "volume")])
def test_a_state_that_does_not_know_the_stack_touches_nothing_of_it(full: FakeVirsh, machines: str, named: str) -> None:
    full.answer("list --all --name", machines)
    with pytest.raises(VmError, match=rf"knows no machine, and qemu:///system has the {named}.*restore.*make vms-down"):
        refuse_unknown_stack([URI], "evenkeel-t", [])
    refuse_unknown_stack([URI], "evenkeel-t", known_things(state(entry("domain", "a", "uuid", "a"))))
    assert removals(full) == []


def test_the_command_refuses_a_stack_whose_state_is_elsewhere_before_it_removes_anything(full: FakeVirsh) -> None:
    result = run_vms("mend", {"version": 3, "deployment": {}})
    assert result.returncode == 1
    assert result.stderr.startswith("vms: The state knows no machine")
    assert (removals(full), result.stdout) == ([], "")


def test_a_purge_takes_all_of_the_stack_and_nothing_of_its_neighbours(full: FakeVirsh) -> None:
    assert purge(URI, "evenkeel-t", "") == [
        "domain evenkeel-t-db-a",
        "domain evenkeel-t-lb-a",
        "volume evenkeel-t-db-a-data.qcow2",
        "volume evenkeel-t-db-a-seed-0123.iso",
        "network evenkeel-t",
        "pool evenkeel-t",
    ]
    assert not [line for line in full.asked if "mail" in line or "evenkeel-t-x" in line]


def test_a_hypervisor_that_does_not_answer_is_named_and_keeps_none_of_the_others(full: FakeVirsh) -> None:
    full.answer_only_here()
    result = run_vms("purge", {}, DEAD, URI)
    assert result.returncode == 1
    assert "vol-delete /p/evenkeel-t-db-a-data.qcow2" in removals(full)
    first, last = result.stderr.splitlines()
    assert first.startswith(f"There is no access to {DEAD} (no route to host)")
    assert last == f"vms: Not all of the stack is removed from {DEAD}: see to it, then run the same again."


def test_what_is_at_a_hypervisor_that_does_not_answer_is_not_taken_for_lost(full: FakeVirsh) -> None:
    full.answer_only_here()
    provider = {"urn": f"{PROVIDER}2", "type": "pulumi:providers:libvirt", "inputs": {"uri": DEAD}}
    there = entry("domain", "app-a-machine", "uuid-app-a", "evenkeel-t-app-a") | {"provider": f"{PROVIDER}2::some-id"}
    result = run_vms("let-go", state(provider, there))
    assert (result.returncode, result.stdout) == (0, "")


def test_disks_in_a_pool_that_is_not_active_are_purged_too(full: FakeVirsh) -> None:
    full.answer("pool-list --inactive --name", "evenkeel-t\nbig\nmail\n")
    purge(URI, "evenkeel-t", "big")
    assert [line for line in full.asked if "pool-start" in line] == ["pool-start evenkeel-t --build", "pool-start big"]
    assert full.asked.index("pool-start big") < full.asked.index("pool-list --name")


def test_a_pool_that_cannot_be_started_is_told_of_when_all_else_is_gone(full: FakeVirsh) -> None:
    full.answer("pool-list --inactive --name", "big\n")
    full.answer("pool-start", error="error: no such device")
    with pytest.raises(
        VmError, match="The storage pool big at qemu:///system cannot be started, so its disks are left"
    ):
        purge(URI, "evenkeel-t", "big")
    assert "pool-undefine uuid-pool" in removals(full)


def test_what_the_state_has_and_the_hypervisor_has_not_is_no_more_in_the_state(full: FakeVirsh) -> None:
    machine = entry("domain", "app-a-machine", "uuid-app-a", "evenkeel-t-app-a")
    ready = {
        "urn": "urn:pulumi:t::evenkeel::x::app-a-ready",
        "type": "command:local:Command",
        "id": "x",
        "dependencies": [machine["urn"], PROVIDER],
        "propertyDependencies": {"triggers": [machine["urn"]], "stdin": None},
    }
    export = state(
        entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a"),
        machine,
        entry("volume", "old-root", "/p/gone.qcow2", "gone.qcow2", delete=True),
        ready,
    )
    assert hypervisors_of(export) == [URI]
    losses = find_losses([URI], "evenkeel-t", known_things(export))
    assert [thing.urn for thing in losses.gone] == [machine["urn"]]
    left = {entry["urn"].rpartition("::")[2]: entry for entry in settle(losses, export)["deployment"]["resources"]}
    assert list(left) == ["hypervisor-local-provider", "db-a-machine", "old-root", "app-a-ready"]
    assert left["app-a-ready"]["dependencies"] == [PROVIDER]
    assert left["app-a-ready"]["propertyDependencies"] == {"triggers": [], "stdin": []}
    assert removals(full) == []


def test_a_machine_that_has_lost_a_disk_is_another_than_the_program_wants(full: FakeVirsh) -> None:
    data = "/p/evenkeel-t-db-a-data.qcow2"
    disks = {"disks": [{"volumeId": "/p/lost-root.qcow2"}, {"volumeId": data}], "name": "evenkeel-t-db-a"}
    seeds = {"cloudinit": "/p/lost-seed.iso;uuid", "name": "evenkeel-t-lb-a"}
    export = state(
        entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a", inputs=disks, outputs={**disks, "vcpu": 1}),
        entry("domain", "lb-a-machine", "uuid-lb-a", "evenkeel-t-lb-a", inputs=seeds, outputs=seeds),
    )
    losses = find_losses([URI], "evenkeel-t", known_things(export))
    assert not losses.gone
    _, first, second = settle(losses, export)["deployment"]["resources"]
    assert (first["inputs"], first["outputs"]) == ({"name": "evenkeel-t-db-a"}, {"name": "evenkeel-t-db-a", "vcpu": 1})
    assert second["inputs"] == second["outputs"] == {"name": "evenkeel-t-lb-a"}


def test_a_seed_disk_that_is_gone_or_at_another_hypervisor_is_made_anew_and_its_machine_with_it(
    full: FakeVirsh,
) -> None:
    kept, lost = "evenkeel-t-db-a-seed-0123.iso", "evenkeel-t-lb-a-seed-4567.iso"
    export = state(
        seed("db-a-seed", kept),
        seed("lb-a-seed", lost),
        entry("domain", "db-a-machine", "uuid-db-a", "db-a", inputs={"cloudinit": f"/p/{kept};{kept}"}),
        entry("domain", "lb-a-machine", "uuid-lb-a", "lb-a", inputs={"cloudinit": f"/p/{lost};{lost}"}),
        seed("old-seed", "evenkeel-t-db-a-seed-89ab.iso", delete=True),
    )
    losses = find_losses([URI], "evenkeel-t", known_things(export))
    assert [thing.name for thing in losses.gone] == [lost]
    assert {thing.name: missing for thing, missing in losses.bare.items()} == {"lb-a": {"cloudinit"}}
    left = [entry["urn"].rpartition("::")[2] for entry in settle(losses, export)["deployment"]["resources"]]
    assert "lb-a-seed" not in left
    assert "db-a-seed" in left
    assert hypervisors_of(state(seed("db-b-seed", kept, DEAD))) == [DEAD]


def test_a_root_disk_whose_image_is_gone_goes_with_it_and_its_machine_is_made_anew(full: FakeVirsh) -> None:
    root = "/p/evenkeel-t-lb-a-root-89ab.qcow2"
    full.answer("vol-list", f"evenkeel-t-lb-a-root-89ab.qcow2 {root}\n")
    export = state(
        entry("volume", "base", "/p/evenkeel-t-base-01.qcow2", "evenkeel-t-base-01.qcow2"),
        entry("volume", "lb-a-root", root, "root", inputs={"baseVolumeId": "/p/evenkeel-t-base-01.qcow2"}),
        entry("domain", "lb-a-machine", "uuid-lb-a", "lb-a", inputs={"disks": [{"volumeId": root}]}),
    )
    left = settle(find_losses([URI], "evenkeel-t", known_things(export)), export)["deployment"]["resources"]
    assert [entry["urn"].rpartition("::")[2] for entry in left] == ["hypervisor-local-provider", "lb-a-machine"]
    assert left[1]["inputs"] == {}
    assert removals(full) == [f"vol-delete {root}"]


def test_a_machine_that_is_shut_off_is_started_with_its_network_and_others_are_not(full: FakeVirsh) -> None:
    full.answer("list --inactive --uuid", "uuid-db-a\nuuid-lb-a\nuuid-mail\n")
    full.answer("net-list --inactive --uuid", "uuid-net\n")
    network = entry("domain", "network", "uuid-net", "evenkeel-t") | {"type": "libvirt:index/network:Network"}
    pool = entry("domain", "pool", "uuid-pool", "evenkeel-t") | {"type": "libvirt:index/pool:Pool"}
    lost = {"disks": [{"volumeId": "/p/lost.qcow2"}]}
    export = state(
        network,
        pool,
        entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a"),
        entry("domain", "lb-a-machine", "uuid-lb-a", "evenkeel-t-lb-a", inputs=lost),
    )
    result = run_vms("mend", export)
    assert result.returncode == 0, result.stderr
    assert [line for line in full.asked if "start" in line] == ["net-start uuid-net", "start uuid-db-a"]
    assert "started the domain evenkeel-t-db-a, which was shut off" in result.stderr


def test_where_nothing_is_lost_nothing_is_to_be_imported(full: FakeVirsh) -> None:
    export = state(entry("domain", "db-a-machine", "uuid-db-a", "evenkeel-t-db-a"))
    assert find_losses([URI], "evenkeel-t", known_things(export)) == Losses()
    assert run_vms("let-go", export).stdout == ""


def test_volumes_in_a_pool_that_is_not_active_are_not_taken_for_lost(virsh: FakeVirsh) -> None:
    virsh.answer("pool-list --inactive --name", "evenkeel-t\nmail\n")
    virsh.answer("pool-dumpxml evenkeel-t", "<pool type='dir'><target><path>/p</path></target></pool>")
    virsh.answer("pool-dumpxml mail", "<pool type='dir'><target><path>/mail</path></target></pool>")
    disk = entry("volume", "db-a-data-disk", "/p/evenkeel-t-db-a-data.qcow2", "evenkeel-t-db-a-data.qcow2")
    with pytest.raises(VmError, match=r"pool evenkeel-t at .* is not active.*pool-start evenkeel-t"):
        refuse_inactive_pools([URI], known_things(state(disk)))
    refuse_inactive_pools([URI], known_things(state()))


def test_a_neighbour_whose_name_ends_like_a_host_keeps_what_it_has(virsh: FakeVirsh) -> None:
    theirs = "evenkeel-t-db-control", "evenkeel-t-lb-ns-1", "evenkeel-t-db-runner", "evenkeel-t-db-lb-a"
    virsh.answer("list --all --name", "".join(f"{name}\n" for name in theirs))
    virsh.answer("pool-list --name", "p\n")
    disks = [f"{name}-data.qcow2" for name in theirs] + ["evenkeel-t-db-base-abcdef.qcow2"]
    virsh.answer("vol-list", "".join(f" {disk}  /p/{disk}\n" for disk in disks))
    assert purge(URI, "evenkeel-t", "") == []


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
    assert virsh.asked.index("shutdown x --mode acpi") < virsh.asked.index("destroy x")


def test_a_machine_that_is_shutting_down_is_waited_for(virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(["running", "in shutdown", "in shutdown", "shut off"])
    monkeypatch.setattr("scripts.vms.machine.state_of", lambda _: next(states))
    monkeypatch.setattr("scripts.vms.machine.POLL_SECONDS", 0.0)
    stop_machine(Machine(URI, "x", "db-a", "10.99.0.22"))
    assert next(states, None) is None
    assert not [line for line in virsh.asked if line.startswith("destroy")]


def test_a_machine_that_does_not_shut_down_is_switched_off_where_it_is_to_be_off(
    virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    virsh.answer("domstate", "running\n")
    monkeypatch.setattr("scripts.vms.machine.STOP_SECONDS", {"kvm": 0.0, "qemu": 0.0})
    switch_off(Machine(URI, "x", "db-a", "10.99.0.22"))
    assert virsh.asked[-1] == "destroy x"


def run_module(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)


def test_a_machine_is_switched_on_and_off_as_the_inventory_says(virsh: FakeVirsh) -> None:
    substrate = Libvirt.__new__(Libvirt)
    substrate.settings = cast(
        Settings, SimpleNamespace(prefix="evenkeel-t", libvirt=SimpleNamespace(uris={"db-a": URI}))
    )
    power = substrate.power("db-a", "127.0.0.1")
    virsh.answer("domstate", "shut off\n")
    assert run_module(power.off).stdout == "stopped: db-a\n"
    virsh.answer("start", error="error: failed to get domain 'evenkeel-t-db-a'")
    started = run_module(power.on)
    assert started.returncode == 1
    assert started.stderr.startswith("vms: Starting host db-a at qemu:///system failed: failed to get domain")
    assert virsh.asked[-1] == "start evenkeel-t-db-a"
    virsh.answer("version", error="error: Failed to connect socket to '/run/x': Connection refused")
    assert run_module(power.off).stderr.startswith("vms: libvirt is not running on this machine")


def test_the_command_answers_in_one_sentence(virsh: FakeVirsh) -> None:
    virsh.answer("version", error="error: Failed to connect socket to '/run/x': Connection refused")
    result = run_vms("mend", state())
    assert result.returncode == 1
    assert result.stderr.startswith("vms: libvirt is not running on this machine")
    assert len(result.stderr.splitlines()) == 1
