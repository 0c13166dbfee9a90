"""Networks and ports already in use on this machine. Pure readings of /proc/net, and one bind to be sure."""

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"


@dataclass(frozen=True)
class Route:
    """An IPv4 route of this machine and the interface it leaves by."""

    network: ipaddress.IPv4Network
    interface: str


def parse_routes(table: str) -> list[Route]:
    """Read /proc/net/route; the default route overlaps everything and says nothing."""
    routes = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        address, mask = (socket.inet_ntoa(struct.pack("<I", int(columns[n], 16))) for n in (1, 7))
        network = ipaddress.IPv4Network(f"{address}/{mask}")
        if network.prefixlen > 0:
            routes.append(Route(network, columns[0]))
    return routes


def find_overlap(wanted: str, routes: list[Route], own_interfaces: set[str]) -> Route | None:
    """The first route, of an interface that is not ours, that shares addresses with the wanted subnet."""
    network = ipaddress.IPv4Network(wanted)
    for route in routes:
        if route.interface not in own_interfaces and route.network.overlaps(network):
            return route
    return None


def port_problem(address: str, port: int) -> str:
    """Why no server could listen there now, in words; empty when one could."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                return "is at no address of this machine"
            holder = find_listener(port)
            return f"is taken by {holder}" if holder else "is taken"
    return ""


def find_listener(port: int, proc: Path = Path("/proc")) -> str:
    """Who listens on a TCP port, as "name (pid 123)"; empty when that cannot be told."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    for entry in proc.glob("[0-9]*"):
        if sockets & set(_open_files(entry)):
            return f"{_describe(entry)} (pid {entry.name})"
    return ""


def _describe(process: Path) -> str:
    name = (process / "comm").read_text().strip()
    words = (process / "cmdline").read_text().split("\0")
    if name == "conmon" and "-n" in words:
        # Podman's monitor holds the ports that it publishes: the container's name says more.
        return f"container {words[words.index('-n') + 1]}"
    return name


def _listening_inodes(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = proc / "net" / table
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        for columns in (line.split() for line in lines):
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _open_files(process: Path) -> Iterator[str]:
    try:
        for handle in (process / "fd").iterdir():
            yield str(handle.readlink())
    except OSError:
        return
