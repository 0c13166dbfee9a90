"""The check before anything is made: what would fail later fails here, in one sentence, with nothing changed."""

import ipaddress
import json
import shutil
from pathlib import Path
from typing import Any

from scripts.containers.addresses import find_overlap, parse_routes, port_problem
from scripts.containers.bridges import is_orphan
from scripts.containers.errors import ContainerError
from scripts.containers.podman import list_containers, list_networks, podman, run_podman
from scripts.containers.quirks import find_runtime
from scripts.containers.spec import CheckSpec

# With the stack already there, its own share of disk and memory is taken: this much must still be free.
SPARE_DISK_MB = 500
# inotify(7) instances are counted per user, and every container's root is this machine's root. systemd takes three
# and the bus one; a host that finds none left boots half-way and never starts its sshd, without a word.
WATCHERS_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
WATCHERS_OF_A_HOST = 4


def check_machine(spec: CheckSpec) -> dict[str, Any]:
    """Refuse what cannot work; returns facts about this machine for whoever wants to know."""
    if run_podman("image", "exists", spec.image).returncode != 0:
        raise ContainerError(f"The image {spec.image} is missing: make it with `python -m scripts.image ensure`.")
    containers = list_containers(spec.stack)
    check_network(spec)
    for port in spec.publish:
        check_port(port, containers)
    check_disk(spec, present=bool(containers))
    if not containers:
        check_memory(spec.memory_mb, Path("/proc/meminfo").read_text())
        check_watchers(spec.hosts, count_watchers(Path("/proc")), int(WATCHERS_LIMIT.read_text()))
    runtime = find_runtime(spec.image)
    return {"runtime": runtime.runtime or "default", "quirks": runtime.quirks()}


def check_network(spec: CheckSpec) -> None:
    """Refuse a subnet that this machine, or another podman network, already uses."""
    try:
        wanted = ipaddress.IPv4Network(spec.network)
    except ValueError as error:
        raise ContainerError(f"The network {spec.network!r} is not an IPv4 subnet: {error}.") from None
    own = {network["network_interface"] for network in list_networks(spec.stack)}
    overlap = find_overlap(spec.network, parse_routes(Path("/proc/net/route").read_text()), own)
    known = {str(network["network_interface"]) for network in list_networks()}
    # A bridge that podman has forgotten is cleared when the network is made.
    if overlap is not None and not is_orphan(overlap.interface, known):
        raise ContainerError(
            f"The network {spec.network} overlaps {overlap.network} on {overlap.interface}:"
            " choose another with `pulumi config set network`."
        )
    for other in list_networks():
        for subnet in other.get("subnets") or []:
            taken = ipaddress.ip_network(subnet["subnet"])
            if other["network_interface"] not in own and taken.version == 4 and taken.overlaps(wanted):
                raise ContainerError(
                    f"The network {spec.network} overlaps podman's network {other['name']} ({taken}):"
                    " choose another with `pulumi config set network`."
                )


def check_port(published: str, containers: list[dict[str, Any]]) -> None:
    """Refuse a port that someone else listens on."""
    address, _, text = published.rpartition(":")
    address = address or "0.0.0.0"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ContainerError(f"The port to publish, {published!r}, is not address:port.")
    port = int(text)
    ours = {mapping["host_port"] for listed in containers for mapping in listed.get("Ports") or []}
    problem = "" if port in ours else port_problem(address, port)
    if problem:
        raise ContainerError(
            f"Port {address}:{port} {problem}: free it, or choose another with `pulumi config set publish`."
        )


def check_disk(spec: CheckSpec, *, present: bool) -> None:
    """Refuse when podman's storage has too little space."""
    storage = json.loads(podman("info", "--format", "json", what="podman info"))["store"]["graphRoot"]
    needed = SPARE_DISK_MB if present else max(SPARE_DISK_MB, spec.disk_mb)
    free = shutil.disk_usage(storage).free // 1_000_000
    if free < needed:
        raise ContainerError(f"The hosts need {needed} MB of disk and {storage} has {free} MB free: make room first.")


def check_memory(needed_mb: int, meminfo: str) -> None:
    """Refuse when less memory is available than the hosts together may use."""
    entries = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    available = int(entries["MemAvailable"].split()[0]) * 1024 // 1_000_000
    if available < needed_mb:
        raise ContainerError(
            f"The hosts need {needed_mb} MB of memory and this machine has {available} MB available:"
            " stop something, or make hosts smaller or fewer in the stack's config."
        )


def count_watchers(processes: Path) -> int:
    """How many inotify instances the processes of this user hold; what may not be looked at is not counted."""
    return sum(1 for link in processes.glob("[0-9]*/fd/*") if _is_watcher(link))


def _is_watcher(link: Path) -> bool:
    try:
        return link.readlink() == Path("anon_inode:inotify")
    except OSError:
        return False


def check_watchers(hosts: int, taken: int, limit: int) -> None:
    """Refuse when the hosts' systemds would find too few inotify instances left."""
    needed = taken + hosts * WATCHERS_OF_A_HOST
    if needed > limit:
        raise ContainerError(
            f"The {hosts} hosts need {needed - taken} inotify instances, and of the {limit} that this machine allows a"
            f" user {taken} are taken: run `sysctl fs.inotify.max_user_instances={max(512, 2 * needed)}` (and write it"
            " to /etc/sysctl.d), or stop something."
        )
