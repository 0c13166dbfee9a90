"""What the config says about hypervisors: where each host runs, and what libvirt makes for it there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from urllib.parse import urlsplit

from components.addressing import gateway
from components.config_reader import Reader

KEYS = ("libvirtUri", "libvirtUris", "libvirtDomainType", "libvirtBridge", "libvirtPool", "libvirtDataGb", "ntp")
DOMAIN_TYPES = ("detect", "kvm", "qemu")
SCHEMES = ("qemu", "qemu+ssh")
INTERFACE = re.compile(r"^[A-Za-z0-9_.-]{1,15}$")
POOL = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63}|/[A-Za-z0-9/_.-]{1,200})$")
LOCAL = "local"


@dataclass(frozen=True)
class LibvirtSettings:
    """Hypervisors and what is wanted of them.

    `uris` has every host's hypervisor. `domain_type` is kvm, qemu, or detect. `bridge` is an existing one's name, ""
    where a NAT network is to be made. `pool` is an existing pool's name, or the directory of one to be made. `data_gb`
    is what a host's data disk can hold, in GiB. `ntp` are the addresses that hosts get the time from.
    """

    uris: Mapping[str, str]
    domain_type: str
    bridge: str
    pool: str
    data_gb: int
    ntp: tuple[IPv4Address, ...]

    @property
    def hypervisors(self) -> Mapping[str, str]:
        """Return {name: URI} of every hypervisor that has a host, in the hosts' order."""
        return {hypervisor_name(uri): uri for uri in self.uris.values()}


def hypervisor_name(uri: str) -> str:
    """Return what a hypervisor is called: its host name, or `local` for this machine's."""
    return urlsplit(uri).hostname or LOCAL


def read_libvirt(reader: Reader, hosts: Mapping[str, str | None], network: IPv4Network) -> LibvirtSettings:
    """Return the checked values; `hosts` maps each host to its site, None for one outside sites.

    Raises SettingsError naming the key.
    """
    uris = read_uris(reader, hosts)
    bridge = reader.text("libvirtBridge")
    if bridge != "none" and not INTERFACE.match(bridge):
        raise reader.refuse("libvirtBridge", f"{bridge!r} is not a bridge's name such as br0, nor none")
    settings = LibvirtSettings(
        uris=uris,
        domain_type=reader.one_of("libvirtDomainType", DOMAIN_TYPES),
        bridge="" if bridge == "none" else bridge,
        pool=reader.matching("libvirtPool", POOL, "a storage pool's name, nor a directory such as /srv/evenkeel"),
        data_gb=reader.whole("libvirtDataGb", 1, 65_536),
        ntp=read_ntp(reader, network),
    )
    if len(settings.hypervisors) > 1 and not settings.bridge:
        names = ", ".join(settings.hypervisors)
        raise reader.refuse(
            "libvirtBridge", f"is none, but hosts run on {names}; name the bridge that joins those to one network"
        )
    return settings


def read_ntp(reader: Reader, network: IPv4Network) -> tuple[IPv4Address, ...]:
    """Return the time servers' addresses: the network's gateway unless the config says otherwise.

    Not names: the hosts' name servers know the stack's own zone only.
    """
    wanted = reader.structure("ntp", list, "a list of addresses such as [192.168.40.1]", [])
    try:
        return tuple(IPv4Address(str(entry)) for entry in wanted) or (gateway(network),)
    except AddressValueError as error:
        raise reader.refuse(
            "ntp", f"{error}: take IPv4 addresses, since hosts look up no names but the zone's"
        ) from None


def read_uris(reader: Reader, hosts: Mapping[str, str | None]) -> Mapping[str, str]:
    """Return each host's hypervisor: the host's own, else its site's, else the stack's."""
    wanted = reader.structure(
        "libvirtUris", dict, "a map of site or host to URI such as {b: qemu+ssh://root@hv2/system}", {}
    )
    sites = {site for site in hosts.values() if site}
    for name in wanted:
        if name not in hosts and name not in sites:
            known = ", ".join(sorted(sites))
            raise reader.refuse("libvirtUris", f"{name!r} is no site or host of this stack, whose sites are {known}")
    special = {name: check_uri(reader, "libvirtUris", uri) for name, uri in wanted.items()}
    own = {host: special.get(host) or special.get(site or "") for host, site in hosts.items()}
    # Asked for only where some host has no hypervisor of its own.
    general = "" if all(own.values()) else check_uri(reader, "libvirtUri", reader.text("libvirtUri"))
    uris = {host: uri or general for host, uri in own.items()}
    check_names(reader, uris.values())
    return uris


def check_uri(reader: Reader, key: str, value: object) -> str:
    """Return `value` if it names a system's libvirt in a form that the provider understands."""
    uri = str(value)
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise reader.refuse(key, f"{uri!r} is not a URI such as qemu+ssh://root@hv1/system") from None
    if parts.scheme not in SCHEMES or parts.path != "/system" or bool(parts.hostname) != (parts.scheme == "qemu+ssh"):
        raise reader.refuse(key, f"{uri!r} is neither qemu:///system nor qemu+ssh://USER@HOST/system")
    if port is not None or parts.password:
        # pulumi-libvirt 0.5.4 takes HOST:PORT for the host's name.
        raise reader.refuse(key, f"{uri!r} has a port or a password in it; leave it to ~/.ssh/config and an SSH key")
    return uri


def check_names(reader: Reader, uris: Iterable[str]) -> None:
    """Refuse two URIs for one machine: it would be taken for two hypervisors."""
    seen: dict[str, str] = {}
    for uri in uris:
        other = seen.setdefault(hypervisor_name(uri), uri)
        if other != uri:
            raise reader.refuse("libvirtUris", f"{hypervisor_name(uri)} is named in two ways, {other} and {uri}")
