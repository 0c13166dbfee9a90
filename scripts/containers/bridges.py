"""Bridges that a killed podman left behind: they hold a subnet, and no network of podman's knows them any more."""

import re
import subprocess
from pathlib import Path

PODMANS_OWN = re.compile(r"podman\d+|cni-podman\d+")


def remove_bridge(interface: str, net: Path = Path("/sys/class/net")) -> None:
    """Delete a bridge and the ends of cables plugged into it, if it is still there."""
    if not PODMANS_OWN.fullmatch(interface) or not (net / interface).exists():
        return
    ports = net / interface / "brif"
    for name in [*(port.name for port in ports.glob("*")), interface]:
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def is_orphan(interface: str, known: set[str]) -> bool:
    """Whether an interface is a bridge that podman made and that none of its networks (`known`) has."""
    return bool(PODMANS_OWN.fullmatch(interface)) and interface not in known
