"""Where each host lives in the network: a pure rule, so that a site keeps its addresses when others come and go."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network

SINGLES = {"ns-1": 11, "ns-2": 12, "control": 13, "runner": 14}
SITE_ROLES = {"lb": 0, "app": 1, "db": 2}
FIRST_SITE = 20
PER_SITE = 4


class AddressingError(ValueError):
    """Addresses that cannot be; the message is one sentence about the offending host."""


def place_hosts(
    network: IPv4Network, site_numbers: Mapping[str, int], wanted: Mapping[str, object]
) -> dict[str, IPv4Address]:
    """Return {host name: address}.

    Hosts outside sites have fixed places (11 to 14); site number n has lb, app and db at 20 + 4(n - 1) and the two
    after it, so its number alone decides. `wanted` overrides single hosts. Raises AddressingError for a host that
    does not exist, an address outside the network, the gateway's address, or one address used twice.
    """
    places = {name: network[place] for name, place in SINGLES.items()}
    for site, number in site_numbers.items():
        for role, place in SITE_ROLES.items():
            places[f"{role}-{site}"] = network[FIRST_SITE + PER_SITE * (number - 1) + place]
    for host, address in wanted.items():
        if host not in places:
            sites = ", ".join(site_numbers)
            raise AddressingError(f"{host!r} is no host of this stack, whose sites are {sites}; remove or rename it")
        places[host] = parse(host, address)
    check(network, places)
    return places


def parse(host: str, address: object) -> IPv4Address:
    """Return `address` as an IPv4 address."""
    try:
        return IPv4Address(str(address))
    except AddressValueError:
        raise AddressingError(f"the address of {host}, {address!r}, is not an IPv4 address") from None


def check(network: IPv4Network, places: Mapping[str, IPv4Address]) -> None:
    """Raise AddressingError unless every address is a usable one of the network and used once."""
    owners: dict[IPv4Address, str] = {}
    for host, address in places.items():
        if address not in network or address in (network.network_address, network.broadcast_address):
            raise AddressingError(f"the address of {host}, {address}, is not a host address of {network}")
        if address == gateway(network):
            raise AddressingError(f"the address of {host}, {address}, is the network's gateway; choose another")
        if address in owners:
            raise AddressingError(f"{owners[address]} and {host} both have the address {address}; give each its own")
        owners[address] = host


def gateway(network: IPv4Network) -> IPv4Address:
    """Return the machine's own address in the network: the first one."""
    return network[1]
