"""What is at a hypervisor under a stack's name, whoever made it, and how each kind of it is removed."""

import re
from dataclasses import dataclass

from scripts.vms.virsh import lines, numbers, run_virsh, virsh

# Not `db-control`: that would be the control host of a stack whose name is this one's and `-db`.
HOST = r"((lb|app|db)-(?!(control|runner|ns|base)\b)[a-z][a-z0-9]{0,15}|ns-[12]|control|runner)"
# Root and seed disks have a digest in their names; what has none outlives its machine.
DATA_DISK = re.compile(f"-{HOST}-[a-z]+\\.qcow2$")
# A new disk of 20 GiB takes 200 KB, and any file system more than this.
BLANK_BYTES = 512 << 10


@dataclass(frozen=True)
class Thing:
    """One thing of the stack's: its kind, its id (a UUID, or a volume's key) and its name."""

    kind: str
    id: str
    name: str

    @property
    def ids(self) -> set[str]:
        """All that the state may know it by; a seed disk is known by its name."""
        return {self.id, self.name}

    @property
    def holds_data(self) -> bool:
        """Whether it is a disk whose data outlive the machine."""
        return self.kind == "volume" and DATA_DISK.search(self.name) is not None


def find_things(uri: str, prefix: str) -> list[Thing]:
    """Everything of the stack at the hypervisor, in the order in which it may be removed."""
    return [*_domains(uri, prefix), *_volumes(uri, prefix), *_networks(uri, prefix), *_pools(uri, prefix)]


def _domains(uri: str, prefix: str) -> list[Thing]:
    pattern = re.compile(f"{re.escape(prefix)}-{HOST}")
    names = lines(uri, "list", "--all", "--name", what="Listing the machines")
    return [Thing("domain", uuid_of(uri, "domuuid", name), name) for name in names if pattern.fullmatch(name)]


def _volumes(uri: str, prefix: str) -> list[Thing]:
    pattern = re.compile(f"{re.escape(prefix)}-({HOST}-[a-z]+(-[0-9a-f]+)?|base-[0-9a-f]+)\\.(qcow2|iso)")
    found = []
    for pool in lines(uri, "pool-list", "--name", what="Listing the storage pools"):
        run_virsh(uri, "pool-refresh", pool)
        found += [volume for volume in volumes_in(uri, pool) if pattern.fullmatch(volume.name)]
    return found


def volumes_in(uri: str, pool: str) -> list[Thing]:
    """Every volume of a storage pool, whoever's it is."""
    listed = lines(uri, "vol-list", pool, what=f"Listing the storage pool {pool}")
    parts = [line.partition(" ") for line in listed]
    return [Thing("volume", path.strip(), name) for name, _, path in parts]


def _networks(uri: str, prefix: str) -> list[Thing]:
    names = lines(uri, "net-list", "--all", "--name", what="Listing the networks")
    return [Thing("network", uuid_of(uri, "net-uuid", name), name) for name in names if name == prefix]


def _pools(uri: str, prefix: str) -> list[Thing]:
    names = lines(uri, "pool-list", "--all", "--name", what="Listing the storage pools")
    return [Thing("pool", uuid_of(uri, "pool-uuid", name), name) for name in names if name == prefix]


def uuid_of(uri: str, verb: str, name: str) -> str:
    """A thing's UUID by its name."""
    return virsh(uri, verb, name, what=f"Asking for {name}").strip()


def is_blank(uri: str, disk: Thing) -> bool:
    """Whether nothing was ever written to the disk: it was made, and no machine has run with it."""
    allocated = numbers(run_virsh(uri, "vol-info", "--bytes", disk.id).stdout.splitlines()).get("Allocation")
    return allocated is not None and allocated < BLANK_BYTES


def remove(uri: str, thing: Thing) -> None:
    """Remove it, whatever state it is in."""
    what = f"Removing the {thing.kind} {thing.name}"
    if thing.kind == "domain":
        run_virsh(uri, "destroy", thing.id)
        virsh(uri, "undefine", thing.id, "--managed-save", "--snapshots-metadata", what=what)
    elif thing.kind == "volume":
        virsh(uri, "vol-delete", thing.id, what=what)
    elif thing.kind == "network":
        run_virsh(uri, "net-destroy", thing.id)
        virsh(uri, "net-undefine", thing.id, what=what)
    else:
        run_virsh(uri, "pool-destroy", thing.id)
        run_virsh(uri, "pool-delete", thing.id)  # its directory, which is empty now
        virsh(uri, "pool-undefine", thing.id, what=what)
