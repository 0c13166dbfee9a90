"""Whether a hypervisor answers, and which kind of machine it runs: the first thing that is asked of it."""

import sys
import uuid

from scripts.vms.errors import VmError
from scripts.vms.spec import Wanted
from scripts.vms.virsh import reason, require, run_virsh

# As much of a machine as starts: the processor is what components/libvirt.py asks for.
TRIAL = """<domain type='kvm'>
<name>evenkeel_trial_{name}</name>
<memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<cpu mode='maximum'/>
</domain>"""


def reach(wanted: Wanted) -> dict[str, str]:
    """The hypervisor's URI and its domain type, kvm or qemu. VmError where it cannot be used."""
    require(wanted.uri)
    kind = wanted.domain_type
    if kind == "detect":
        kind = detect(wanted.uri)
    if not offers(wanted.uri, kind):
        raise VmError(missing(wanted.uri, kind))
    if wanted.domain_type == "kvm" and (broken := trial(wanted.uri)):
        raise VmError(
            f"No machine starts with KVM at {wanted.uri} ({broken}): mend that, or set `pulumi config set"
            " libvirtDomainType qemu`, which is some twenty times slower."
        )
    return {"uri": wanted.uri, "domain_type": kind}


def detect(uri: str) -> str:
    """The faster kind, kvm, where it is offered and works; else that is told: everything takes so much longer."""
    why = "offers no KVM"
    if offers(uri, "kvm"):
        broken = trial(uri)
        if not broken:
            return "kvm"
        why = f"offers KVM, with which no machine starts ({broken})"
    print(
        f"{uri} {why}: its machines are emulated, some twenty times slower; docs/operations.md says what to set then",
        file=sys.stderr,
    )
    return "qemu"


def trial(uri: str) -> str:
    """Why a machine with KVM does not start, in libvirt's words; empty where one did.

    A machine in a cloud may have KVM that fails as soon as a processor is set up. The machine of the trial runs
    nothing, and goes with the program that made it.
    """
    machine = TRIAL.format(name=uuid.uuid4().hex)
    made = run_virsh(uri, "create", "/dev/stdin", "--paused", "--autodestroy", stdin=machine)
    return reason(made) if made.returncode != 0 else ""


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
