"""All hosts of a stack at once: start, stop, list, and remove without a trace."""

import re
from dataclasses import dataclass
from typing import Any

from scripts.containers.errors import ContainerError
from scripts.containers.leftovers import forget_addresses, remove_containers, start_container
from scripts.containers.machine import STOP_SECONDS
from scripts.containers.network import remove_network
from scripts.containers.podman import (
    HOST_LABEL,
    SPEC_LABEL,
    inspect,
    list_containers,
    list_networks,
    list_volumes,
    podman,
    run_podman,
)
from scripts.containers.weight import remove_group, weigh

HOST_NAMES = r"(lb|app|db)-[a-z0-9]+|ns-[0-9]+|control|runner"


@dataclass(frozen=True)
class Machine:
    """A host as podman sees it. `state` is podman's word: running, exited, created, ..."""

    name: str
    container: str
    id: str
    state: str
    address: str
    image: str
    spec: str


def list_machines(stack: str) -> list[Machine]:
    """The stack's hosts by name."""
    machines = [_machine(listed) for listed in list_containers(stack)]
    return sorted(machines, key=lambda machine: machine.name)


def start_machines(stack: str, hosts: list[str]) -> list[str]:
    """Start those hosts, or all, that do not run; returns their names."""
    chosen = [machine for machine in _choose(stack, hosts) if machine.state != "running"]
    for machine in chosen:
        start_container(machine.container, machine.name)
    weigh()  # those that came back by themselves after a reboot
    return [machine.name for machine in chosen]


def stop_machines(stack: str, hosts: list[str]) -> list[str]:
    """Shut those hosts down cleanly, or all, that run; returns their names."""
    chosen = [machine for machine in _choose(stack, hosts) if machine.state == "running"]
    if chosen:
        containers = (machine.container for machine in chosen)
        podman("stop", "--time", str(STOP_SECONDS), *containers, what="Stopping hosts")
    return [machine.name for machine in chosen]


def purge(stack: str) -> list[str]:
    """Remove everything of the stack, whatever state it was left in; returns what was removed."""
    containers = [machine.container for machine in list_machines(stack)] + _half_made(stack)
    remove_containers(containers, 0)
    networks = [network["name"] for network in list_networks(stack)]
    for network in networks:
        remove_network(network, 0)
    volumes = list_volumes(stack)
    if volumes:
        podman("volume", "rm", "--force", *volumes, what="Removing volumes")
    if forget_addresses():
        remove_group()
    return containers + networks + volumes


def _half_made(stack: str) -> list[str]:
    """Names that a killed podman left in its storage: no label tells whose they are, only the name."""
    listing = run_podman("ps", "--all", "--external", "--format", "{{.Names}}").stdout.decode().split()
    ours = re.compile(rf"evenkeel-{re.escape(stack)}-({HOST_NAMES})")
    return [name for name in listing if ours.fullmatch(name) and inspect("container", name) is None]


def _choose(stack: str, hosts: list[str]) -> list[Machine]:
    machines = list_machines(stack)
    known = {machine.name for machine in machines}
    for host in hosts:
        if host not in known:
            have = f"its hosts are {', '.join(sorted(known))}" if known else "it has none: run `make up`"
            raise ContainerError(f"Stack {stack} has no host {host!r}; {have}.")
    return [machine for machine in machines if not hosts or machine.name in hosts]


def _machine(listed: dict[str, Any]) -> Machine:
    labels = listed["Labels"]
    container = listed["Names"][0]
    return Machine(
        name=labels.get(HOST_LABEL, container),
        container=container,
        id=listed["Id"],
        state=listed["State"],
        address=_address(container),
        image=listed["Image"],
        spec=labels.get(SPEC_LABEL, ""),
    )


def _address(container: str) -> str:
    present = inspect("container", container) or {}
    networks = present.get("NetworkSettings", {}).get("Networks") or {}
    return next((str(network.get("IPAddress") or "") for network in networks.values()), "")
