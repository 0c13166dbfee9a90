"""A stack's network: one bridge with fixed addresses. Names are resolved by the stack's own name servers."""

from pathlib import Path
from typing import Any

from scripts.containers.addresses import find_overlap, parse_routes
from scripts.containers.bridges import is_orphan, remove_bridge
from scripts.containers.leftovers import remove_containers
from scripts.containers.podman import STACK_LABEL, inspect, list_networks, podman, run_podman
from scripts.containers.spec import NetworkSpec

STOP_SECONDS = 20


def create_network(spec: NetworkSpec) -> None:
    """Make the network, or make it anew when its subnet changed (its hosts are then made anew by their own steps)."""
    present = inspect("network", spec.name)
    if present is not None:
        if _matches(present, spec):
            return
        remove_network(spec.name, STOP_SECONDS)
    _clear_orphan(spec.subnet)
    podman(
        *("network", "create", "--disable-dns", "--label", f"{STACK_LABEL}={spec.stack}"),
        *("--subnet", spec.subnet, "--gateway", spec.gateway, spec.name),
        what=f"Creating network {spec.name} ({spec.subnet})",
    )


def delete_network(spec: NetworkSpec) -> None:
    """Remove the network unless one with another subnet has taken its place, or it is gone."""
    present = inspect("network", spec.name)
    if present is not None and _matches(present, spec):
        remove_network(spec.name, 0)


def remove_network(name: str, seconds: int) -> None:
    """Remove a network, the hosts on it, and its bridge, which stays when a start of a host was cut off."""
    present = inspect("network", name)
    listing = run_podman("ps", "--all", "--filter", f"network={name}", "--format", "{{.Names}}").stdout.decode()
    remove_containers(listing.split(), seconds)
    podman("network", "rm", "--force", "--time", str(seconds), name, what=f"Removing network {name}")
    remove_bridge(str((present or {}).get("network_interface")))


def _clear_orphan(subnet: str) -> None:
    """Free the subnet from a bridge that nothing of podman's owns."""
    known = {str(network["network_interface"]) for network in list_networks()}
    route = find_overlap(subnet, parse_routes(Path("/proc/net/route").read_text()), known)
    if route is not None and is_orphan(route.interface, known):
        remove_bridge(route.interface)


def _matches(present: dict[str, Any], spec: NetworkSpec) -> bool:
    subnets = present.get("subnets")
    wanted = {"subnet": spec.subnet, "gateway": spec.gateway}
    return isinstance(subnets, list) and [dict(subnet) for subnet in subnets] == [wanted]
