"""What a stack needs of one hypervisor, counted from the settings; and what the first check finds there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pulumi

from components.settings import ROLES, Settings, Size

ROOT_DISK_MB = 1_000
DATABASE_DISK_MB = 2_000
IMAGE_MB = 1_000
TRANSLATION_MB = 1_024  # what QEMU may take beside an emulated machine's memory, for the code that it has translated


def facts_of(reached: Any) -> pulumi.Output[Any]:
    """Return what `scripts.vms reach` found: `uri` and `domain_type`; unknown until it has run."""
    return pulumi.Output.from_input(reached.stdout).apply(json.loads)


def vcpus_of(size: Size) -> int:
    """Return how many processors a machine gets: it cannot have a part of one."""
    return math.ceil(size.vcpus)


def needs_of(settings: Settings, uri: str) -> dict[str, Any]:
    """Return what `scripts.vms check` is told: the hosts at this hypervisor with addresses, space, memory, names."""
    hosts = {name: str(address) for name, address in settings.addresses.items() if settings.libvirt.uris[name] == uri}
    sizes = [settings.sizes[role_of(name)] for name in hosts]
    databases = sum(role_of(name) == "db" for name in hosts)
    return {
        "uri": uri,
        "prefix": settings.prefix,
        "pool": settings.libvirt.pool,
        "bridge": settings.libvirt.bridge,
        "network": str(settings.network),
        "hosts": hosts,
        "disk_mb": IMAGE_MB + ROOT_DISK_MB * len(hosts) + DATABASE_DISK_MB * databases,
        "memory_mb": sum(size.memory_mb for size in sizes),
    }


def memory_of(needs: Mapping[str, Any], domain_type: str) -> int:
    """Return the memory that those hosts take as machines of this type, kvm or qemu."""
    beside = TRANSLATION_MB * len(needs["hosts"]) if domain_type == "qemu" else 0
    return int(needs["memory_mb"]) + beside


def role_of(host: str) -> str:
    """Return the role that a host's name begins with."""
    role = host.partition("-")[0]
    assert role in ROLES  # noqa: S101 - addressing makes no other names
    return role
