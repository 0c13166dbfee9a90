"""The disk image: named by what goes into it, checked by its hash, started by a boot loader that finds the rest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.image import build
from scripts.image import disk as disks
from scripts.image.disk import FIRST_SECTOR, SECTOR, Disk, _install_grub, check_disk, describe, wanted_disk
from scripts.image.errors import ImageError
from scripts.image.recipe import DISK, load_recipe


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk image with its record, in a project of its own."""
    monkeypatch.setattr(disks, "ROOT", tmp_path)
    made = Disk("0123", Path("disk-0123.qcow2"))
    made.path.write_bytes(b"a disk")
    made.record.write_text(hashlib.sha256(b"a disk").hexdigest() + "\n")
    return made


def test_the_disk_changes_its_name_with_the_containers_image_and_with_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe()
    names = {wanted_disk(recipe).name, wanted_disk(replace(recipe, digest="another")).name}
    (tmp_path / "packages.txt").write_text((DISK / "packages.txt").read_text() + "nano\n")
    monkeypatch.setattr(disks, "DISK", tmp_path)
    assert len(names | {wanted_disk(recipe).name}) == 3


def test_what_is_told_of_it_is_the_same_from_every_clone() -> None:
    told = json.loads(describe(wanted_disk()))
    assert not Path(told["file"]).is_absolute()
    assert told["name"] in told["file"]


def test_an_image_that_is_what_was_made_passes(disk: Disk) -> None:
    assert check_disk(disk) == hashlib.sha256(b"a disk").hexdigest()


def test_an_image_with_another_hash_is_refused_with_what_to_do(disk: Disk) -> None:
    disk.path.write_bytes(b"a dusk")
    with pytest.raises(ImageError, match=r"has the SHA-256 \w{16}…, not the \w{16}… that it was made with: remove it"):
        check_disk(disk)


@pytest.mark.parametrize("missing", ["path", "record"])
def test_an_image_that_was_never_finished_is_refused(disk: Disk, missing: str) -> None:
    getattr(disk, missing).unlink()
    with pytest.raises(ImageError, match=r"disk-0123.qcow2 is missing: make it with `make vms`"):
        check_disk(disk)


@pytest.mark.parametrize("missing", ["path", "record"])
def test_an_image_of_which_a_part_was_removed_is_made_anew(
    disk: Disk, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Disk] = []
    monkeypatch.setattr(disks, "CACHE", disk.path.parent)
    monkeypatch.setattr(build, "CACHE", disk.path.parent)
    monkeypatch.setattr(disks, "wanted_disk", lambda _: disk)
    monkeypatch.setattr(disks, "_check_machine", lambda: None)
    monkeypatch.setattr(disks, "check_space", lambda *_: None)
    monkeypatch.setattr(disks, "_build", lambda _recipe, wanted, _progress: made.append(wanted))
    assert disks.ensure_disk() == disk
    assert made == []
    getattr(disk, missing).unlink()
    assert disks.ensure_disk() == disk
    assert made == [disk]


def test_the_boot_loader_lies_before_the_partition_and_leaves_the_partition_table(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(b"T" * SECTOR * 4)
    _install_grub(raw, b"B" * SECTOR, b"C" * 700)
    written = raw.read_bytes()
    assert written[:440] == b"B" * 440
    assert written[440:512] == b"T" * 72
    assert written[512:1212] == b"C" * 700
    with pytest.raises(ImageError, match="does not fit before the first partition"):
        _install_grub(raw, b"", b"C" * FIRST_SECTOR * SECTOR)
