"""What the stack's state says about libvirt: every domain, volume, seed disk, network and pool, and where it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROVIDER = "pulumi:providers:libvirt"
TYPES = {
    "libvirt:index/domain:Domain": "domain",
    "libvirt:index/volume:Volume": "volume",
    "libvirt:index/cloudInitDisk:CloudInitDisk": "volume",
    "libvirt:index/network:Network": "network",
    "libvirt:index/pool:Pool": "pool",
}


@dataclass(frozen=True)
class Known:
    """A thing that the state has: its kind, its id (a UUID, or a volume's key), its name in libvirt, and its place.

    `condemned` is what has been replaced already and waits for its deletion.
    """

    kind: str
    id: str
    name: str
    uri: str
    urn: str
    condemned: bool


def known_things(export: Mapping[str, Any]) -> list[Known]:
    """What `pulumi stack export` lists of libvirt, in the state's order."""
    resources = (export.get("deployment") or {}).get("resources") or []
    uris = {
        entry["urn"]: str((entry.get("inputs") or {}).get("uri", ""))
        for entry in resources
        if entry.get("type") == PROVIDER
    }
    return [
        Known(
            kind=TYPES[entry["type"]],
            id=str(entry["id"]).partition(";")[0],
            name=str((entry.get("outputs") or {}).get("name", "")),
            uri=uris.get(str(entry.get("provider", "")).rpartition("::")[0], ""),
            urn=str(entry["urn"]),
            condemned=bool(entry.get("delete")),
        )
        for entry in resources
        if entry.get("type") in TYPES and entry.get("id") and not entry.get("pendingReplacement")
    ]


def hypervisors_of(export: Mapping[str, Any]) -> list[str]:
    """The URIs of the hypervisors that the state has something of, in its order."""
    return list(dict.fromkeys(thing.uri for thing in known_things(export) if thing.uri))
