"""A machine's seed disk: an ISO 9660 image in a hypervisor's pool, which cloud-init finds by its label (NoCloud).

The provider has such a disk, too. It reads back what it has written, over a stream that may leave it waiting for itself
for ever, and with it everything else that it does at that hypervisor: digitalocean/go-libvirt, issue 241.
"""

from io import BytesIO
from tempfile import NamedTemporaryFile

from pycdlib import PyCdlib

from scripts.vms.spec import SeedDisk
from scripts.vms.things import remove, volumes_in
from scripts.vms.virsh import virsh

LABEL = "cidata"


def write_seed(disk: SeedDisk) -> str:
    """Make the disk, anew where one of its name is there; return its key and its name, as machines name a seed."""
    remove_seed(disk)
    image = image_of({"user-data": disk.user_data, "meta-data": disk.meta_data, "network-config": disk.network_config})
    place = ("--pool", disk.pool)
    virsh(
        *(disk.uri, "vol-create-as", *place, disk.name, str(len(image)), "--format", "raw"),
        what=f"Making the disk {disk.name}",
    )
    with NamedTemporaryFile(prefix="evenkeel-seed-") as file:  # of mode 0600, for there are keys in it
        file.write(image)
        file.flush()
        virsh(disk.uri, "vol-upload", *place, disk.name, file.name, what=f"Writing the disk {disk.name}")
    key = virsh(disk.uri, "vol-key", *place, disk.name, what=f"Asking for the disk {disk.name}").strip()
    return f"{key};{disk.name}"


def remove_seed(disk: SeedDisk) -> None:
    """Delete the disk; one that is not there stops nobody."""
    for volume in volumes_in(disk.uri, disk.pool):
        if volume.name == disk.name:
            remove(disk.uri, volume)


def image_of(documents: dict[str, str]) -> bytes:
    """Return an image with these files in its root, under their names in Rock Ridge and Joliet."""
    image, written = PyCdlib(), BytesIO()
    image.new(vol_ident=LABEL, rock_ridge="1.09", joliet=3)
    for name, text in documents.items():
        content = text.encode()
        short = name.upper().replace("-", "")[:8]
        image.add_fp(BytesIO(content), len(content), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    image.write_fp(written)
    image.close()
    return written.getvalue()
