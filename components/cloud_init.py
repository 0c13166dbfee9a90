"""A virtual machine's seed: what its cloud-init reads at the first start (templates/cloud-init)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

import pulumi

from components.addressing import gateway
from components.host import MachineArgs
from components.render import render
from components.settings import Settings

FIRST_DATA_DISK = "b"
DIGEST_LENGTH = 8


@dataclass(frozen=True)
class Seed:
    """The three documents of cloud-init's NoCloud source, and a short digest of them and of the image.

    Another digest is another machine. `user_data` holds the host's private key and is secret; the digest is not.
    """

    user_data: pulumi.Output[str]
    meta_data: pulumi.Output[str]
    network_config: str
    digest: pulumi.Output[str]


def make_seed(settings: Settings, args: MachineArgs, image: pulumi.Input[str]) -> Seed:
    """Return a host's seed; `image` names the disk image that the host starts from."""
    network = network_config(settings, args.address)
    user_data = pulumi.Output.all(args.authorized_key, args.host_private_key).apply(
        lambda keys: user_data_of(settings, args, *keys)
    )
    digest = pulumi.Output.all(image, user_data).apply(lambda parts: digest_of(*parts, network))
    shown = pulumi.Output.unsecret(digest)
    return Seed(
        user_data=pulumi.Output.secret(user_data),
        meta_data=shown.apply(lambda text: f"instance-id: {args.name}-{text}\n"),
        network_config=network,
        digest=shown,
    )


def user_data_of(settings: Settings, args: MachineArgs, authorized_key: str, host_private_key: str) -> str:
    """Return the host's cloud-config."""
    return render(
        "cloud-init/user-data.j2",
        name=args.name,
        address=args.address,
        zone=settings.names.zone,
        name_servers=[str(address) for address in settings.name_servers],
        time_servers=[str(address) for address in settings.libvirt.ntp],
        authorized_key=authorized_key,
        host_private_key=host_private_key,
        volumes=data_devices(args.volumes),
    )


def network_config(settings: Settings, address: str) -> str:
    """Return the host's network in cloud-init's second form."""
    return render(
        "cloud-init/network-config.j2",
        address=address,
        prefix_length=settings.network.prefixlen,
        gateway=str(gateway(settings.network)),
        mac=mac_of(address),
    )


def data_devices(volumes: Mapping[str, str]) -> dict[str, str]:
    """Return {device: mount point}, in the order in which the data disks are attached behind the root disk."""
    return {f"/dev/vd{chr(ord(FIRST_DATA_DISK) + place)}": volumes[what] for place, what in enumerate(sorted(volumes))}


def mac_of(address: str) -> str:
    """Return a hardware address that belongs to the IPv4 address: the same after the machine is made anew."""
    return "52:54:00:" + ":".join(f"{octet:02x}" for octet in IPv4Address(address).packed[1:])


def digest_of(*parts: str) -> str:
    """Return a short digest of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:DIGEST_LENGTH]
