"""Libvirt and the state brought together again: after a kill, after a loss, after everything.

The provider cannot do it: it refuses to make what is there already, and to delete a machine or a network that is not.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from xml.etree import ElementTree

from scripts.vms.errors import VmError
from scripts.vms.known import Known
from scripts.vms.things import Thing, find_things, remove
from scripts.vms.virsh import lines, virsh

# Whoever is killed between the definition and the deletion finds by it that the thing itself is still lost.
MARK = "https://evenkeel.invalid/stands-in"
METADATA = f"<metadata><evenkeel:lost xmlns:evenkeel='{MARK}'/></metadata>"
DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>{id}</uuid>{metadata}<memory>65536</memory>
<os><type arch='x86_64'>hvm</type></os></domain>"""
NETWORK = "<network><name>{name}</name><uuid>{id}</uuid>{metadata}</network>"
LOOK = {"domain": "dumpxml", "network": "net-dumpxml"}
IDLE = (("list", "--inactive", "--uuid"), ("net-list", "--inactive", "--uuid"))


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


def sweep(uris: Iterable[str], prefix: str, known: Iterable[Known]) -> list[str]:
    """Remove what the stack's name is on and the state does not know; returns what was removed."""
    ids = {thing.id for thing in known}
    removed = []
    for uri in uris:
        for thing in find_things(uri, prefix):
            if thing.id not in ids:
                remove(uri, thing)
                removed.append(f"{thing.kind} {thing.name}")
    return removed


def find_lost(prefix: str, known: Iterable[Known]) -> list[Known]:
    """What the state knows and its hypervisor does not have, or has only in name."""
    by_place: dict[str, list[Known]] = {}
    for thing in known:
        if thing.condemned or not thing.uri:
            continue
        by_place.setdefault(thing.uri, []).append(thing)
    lost = []
    for uri, things in by_place.items():
        # A stand-in is never started, so what runs need not be looked at one by one.
        idle = {id_ for verb in IDLE for id_ in lines(uri, *verb, what="Listing what does not run")}
        found = find_things(uri, prefix)
        present = {thing.id for thing in found if thing.id not in idle or not is_stand_in(uri, thing)}
        lost += [thing for thing in things if thing.id not in present]
    return lost


def is_stand_in(uri: str, thing: Thing) -> bool:
    """Whether something was defined in the place of what is lost, and not deleted yet."""
    verb = LOOK.get(thing.kind)
    return verb is not None and MARK in virsh(uri, verb, thing.id, what=f"Looking at the {thing.kind} {thing.name}")


def stand_in(lost: Known) -> None:
    """Where the provider could not delete what is lost, define something empty under its id for it to delete."""
    if lost.kind == "domain":
        _define(lost, "define", DOMAIN)
    elif lost.kind == "network":
        _define(lost, "net-define", NETWORK)


def _define(lost: Known, verb: str, document: str) -> None:
    what = f"Standing in for the lost {lost.kind} {lost.name}"
    virsh(lost.uri, verb, "/dev/stdin", stdin=document.format(name=lost.name, id=lost.id, metadata=METADATA), what=what)


def purge(uris: Iterable[str], prefix: str) -> list[str]:
    """Remove everything of the stack; returns what was removed."""
    return sweep(uris, prefix, [])
