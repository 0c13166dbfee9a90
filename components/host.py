"""A host: one machine with an address and an SSH login. Everything above it cannot tell what provides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

import pulumi

from components.commands import Login
from components.keys import SshKey
from components.settings import Settings, Size


@dataclass(frozen=True)
class Power:
    """What starts and what stops a machine, run by the deployer: a module of this project and its arguments."""

    on: list[str]
    off: list[str]


@dataclass(frozen=True)
class MachineArgs:
    """What a substrate needs to provide one machine.

    `volumes` maps a suffix of the volume's name to where it is mounted; data there outlives a replaced machine.
    `publish` maps ADDRESS:PORT on the deployer's machine to a port of the host.
    """

    name: str
    role: str
    address: str
    size: Size
    authorized_key: pulumi.Input[str]
    host_private_key: pulumi.Input[str]
    volumes: Mapping[str, str] = field(default_factory=dict)
    publish: Mapping[str, int] = field(default_factory=dict)


class Substrate(Protocol):
    """What provides machines: containers here, virtual machines elsewhere."""

    def machine(self, args: MachineArgs, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        """Provide a machine that answers SSH; return its id, which changes when the machine is another one."""
        ...

    def power(self, host: str, address: str) -> Power:
        """Return what starts and what stops the host's machine."""
        ...


@dataclass(frozen=True)
class HostArgs:
    """Arguments of a Host; the address and the size come from the settings, by name and role."""

    settings: Settings
    substrate: Substrate
    deploy_key: SshKey
    role: str
    site: str | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    publish: Mapping[str, int] = field(default_factory=dict)


class Host(pulumi.ComponentResource):
    """One machine with its own host key, reachable by the stack's deploy key."""

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Host", name, None, opts)
        self.name = name
        self.role = args.role
        self.site = args.site
        self.address = str(args.settings.addresses[name])
        self.power = args.substrate.power(name, self.address)
        child = pulumi.ResourceOptions(parent=self)
        self.key = SshKey(f"{name}-host-key", child)
        self.id_ = args.substrate.machine(self._machine(name, args), child)
        self.login = Login(self.address, args.deploy_key.private, self.key.public, self.id_)
        self.register_outputs({"address": self.address, "host_key": self.key.public})

    def _machine(self, name: str, args: HostArgs) -> MachineArgs:
        """Return what the substrate is asked for."""
        return MachineArgs(
            name=name,
            role=args.role,
            address=self.address,
            size=args.settings.sizes[args.role],
            authorized_key=args.deploy_key.public,
            host_private_key=self.key.private,
            volumes=args.volumes,
            publish=args.publish,
        )

    def describe(self) -> dict[str, pulumi.Input[object]]:
        """Return the host's entry in the stack's inventory."""
        return {
            "name": self.name,
            "role": self.role,
            "site": self.site,
            "address": self.address,
            "host_key": self.key.public,
            "power": asdict(self.power),
        }
