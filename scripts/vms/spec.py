"""What the program asks for, read from JSON: what a hypervisor must offer, and single machines."""

import json
from dataclasses import dataclass, fields
from typing import Any, Self

from scripts.vms.errors import VmError


@dataclass(frozen=True)
class Spec:
    """Anything read from JSON: unknown and missing keys are refused by name."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the JSON object `text`."""
        try:
            given: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise VmError(f"The specification on standard input is not JSON: {error}.") from None
        known = {field.name for field in fields(cls)}
        if not isinstance(given, dict) or set(given) != known:
            raise VmError(f"The specification on standard input must have the keys {', '.join(sorted(known))}.")
        return cls(**given)


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
    stack: str
    prefix: str
    pool: str
    bridge: str
    network: str
    gateway: str
    hosts: dict[str, str]
    disk_mb: int
    memory_mb: int


@dataclass(frozen=True)
class Machine(Spec):
    """One machine: its hypervisor, its UUID there, its host's name and address."""

    uri: str
    id: str
    name: str
    address: str
