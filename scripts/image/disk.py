"""The machine image as a disk for virtual machines: the recipe's root file system with what makes a machine boot.

`disk/` says what that is. The disk is a qcow2 with one partition, GRUB in front of it for a BIOS, and beside it a
file with its SHA-256, against which it is checked before every upload.
"""

import hashlib
import json
import platform
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.image.build import CACHE, build_lock, check_space, make_root
from scripts.image.errors import ImageError
from scripts.image.layer import lay_out_tools
from scripts.image.progress import Progress
from scripts.image.recipe import DISK, ROOT, Recipe, digest_of_folder, load_recipe, read_list
from scripts.image.run import need, need_root, run_logged

SIZE_MB = 6144
"""What a host's root disk can hold; the file holds what is in it."""
FIRST_SECTOR = 2048
SECTOR = 512
NEEDED_MB = 8000
NAME_LENGTH = 12


@dataclass(frozen=True)
class Disk:
    """A disk image: its name, its file, relative to the project's directory, and the file with its SHA-256."""

    name: str
    file: Path

    @property
    def path(self) -> Path:
        """Where the file is."""
        return ROOT / self.file

    @property
    def record(self) -> Path:
        """Where its SHA-256 is written down."""
        return self.path.with_suffix(".sha256")

    @property
    def is_made(self) -> bool:
        """Whether both are there."""
        return self.path.exists() and self.record.exists()


def wanted_disk(recipe: Recipe | None = None) -> Disk:
    """The disk that the recipe makes; named by all that goes into it."""
    name = digest_of_folder(DISK, "disk", extra=(recipe or load_recipe()).digest)[:NAME_LENGTH]
    return Disk(name, (CACHE / f"disk-{name}.qcow2").relative_to(ROOT))


def ensure_disk() -> Disk:
    """Make the disk unless it is there."""
    recipe = load_recipe()
    disk = wanted_disk(recipe)
    if disk.is_made:
        check_disk(disk)
        return disk
    _check_machine()
    CACHE.mkdir(parents=True, exist_ok=True)
    progress = Progress("disk")
    with build_lock(progress):
        if not disk.is_made:
            check_space(CACHE, NEEDED_MB)
            _build(recipe, disk, progress)
    progress.say(f"{disk.file} is ready")
    return disk


def check_disk(disk: Disk) -> str:
    """Compare the file with its recorded SHA-256, which is returned. ImageError where it is not the one made."""
    if not disk.is_made:
        raise ImageError(f"The disk image {disk.file} is missing: make it with `make vms`.")
    wanted = disk.record.read_text().strip()
    with disk.path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wanted:
        raise ImageError(
            f"The disk image {disk.file} has the SHA-256 {found[:16]}…, not the {wanted[:16]}… that it was made with:"
            f" remove it and {disk.record.name}, and run `make vms`, which makes it anew."
        )
    return wanted


def _check_machine() -> None:
    if platform.machine() != "x86_64":
        raise ImageError(f"The disk image is made for x86_64 machines on one; this is {platform.machine()}.")
    need_root("the disk image")
    need("mkfs.ext4", "e2fsprogs")
    need("sfdisk", "fdisk")
    need("qemu-img", "qemu-utils")


def _build(recipe: Recipe, disk: Disk, progress: Progress) -> None:
    for leftover in CACHE.glob("vm-*"):
        shutil.rmtree(leftover)
    folder = Path(tempfile.mkdtemp(prefix="vm-", dir=CACHE))
    try:
        root, raw, packed = folder / "root", folder / "disk.raw", folder / "disk.qcow2"
        root.mkdir()
        log = CACHE / "disk.log"
        log.unlink(missing_ok=True)
        packages = read_list(DISK / "packages.txt")
        make_root(replace(recipe, packages=(*recipe.packages, *packages)), root, progress)
        with progress.step("kernel, boot loader, disk", log):
            _make_bootable(root, log)
            _write_disk(root, raw, log)
            run_logged(
                ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(packed)], log, "qemu-img"
            )
        _publish(packed, disk)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_bootable(root: Path, log: Path) -> None:
    """The disk's files, the host tools, and what `customize` makes of them inside."""
    shutil.copytree(DISK / "files", root, dirs_exist_ok=True)
    lay_out_tools(root)
    inside = root / "tmp" / "customize"
    shutil.copy(DISK / "customize", inside)
    # Its own mounts, so that nothing stays mounted whatever way the build ends.
    mounts = f"mount -t proc proc {root}/proc && mount -t devtmpfs dev {root}/dev"
    shell = f"{mounts} && exec chroot {root} /tmp/customize"
    run_logged(["unshare", "--mount", "--", "sh", "-c", shell], log, "Making the disk's root file system bootable")
    inside.unlink()


def _write_disk(root: Path, raw: Path, log: Path) -> None:
    """A partition table, the file system in its one partition, GRUB before it."""
    with raw.open("wb") as stream:
        stream.truncate(SIZE_MB << 20)
    table = f"label: dos\nstart={FIRST_SECTOR}, type=83, bootable\n"
    run_logged(["sfdisk", "--quiet", str(raw)], log, "Making the disk's partition table", stdin=table)
    offset = FIRST_SECTOR * SECTOR
    options = f"offset={offset},root_owner=0:0"
    size = f"{(SIZE_MB << 10) - (offset >> 10)}k"
    make = ["mkfs.ext4", "-q", "-F", "-L", "evenkeel-root", "-d", str(root), "-E", options, str(raw), size]
    run_logged(make, log, "Making the disk's file system")
    _install_grub(raw, (root / "boot/grub/boot.img").read_bytes(), (root / "boot/grub/core.img").read_bytes())


def _install_grub(raw: Path, boot: bytes, core: bytes) -> None:
    """GRUB's first sector, which reads the second and what follows: that is where an unpatched one looks."""
    if len(core) > (FIRST_SECTOR - 1) * SECTOR:
        raise ImageError(f"GRUB's core image has {len(core)} bytes and does not fit before the first partition.")
    with raw.open("r+b") as stream:
        stream.write(boot[:440])  # the partition table and the disk's signature come after
        stream.seek(SECTOR)
        stream.write(core)


def _publish(packed: Path, disk: Disk) -> None:
    """The finished file takes its name, then its hash is recorded: without that it does not count."""
    for old in CACHE.glob("disk-*"):
        old.unlink()
    with packed.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    packed.replace(disk.path)
    disk.record.write_text(digest + "\n")


def describe(disk: Disk) -> str:
    """The disk as JSON, for the Pulumi program: its name, and its file from the project's directory."""
    return json.dumps({"name": disk.name, "file": str(disk.file)}, sort_keys=True)
