"""What would fail later is refused first, in one sentence; real ports, real tables of this machine's kernel."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.containers.addresses import find_listener, find_overlap, parse_routes, port_problem
from scripts.containers.check import check_memory, check_port, check_watchers, count_watchers
from scripts.containers.errors import ContainerError

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
podman1\t004D0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_the_default_route_overlaps_nothing() -> None:
    assert [str(route.network) for route in parse_routes(ROUTES)] == ["192.0.2.0/24", "10.10.77.0/24"]


@pytest.mark.parametrize("wanted", ["192.0.2.0/24", "192.0.2.128/25", "192.0.0.0/16"])
def test_a_network_that_this_machine_uses_is_found(wanted: str) -> None:
    found = find_overlap(wanted, parse_routes(ROUTES), set())
    assert found is not None
    assert found.interface == "eth0"


def test_our_own_bridge_is_no_overlap() -> None:
    routes = parse_routes(ROUTES)
    assert find_overlap("10.10.77.0/24", routes, set()) is not None
    assert find_overlap("10.10.77.0/24", routes, {"podman1"}) is None
    assert find_overlap("10.10.78.0/24", routes, set()) is None


def test_a_port_in_use_is_told_with_who_uses_it(listener: int) -> None:
    assert port_problem("127.0.0.1", listener)
    with pytest.raises(ContainerError) as refusal:
        check_port(f"127.0.0.1:{listener}", [])
    assert f"Port 127.0.0.1:{listener} is taken by" in str(refusal.value)
    assert f"(pid {os.getpid()})" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_port_that_the_stack_itself_publishes_is_no_conflict(listener: int) -> None:
    check_port(f"127.0.0.1:{listener}", [{"Ports": [{"host_port": listener}]}])


def test_a_free_port_passes_and_nobody_is_named(listener: int) -> None:
    free = next(port for port in range(listener + 1, 65_536) if not port_problem("127.0.0.1", port))
    check_port(f"127.0.0.1:{free}", [{"Ports": None}])
    assert find_listener(free) == ""


def test_an_address_that_is_not_this_machines_is_refused() -> None:
    with pytest.raises(ContainerError, match=r"198\.51\.100\.7:8080 is at no address of this machine"):
        check_port("198.51.100.7:8080", [])


@pytest.mark.parametrize("published", ["8080x", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1"])
def test_a_port_that_is_none_is_refused(published: str) -> None:
    with pytest.raises(ContainerError, match="is not address:port"):
        check_port(published, [])


def test_too_little_memory_is_refused_with_both_figures() -> None:
    meminfo = "MemTotal: 9 kB\nMemAvailable: 2048000 kB\n"
    check_memory(2097, meminfo)
    with pytest.raises(ContainerError, match=r"need 2098 MB.*has 2097 MB"):
        check_memory(2098, meminfo)


def test_the_inotify_instances_of_this_user_are_counted() -> None:
    before = count_watchers(Path("/proc"))
    watcher = ctypes.CDLL(None).inotify_init()
    try:
        assert count_watchers(Path("/proc")) > before
    finally:
        os.close(watcher)


def test_hosts_whose_systemd_would_find_no_inotify_instance_are_refused_with_the_setting_that_helps() -> None:
    check_watchers(16, taken=64, limit=128)
    with pytest.raises(ContainerError) as refusal:
        check_watchers(16, taken=65, limit=128)
    said = str(refusal.value)
    assert "16 hosts need 64 inotify instances" in said
    assert "of the 128 that this machine allows a user 65 are taken" in said
    assert "sysctl fs.inotify.max_user_instances=512" in said
