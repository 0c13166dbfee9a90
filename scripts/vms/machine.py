"""One machine: waiting until it answers, and its stop. All of it may be run again."""

import sys
import time

from scripts.readiness import wait_for_ssh
from scripts.vms.errors import VmError
from scripts.vms.spec import Machine
from scripts.vms.virsh import run_virsh, virsh

# An emulated processor takes some twenty times as long over everything.
READY_SECONDS = {"kvm": 300.0, "qemu": 3600.0}
STOP_SECONDS = {"kvm": 60.0, "qemu": 300.0}
POLL_SECONDS = 1.0
# One that is shutting down still has its name: the provider would undefine it under way, and find it there after that.
ALIVE = {"running", "in shutdown"}


def await_machine(machine: Machine) -> dict[str, str]:
    """Start the machine if it is off and wait until it answers; returns its id and address."""
    if state_of(machine) != "running":
        virsh(machine.uri, "start", machine.id, what=f"Starting host {machine.name}")
    seconds = READY_SECONDS[type_of(machine)]
    if not wait_for_ssh(machine.name, machine.address, seconds):
        raise VmError(
            f"Host {machine.name} runs, but its sshd at {machine.address} did not answer in {seconds:.0f} s: look with"
            f" `virsh -c {machine.uri} console {machine.id}`."
        )
    return {"id": machine.id, "address": machine.address}


def stop_machine(machine: Machine) -> None:
    """Shut the machine down as an administrator would; one that does not follow, or is gone, stops nobody."""
    if state_of(machine) not in ALIVE:
        return
    begun = time.monotonic()
    seconds = STOP_SECONDS[type_of(machine)]
    run_virsh(machine.uri, "shutdown", machine.id, "--mode", "acpi")
    while state_of(machine) in ALIVE:
        if time.monotonic() - begun > seconds:
            print(f"{machine.name} does not shut down: it is switched off", file=sys.stderr)
            run_virsh(machine.uri, "destroy", machine.id)
            return
        time.sleep(POLL_SECONDS)


def switch_off(machine: Machine) -> None:
    """Shut the machine down, and have it off in the end."""
    stop_machine(machine)
    if state_of(machine) in ALIVE:
        virsh(machine.uri, "destroy", machine.id, what=f"Switching off host {machine.name}")


def state_of(machine: Machine) -> str:
    """Libvirt's word for what the machine does; empty where there is no such machine, or no answer."""
    return run_virsh(machine.uri, "domstate", machine.id).stdout.strip()


def type_of(machine: Machine) -> str:
    """kvm or qemu."""
    described = run_virsh(machine.uri, "dumpxml", machine.id, "--xpath", "string(/domain/@type)").stdout
    return "kvm" if "kvm" in described else "qemu"
