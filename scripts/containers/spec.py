"""What the program asks for, read from JSON: networks, machines, and the check before either."""

import hashlib
import ipaddress
import json
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from scripts.containers.errors import ContainerError
from scripts.specification import Specification

DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Spec(Specification):
    """Anything that this package reads."""

    error: ClassVar[type[Exception]] = ContainerError


@dataclass(frozen=True)
class NetworkSpec(Spec):
    """A stack's network."""

    stack: str
    name: str
    subnet: str
    gateway: str


@dataclass(frozen=True)
class CheckSpec(Spec):
    """What a stack is about to need of this machine. Ports are `address:port`; sizes are in MB; `hosts` is how many."""

    stack: str
    image: str
    network: str
    publish: list[str] = field(default_factory=list)
    disk_mb: int = 0
    memory_mb: int = 0
    hosts: int = 0


@dataclass(frozen=True)
class MachineSpec(Spec):
    """One host. `publish` entries are `address:port:port inside`; `volumes` maps volume names to folders inside;
    `hosts` maps names to addresses for its /etc/hosts. `generation` makes a host anew when nothing else changed.
    """

    stack: str
    name: str
    container: str
    image: str
    network: str
    address: str
    cpus: float
    memory_mb: int
    authorized_key: str
    host_private_key: str = field(repr=False)
    volumes: dict[str, str] = field(default_factory=dict)
    publish: list[str] = field(default_factory=list)
    dns: list[str] = field(default_factory=list)
    search: str = ""
    hosts: dict[str, str] = field(default_factory=dict)
    generation: str = ""

    def __post_init__(self) -> None:
        try:
            ipaddress.IPv4Address(self.address)
        except ipaddress.AddressValueError:
            raise ContainerError(f"Host {self.name}: {self.address!r} is not an IPv4 address.") from None

    def digest(self) -> str:
        """Names this specification. The private key counts by its own digest, so that no label can reveal it."""
        content = asdict(self)
        content["host_private_key"] = hashlib.sha256(self.host_private_key.encode()).hexdigest()
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_LENGTH]
