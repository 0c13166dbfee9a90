"""Hosts keep their addresses while sites come and go, and no two share one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.addressing import AddressingError, gateway, place_hosts

NETWORK = IPv4Network("10.77.0.0/24")


def test_four_sites_have_the_documented_places() -> None:
    places = place_hosts(NETWORK, {"a": 1, "b": 2, "c": 3, "d": 4}, {})
    assert places["ns-1"] == IPv4Address("10.77.0.11")
    assert places["lb-a"] == IPv4Address("10.77.0.20")
    assert places["db-d"] == IPv4Address("10.77.0.34")
    assert len(places) == 16


def test_a_removed_site_moves_no_other() -> None:
    before = place_hosts(NETWORK, {"a": 1, "b": 2, "c": 3}, {})
    after = place_hosts(NETWORK, {"a": 1, "c": 3}, {})
    assert all(before[host] == address for host, address in after.items())


def test_a_single_host_can_be_placed_elsewhere() -> None:
    assert place_hosts(NETWORK, {"a": 1, "b": 2}, {"lb-a": "10.77.0.99"})["lb-a"] == IPv4Address("10.77.0.99")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"lb-x": "10.77.0.99"}, "'lb-x' is no host of this stack, whose sites are a, b; remove or rename it"),
        ({"lb-a": "10.77.0.24"}, "lb-a and lb-b both have the address 10.77.0.24; give each its own"),
        ({"lb-a": "10.78.0.20"}, "the address of lb-a, 10.78.0.20, is not a host address of 10.77.0.0/24"),
        ({"lb-a": "10.77.0.255"}, "the address of lb-a, 10.77.0.255, is not a host address"),
        ({"lb-a": "10.77.0.1"}, "is the network's gateway; choose another"),
        ({"lb-a": "ten"}, "the address of lb-a, 'ten', is not an IPv4 address"),
        ({"lb-a": None}, "the address of lb-a, None, is not an IPv4 address"),
    ],
)
def test_an_impossible_address_is_refused_by_the_hosts_name(wanted: dict[str, object], sentence: str) -> None:
    with pytest.raises(AddressingError) as error:
        place_hosts(NETWORK, {"a": 1, "b": 2}, wanted)
    assert sentence in str(error.value)


@given(st.sets(st.integers(1, 50), min_size=2, max_size=50))
def test_any_set_of_sites_fits_into_a_24_without_collisions(numbers: set[int]) -> None:
    places = place_hosts(NETWORK, {f"s{number}": number for number in numbers}, {})
    assert len(set(places.values())) == 4 + 3 * len(numbers)
    assert gateway(NETWORK) not in places.values()
