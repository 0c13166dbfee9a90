"""What a hypervisor is refused for, before anything is made there: one sentence that says what to do."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.vms import check
from scripts.vms import virsh as virsh_module
from scripts.vms.__main__ import main
from scripts.vms.check import check_addresses, check_hypervisor, check_memory, check_network, check_space
from scripts.vms.errors import VmError
from scripts.vms.reach import reach
from scripts.vms.spec import Needs, Wanted
from tests.unit.vms.conftest import FakeVirsh

HERE, THERE = "qemu:///system", "qemu+ssh://root@hv1/system"
NEEDS = Needs(
    uri=HERE, prefix="evenkeel-t", pool="big", bridge="", network="10.99.0.0/24",
    hosts={"lb-a": "10.99.0.20", "db-a": "10.99.0.22"}, disk_mb=4000, memory_mb=1280,
)  # fmt: skip
ROUTES = (
    "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\nvirbr7 0000630A 0 1 0 0 0 00FFFFFF 0 0 0\n"
)


@pytest.mark.parametrize(
    ("uri", "complaint", "sentence"),
    [
        (
            HERE,
            "error: failed to connect to the hypervisor\n"
            "error: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
            "libvirt is not running on this machine (qemu:///system): start it with `systemctl start libvirtd`, without"
            " systemd with `virtlogd -d; libvirtd -d`, or install the package libvirt-daemon-system.",
        ),
        (
            HERE,
            "error: something else",
            "There is no access to qemu:///system (something else): make `virsh -c qemu:///system version` work, then"
            " run the same again.",
        ),
        (
            HERE,
            "error: failed to connect to the hypervisor\n"
            "error: Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied",
            "This user may not use qemu:///system: run the same with sudo, or join the group libvirt.",
        ),
        (
            HERE,
            "error: failed to connect to the hypervisor\n"
            "error: internal error: Unable to get system bus connection: Could not connect: No such file or directory",
            "This user may not use qemu:///system: run the same with sudo, or join the group libvirt.",
        ),
        (
            HERE,
            "error: authentication unavailable: no polkit agent available to authenticate",
            "This user may not use qemu:///system: run the same with sudo, or join the group libvirt.",
        ),
        (
            THERE,
            "error: failed to connect to the hypervisor\n"
            "error: Cannot recv data: root@hv1: Permission denied (publickey).: Connection reset by peer",
            "There is no access to qemu+ssh://root@hv1/system (Cannot recv data: root@hv1: Permission denied"
            " (publickey).: Connection reset by peer): make `virsh -c qemu+ssh://root@hv1/system version` work, with"
            " the host's key in known_hosts and a login by SSH key, then run the same again.",
        ),
    ],
)
def test_a_hypervisor_that_does_not_answer_is_named_with_what_to_do(
    virsh: FakeVirsh, uri: str, complaint: str, sentence: str
) -> None:
    virsh.answer("version", error=complaint)
    with pytest.raises(VmError) as refused:
        reach(Wanted(uri, "detect"))
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("uri", "advice"),
    [
        (HERE, r"^libvirt runs on this machine .* its log .*/dev/kvm .* libvirtDomainType qemu`\.$"),
        (
            THERE,
            r"^There is no access to qemu\+ssh://root@hv1/system \(no answer within 0 s\): .* login by SSH key, then",
        ),
    ],
)
def test_a_hypervisor_that_hangs_is_told_of_by_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, advice: str
) -> None:
    (tmp_path / "virsh").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(virsh_module, "SECONDS", 0.2)
    with pytest.raises(VmError, match=advice):
        reach(Wanted(uri, "detect"))


NO_KVM = "error: invalid argument: KVM is not supported by this QEMU"


def test_kvm_is_taken_where_it_is_offered_and_emulation_is_told_of_where_it_is_not(
    virsh: FakeVirsh, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reach(Wanted(HERE, "detect")) == {"uri": HERE, "domain_type": "kvm"}
    assert capsys.readouterr().err == ""
    virsh.answer("domcapabilities --virttype kvm", error=NO_KVM)
    assert reach(Wanted(HERE, "detect")) == {"uri": HERE, "domain_type": "qemu"}
    told = capsys.readouterr().err
    assert told.startswith("qemu:///system offers no KVM: its machines are emulated, some twenty times slower; docs/")


def test_kvm_with_which_no_machine_starts_is_not_taken(virsh: FakeVirsh, capsys: pytest.CaptureFixture[str]) -> None:
    virsh.answer("create /dev/stdin", error="error: qemu unexpectedly closed the monitor\nfailed to set MSR 0x10a")
    assert reach(Wanted(HERE, "detect")) == {"uri": HERE, "domain_type": "qemu"}
    told = capsys.readouterr().err
    assert "offers KVM, with which no machine starts (failed to set MSR 0x10a): its machines are emulated" in told
    with pytest.raises(VmError, match=r"No machine starts with KVM at qemu:///system \(failed .* libvirtDomainType"):
        reach(Wanted(HERE, "kvm"))
    assert reach(Wanted(HERE, "qemu")) == {"uri": HERE, "domain_type": "qemu"}


def test_the_trial_of_kvm_leaves_no_machine(virsh: FakeVirsh) -> None:
    reach(Wanted(HERE, "detect"))
    (trial,) = [asked for asked in virsh.asked if "create" in asked]
    assert "--autodestroy" in trial


def test_a_hypervisor_that_runs_neither_kind_of_machine_is_refused(virsh: FakeVirsh) -> None:
    virsh.answer("domcapabilities", error="error: failed to get emulator capabilities")
    with pytest.raises(VmError, match=r"QEMU is missing at qemu:///system: install the package qemu-system-x86 there"):
        reach(Wanted(HERE, "detect"))


def test_kvm_that_is_wanted_and_missing_is_refused_with_both_ways_out(virsh: FakeVirsh) -> None:
    virsh.answer("domcapabilities --virttype kvm", error=NO_KVM)
    with pytest.raises(VmError, match=r"KVM is missing at qemu:///system: turn virtualization on .* libvirtDomainType"):
        reach(Wanted(HERE, "kvm"))


def test_a_machine_without_virsh_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VmError, match="virsh is missing: run `make vms`"):
        reach(Wanted(HERE, "detect"))


def test_a_pool_without_space_is_refused_with_how_much_is_needed(virsh: FakeVirsh) -> None:
    virsh.answer("pool-info", "Name:  big\nState: running\nAvailable:      3000000000\n")
    check_space(NEEDS, 2999)
    with pytest.raises(VmError, match="need 4000 MB and the storage pool big at qemu:///system has 3000 MB free"):
        check_space(NEEDS, 4000)


def test_a_pool_that_is_not_there_is_refused(virsh: FakeVirsh) -> None:
    virsh.answer("pool-info", error="error: failed to get pool 'big'")
    with pytest.raises(VmError, match="There is no storage pool big at qemu:///system"):
        check_space(NEEDS, 1)


def test_a_directory_is_asked_for_its_space_before_it_is_a_pool(virsh: FakeVirsh) -> None:
    virsh.answer("pool-info", error="error: failed to get pool")
    with pytest.raises(VmError, match=r"storage pool /var/lib/none/of/this at qemu:///system has \d+ MB free"):
        check_space(replace(NEEDS, pool="/var/lib/none/of/this"), 10**12)


def test_an_address_at_which_something_answers_is_refused_by_its_hosts_name(virsh: FakeVirsh) -> None:
    with pytest.raises(VmError, match=r"The address 127.0.0.1 of lb-a is taken: .*--path addresses.lb-a"):
        check_addresses({"lb-a": "127.0.0.1"})


def test_where_there_is_no_ping_a_refused_connection_tells_that_a_machine_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert check.is_taken("127.0.0.1")
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: (_ for _ in ()).throw(TimeoutError))
    assert not check.is_taken("127.0.0.1")


def test_a_machine_that_answers_ssh_alone_counts_as_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    monkeypatch.setattr(check, "refuses", lambda _: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        greeting = threading.Thread(target=lambda: server.accept()[0].sendall(b"SSH-2.0-x\r\n"))
        greeting.start()
        port = server.getsockname()[1]
        monkeypatch.setattr(check, "answers", lambda address: check_answers(address, port))
        assert check.is_taken("127.0.0.1")
        greeting.join()


def check_answers(address: str, port: int) -> bool:
    from scripts.readiness import answers

    return answers(address, port)


def test_a_network_that_this_machine_uses_otherwise_is_refused_and_the_stacks_own_is_not(virsh: FakeVirsh) -> None:
    with pytest.raises(VmError, match=r"The network 10.99.0.0/24 overlaps 10.99.0.0/24 on virbr7"):
        check_network(NEEDS, ROUTES)
    virsh.answer("net-info evenkeel-t", "Name: evenkeel-t\nBridge:         virbr7\n")
    check_network(NEEDS, ROUTES)


def test_a_bridge_that_is_not_there_is_refused_with_those_that_are(virsh: FakeVirsh) -> None:
    virsh.answer("iface-list", "br0  active  00:00:00:00:00:00\neth0 active 00:00:00:00:00:01\n")
    with pytest.raises(VmError, match="There is no bridge br9 at qemu:///system, which has br0, eth0"):
        check_hypervisor(replace(NEEDS, bridge="br9"))


def test_too_little_memory_is_refused(virsh: FakeVirsh) -> None:
    virsh.answer("nodememstats", "total  :  9000000 KiB\nfree   :  500000 KiB\nbuffers: 0 KiB\ncached : 300000 KiB\n")
    check_memory(NEEDS, 781)
    with pytest.raises(VmError, match="need 1280 MB of memory and qemu:///system has 781 MB"):
        check_memory(NEEDS, 1280)


def test_machines_that_are_there_already_need_nothing_more(virsh: FakeVirsh) -> None:
    virsh.answer("list --all --name", "evenkeel-t-lb-a\nevenkeel-t-db-a\n")
    virsh.answer("pool-info", "Available: 1000\n")
    virsh.answer("nodememstats", "free: 1 KiB\n")
    check_hypervisor(NEEDS)


def test_each_hypervisor_is_asked_and_the_first_that_does_not_answer_is_named(
    virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    virsh.answer_only_here()
    monkeypatch.setattr("sys.argv", ["vms", "ask", "--uri", HERE])
    assert main() == 0
    monkeypatch.setattr("sys.argv", ["vms", "ask", "--uri", HERE, "--uri", THERE])
    assert main() == 1
    assert "There is no access to qemu+ssh://root@hv1/system (no route to host)" in capsys.readouterr().err
