"""What the stack's state says about libvirt: every domain, volume, seed disk, network and pool, and where it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PROVIDER = "pulumi:providers:libvirt"
COMMAND, WRITE_SEED = "command:local:Command", "scripts.vms write-seed"
TYPES = {
    "libvirt:index/domain:Domain": "domain",
    "libvirt:index/volume:Volume": "volume",
    "libvirt:index/cloudInitDisk:CloudInitDisk": "volume",  # a seed disk that an older program made
    "libvirt:index/network:Network": "network",
    "libvirt:index/pool:Pool": "pool",
}


@dataclass(frozen=True)
class Known:
    """A thing that the state has: its kind, its id (a UUID, or a volume's key), its name in libvirt, and its place.

    A seed disk's id is its name: what its command printed is secret, for what it read is.

    `condemned` is what has been replaced already and waits for its deletion. `disks` are the ids of the volumes that it
    was made over: a machine's disks by the property that has them, and the image below a root disk.
    """

    kind: str
    id: str
    name: str
    uri: str
    urn: str
    condemned: bool
    disks: tuple[tuple[str, str], ...] = ()


def known_things(export: Mapping[str, Any]) -> list[Known]:
    """What `pulumi stack export` lists of libvirt, in the state's order."""
    resources = (export.get("deployment") or {}).get("resources") or []
    uris = {
        entry["urn"]: str((entry.get("inputs") or {}).get("uri", ""))
        for entry in resources
        if entry.get("type") == PROVIDER
    }
    return [
        thing
        for entry in resources
        if entry.get("id") and not entry.get("pendingReplacement")
        for thing in (_seed(entry) if entry.get("type") == COMMAND else _made(entry, uris))
    ]


def _made(entry: Mapping[str, Any], uris: Mapping[str, str]) -> Iterator[Known]:
    """What libvirt's provider made, if it is that."""
    if entry.get("type") in TYPES:
        yield Known(
            kind=TYPES[entry["type"]],
            id=volume_of(entry["id"]),
            name=str((entry.get("outputs") or {}).get("name", "")),
            uri=uris.get(str(entry.get("provider", "")).rpartition("::")[0], ""),
            urn=str(entry["urn"]),
            condemned=bool(entry.get("delete")),
            disks=tuple(_disks(entry.get("inputs") or {})),
        )


def _seed(entry: Mapping[str, Any]) -> Iterator[Known]:
    """A seed disk, if the command makes one: components/libvirt.py has hypervisor, pool and name in its triggers."""
    inputs = entry.get("inputs") or {}
    if WRITE_SEED in str(inputs.get("create")):
        uri, _, name = (str(part) for part in inputs["triggers"])
        yield Known("volume", name, name, uri, str(entry["urn"]), bool(entry.get("delete")))


def _disks(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Property and id of every volume that is named in a resource's inputs."""
    for key in ("baseVolumeId", "cloudinit"):
        if inputs.get(key):
            yield key, volume_of(inputs[key])
    for disk in inputs.get("disks") or []:
        if disk.get("volumeId"):
            yield "disks", volume_of(disk["volumeId"])


def volume_of(id_: object) -> str:
    """The key in a volume's id: a seed disk's has more behind it."""
    return str(id_).partition(";")[0]


def hypervisors_of(export: Mapping[str, Any]) -> list[str]:
    """The URIs of the hypervisors that the state has something of, in its order."""
    return list(dict.fromkeys(thing.uri for thing in known_things(export) if thing.uri))
