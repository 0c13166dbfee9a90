"""The check before anything is made at a hypervisor: what would fail late fails here, in one sentence."""

import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.containers.addresses import find_overlap, parse_routes
from scripts.readiness import answers
from scripts.vms.errors import VmError
from scripts.vms.spec import Needs
from scripts.vms.virsh import is_local, lines, numbers, run_virsh, virsh

UNUSED_PORT = 1


def check_hypervisor(needs: Needs) -> None:
    """Refuse what cannot work; machines that are there already have what they need."""
    present = set(lines(needs.uri, "list", "--all", "--name", what="Listing the machines"))
    new = {name: address for name, address in needs.hosts.items() if f"{needs.prefix}-{name}" not in present}
    if needs.bridge:
        check_bridge(needs)
    elif is_local(needs.uri):
        check_network(needs, Path("/proc/net/route").read_text())
    check_addresses(new)
    share = len(new) / max(1, len(needs.hosts))
    check_space(needs, round(needs.disk_mb * share))
    check_memory(needs, round(needs.memory_mb * share))


def check_bridge(needs: Needs) -> None:
    """Refuse a bridge that is not there."""
    if run_virsh(needs.uri, "iface-list", "--all").returncode == 0:
        names = [line.split()[0] for line in lines(needs.uri, "iface-list", "--all", what="Listing interfaces")]
        if names and needs.bridge not in names:
            raise VmError(
                f"There is no bridge {needs.bridge} at {needs.uri}, which has {', '.join(names)}: make it, or choose"
                " another with `pulumi config set libvirtBridge`."
            )


def check_network(needs: Needs, routes: str) -> None:
    """Refuse a subnet that this machine uses for something else."""
    overlap = find_overlap(needs.network, parse_routes(routes), {own_bridge(needs)})
    if overlap is not None:
        raise VmError(
            f"The network {needs.network} overlaps {overlap.network} on {overlap.interface}:"
            " choose another with `pulumi config set network`."
        )


def own_bridge(needs: Needs) -> str:
    """The interface of the stack's own network, "" before there is one."""
    told = run_virsh(needs.uri, "net-info", needs.prefix)
    entries = dict(line.split(":", 1) for line in told.stdout.splitlines() if ":" in line)
    return entries.get("Bridge", "").strip()


def check_addresses(hosts: dict[str, str]) -> None:
    """Refuse an address at which something answers that is none of this stack's machines."""
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(is_taken, hosts.values()))
    for (name, address), is_bad in zip(hosts.items(), taken, strict=True):
        if is_bad:
            raise VmError(
                f"The address {address} of {name} is taken: another machine answers there; free it, or give {name}"
                f" another with `pulumi config set --path addresses.{name}`."
            )


def is_taken(address: str) -> bool:
    """Whether anything answers at the address: by ping, or where there is no such program a refusal; or by SSH."""
    ping = ["ping", "-n", "-c", "1", "-W", "1", address]
    try:
        if subprocess.run(ping, capture_output=True, check=False).returncode == 0:
            return True
    except FileNotFoundError:
        if refuses(address):
            return True
    return answers(address)


def refuses(address: str) -> bool:
    """Whether a connection is refused there, which takes a machine that is up."""
    try:
        socket.create_connection((address, UNUSED_PORT), timeout=1).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return True


def check_space(needs: Needs, wanted_mb: int) -> None:
    """Refuse when the pool, or the directory that is to be one, has too little space."""
    free = free_mb(needs)
    if free is not None and free < wanted_mb:
        raise VmError(
            f"The machines need {wanted_mb} MB and the storage pool {needs.pool} at {needs.uri} has {free} MB free:"
            " make room, or choose another with `pulumi config set libvirtPool`."
        )


def free_mb(needs: Needs) -> int | None:
    """The space in the pool; None where it cannot be told before the pool is made."""
    name = needs.prefix if needs.pool.startswith("/") else needs.pool
    told = run_virsh(needs.uri, "pool-info", "--bytes", name)
    if told.returncode == 0:
        entries = numbers(told.stdout.splitlines())
        if "Available" in entries:
            return entries["Available"] // 1_000_000
    if not needs.pool.startswith("/"):
        if told.returncode != 0:
            raise VmError(
                f"There is no storage pool {needs.pool} at {needs.uri}: make it, or set libvirtPool to a directory."
            )
        raise VmError(f"The storage pool {needs.pool} at {needs.uri} is not active: `virsh pool-start {needs.pool}`.")
    if not is_local(needs.uri):
        return None
    place = next(folder for folder in (Path(needs.pool), *Path(needs.pool).parents) if folder.exists())
    return shutil.disk_usage(place).free // 1_000_000


def check_memory(needs: Needs, wanted_mb: int) -> None:
    """Refuse when the hypervisor has less memory to give than the new machines get."""
    entries = numbers(virsh(needs.uri, "nodememstats", what="Asking for the memory").splitlines())
    free = sum(entries.get(key, 0) for key in ("free", "buffers", "cached")) // 1024
    if free < wanted_mb:
        raise VmError(
            f"The machines need {wanted_mb} MB of memory and {needs.uri} has {free} MB: stop something there, or make"
            " hosts smaller or fewer in the stack's config."
        )
