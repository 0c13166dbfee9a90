"""What the program asks for, read from JSON: what a hypervisor must offer, and single machines."""

from dataclasses import dataclass, field
from typing import ClassVar

from scripts.specification import Specification
from scripts.vms.errors import VmError


@dataclass(frozen=True)
class Spec(Specification):
    """Anything that this package reads."""

    error: ClassVar[type[Exception]] = VmError


@dataclass(frozen=True)
class Wanted(Spec):
    """A hypervisor, and the kind of machines wanted there: kvm, qemu, or detect."""

    uri: str
    domain_type: str


@dataclass(frozen=True)
class Needs(Spec):
    """What a stack is about to need of a hypervisor. `hosts` maps names to addresses; sizes are in MB.

    `bridge` is empty where a network of the stack's own is to be made; `pool` is a name or a directory.
    """

    uri: str
    prefix: str
    pool: str
    bridge: str
    network: str
    hosts: dict[str, str]
    disk_mb: int
    memory_mb: int


@dataclass(frozen=True)
class SeedDisk(Spec):
    """A machine's seed: its hypervisor, the pool it is in, its name there, and cloud-init's three documents."""

    uri: str
    pool: str
    name: str
    user_data: str = field(repr=False)
    meta_data: str
    network_config: str


@dataclass(frozen=True)
class Machine(Spec):
    """One machine: its hypervisor, its UUID or name there, its host's name and address."""

    uri: str
    id: str
    name: str
    address: str
