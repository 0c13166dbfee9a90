"""A stack's network: one bridge with fixed addresses. Names are resolved by the stack's own name servers."""

from scripts.containers.podman import STACK_LABEL, inspect, podman
from scripts.containers.spec import NetworkSpec


def create_network(spec: NetworkSpec) -> None:
    """Make the network, or make it anew when its subnet changed (its hosts are then made anew by their own steps)."""
    present = inspect("network", spec.name)
    if present is not None:
        if _matches(present, spec):
            return
        podman("network", "rm", "--force", "--time", "20", spec.name, what=f"Replacing network {spec.name}")
    podman(
        *("network", "create", "--disable-dns", "--label", f"{STACK_LABEL}={spec.stack}"),
        *("--subnet", spec.subnet, "--gateway", spec.gateway, spec.name),
        what=f"Creating network {spec.name} ({spec.subnet})",
    )


def delete_network(spec: NetworkSpec) -> None:
    """Remove the network unless one with another subnet has taken its place, or it is gone."""
    present = inspect("network", spec.name)
    if present is not None and _matches(present, spec):
        podman("network", "rm", "--force", "--time", "0", spec.name, what=f"Removing network {spec.name}")


def _matches(present: dict[str, object], spec: NetworkSpec) -> bool:
    subnets = present.get("subnets")
    wanted = {"subnet": spec.subnet, "gateway": spec.gateway}
    return isinstance(subnets, list) and [dict(subnet) for subnet in subnets] == [wanted]
