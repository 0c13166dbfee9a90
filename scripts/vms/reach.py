"""Whether a hypervisor answers, and which kind of machine it runs: the first thing that is asked of it."""

import sys

from scripts.vms.errors import VmError
from scripts.vms.spec import Wanted
from scripts.vms.virsh import require, run_virsh


def reach(wanted: Wanted) -> dict[str, str]:
    """The hypervisor's URI and its domain type, kvm or qemu. VmError where it cannot be used."""
    require(wanted.uri)
    kind = wanted.domain_type
    if kind == "detect":
        kind = detect(wanted.uri)
    if not offers(wanted.uri, kind):
        raise VmError(missing(wanted.uri, kind))
    return {"uri": wanted.uri, "domain_type": kind}


def detect(uri: str) -> str:
    """The faster kind, kvm, where it is offered; where it is not, that is told: everything takes so much longer."""
    if offers(uri, "kvm"):
        return "kvm"
    print(f"{uri} offers no KVM: its machines are emulated, which is some twenty times slower", file=sys.stderr)
    return "qemu"


def offers(uri: str, kind: str) -> bool:
    """Whether the hypervisor runs machines of this kind for our processors."""
    return run_virsh(uri, "domcapabilities", "--virttype", kind, "--arch", "x86_64").returncode == 0


def missing(uri: str, kind: str) -> str:
    """The sentence for a kind of machine that is not there."""
    if kind == "kvm":
        return (
            f"KVM is missing at {uri}: turn virtualization on in its firmware and load the module kvm_intel or kvm_amd,"
            " or set `pulumi config set libvirtDomainType qemu`, which is some twenty times slower."
        )
    return f"QEMU is missing at {uri}: install the package qemu-system-x86 there."
