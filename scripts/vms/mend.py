"""Libvirt and the state brought together again: after a kill, after a loss, after everything.

The provider cannot do it: it refuses to make what is there already, and to delete a machine or a network that is not.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from scripts.vms.amend import bared, without
from scripts.vms.errors import VmError
from scripts.vms.known import Known
from scripts.vms.things import Thing, find_things, is_blank, remove
from scripts.vms.virsh import lines, run_virsh, virsh


@dataclass(frozen=True)
class Losses:
    """What the state has and its hypervisor has not.

    `useless` are root disks whose image is gone, so that they are as good as gone; `bare` are machines without some of
    their disks, with the properties that name those.
    """

    gone: list[Known] = field(default_factory=list)
    useless: list[Known] = field(default_factory=list)
    bare: dict[Known, set[str]] = field(default_factory=dict)


def refuse_inactive_pools(uris: Iterable[str], known: Iterable[Known]) -> None:
    """VmError where a pool that has volumes of the stack is not active: they would look lost, and be made anew."""
    things = [thing for thing in known if thing.kind == "volume"]
    for uri in uris:
        folders = {PurePosixPath(thing.id).parent for thing in things if thing.uri == uri}
        for pool in lines(uri, "pool-list", "--inactive", "--name", what="Listing the storage pools"):
            if _folder(uri, pool) in folders:
                raise VmError(
                    f"The storage pool {pool} at {uri} is not active, and volumes of the stack are in it: start it with"
                    f" `virsh -c {uri} pool-start {pool}`, then run the same again."
                )


def _folder(uri: str, pool: str) -> PurePosixPath | None:
    document = virsh(uri, "pool-dumpxml", pool, what=f"Looking at the storage pool {pool}")
    path = ElementTree.fromstring(document).findtext("target/path")  # noqa: S314 - the hypervisor's own words
    return PurePosixPath(path) if path else None


def refuse_unknown_stack(uris: Iterable[str], prefix: str, known: Collection[Known]) -> None:
    """VmError where the state has nothing of libvirt and a hypervisor has machines of the stack, or their data.

    No killed update leaves that: the state is elsewhere, or lost.
    """
    if known:
        return
    for uri in uris:
        for thing in find_things(uri, prefix):
            if thing.kind == "domain" or thing.holds_data:
                raise VmError(
                    f"The state knows no machine, and {uri} has the {thing.kind} {thing.name} of this stack: restore"
                    " the state (.evenkeel/state or PULUMI_BACKEND_URL), or remove all of it with `make vms-down`."
                )


def sweep(uris: Iterable[str], prefix: str, known: Iterable[Known]) -> list[str]:
    """Remove what the stack's name is on and the state does not know, but no data; returns what was done, in words."""
    ids = {thing.id for thing in known}
    return [
        told for uri in uris for told in _sweep(uri, [each for each in find_things(uri, prefix) if not ids & each.ids])
    ]


def _sweep(uri: str, unknown: list[Thing]) -> list[str]:
    data = [thing for thing in unknown if thing.holds_data and not is_blank(uri, thing)]
    told = []
    for thing in unknown:
        if thing in data:
            told.append(
                f"left the {thing.kind} {thing.name}, which the state does not know and which may hold data: restore"
                f" the state, or remove it with `virsh -c {uri} vol-delete {thing.id}`"
            )
        elif thing.kind != "pool" or not data:
            remove(uri, thing)
            told.append(f"removed the {thing.kind} {thing.name}, which an interrupted update left")
    return told


def find_losses(uris: Iterable[str], prefix: str, known: Iterable[Known]) -> Losses:
    """What the state knows of these hypervisors and they do not have."""
    losses = Losses()
    present = {uri: {id_ for thing in find_things(uri, prefix) for id_ in thing.ids} for uri in uris}
    for thing in known:  # an image comes before the disks over it, and those before their machine
        if thing.condemned or thing.uri not in present:
            continue
        there = present[thing.uri]
        missing = {name for name, disk in thing.disks if disk not in there}
        if thing.id not in there:
            losses.gone.append(thing)
        elif missing and thing.kind == "domain":
            losses.bare[thing] = missing
        elif missing:
            losses.useless.append(thing)
            there.remove(thing.id)
    return losses


def settle(losses: Losses, export: Mapping[str, Any]) -> dict[str, Any]:
    """Have nothing stand in the way of what is to be made anew; returns the state as it is now.

    A machine without a disk that it was made over goes on with a file that is no more, until it is made anew.
    """
    for disk in losses.useless:
        remove(disk.uri, Thing(disk.kind, disk.id, disk.name))
    lost = {thing.urn for thing in (*losses.gone, *losses.useless)}
    return bared(without(export, lost), {thing.urn: missing for thing, missing in losses.bare.items()})


def start_stopped(uris: Iterable[str], known: Iterable[Known]) -> list[str]:
    """Start networks and machines that are shut off, as after the hypervisor's reboot; returns what was started."""
    things = [thing for thing in known if not thing.condemned]
    started = []
    for uri in uris:
        for kind, listing, verb in (("network", "net-list", "net-start"), ("domain", "list", "start")):
            off = lines(uri, listing, "--inactive", "--uuid", what=f"Listing what does not run of the {kind}s")
            for thing in things:
                if (thing.uri, thing.kind) == (uri, kind) and thing.id in off:
                    virsh(uri, verb, thing.id, what=f"Starting the {kind} {thing.name}")
                    started.append(f"{kind} {thing.name}")
    return started


def start_pools(uri: str, prefix: str, pool: str) -> list[str]:
    """Have the stack's own pool and the one in its config list their volumes; returns those that cannot be started."""
    inactive = lines(uri, "pool-list", "--inactive", "--name", what="Listing the storage pools")
    failed = []
    for name in dict.fromkeys((prefix, pool)):
        # The stack's own is a directory, which may be gone.
        build = ["--build"] if name == prefix else []
        if name in inactive and run_virsh(uri, "pool-start", name, *build).returncode != 0:
            failed.append(name)
    return failed


def purge(uri: str, prefix: str, pool: str) -> list[str]:
    """Remove everything of the stack at the hypervisor, data included; returns what was removed."""
    closed = start_pools(uri, prefix, pool)
    things = find_things(uri, prefix)
    for thing in things:
        remove(uri, thing)
    if closed:
        raise VmError(
            f"The storage pool {' and '.join(closed)} at {uri} cannot be started, so its disks are left there."
        )
    return [f"{thing.kind} {thing.name}" for thing in things]
