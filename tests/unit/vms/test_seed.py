"""A machine's seed disk: what cloud-init finds on it, and how it comes into a pool and goes."""

from __future__ import annotations

import json
import stat
from io import BytesIO
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from scripts.vms.__main__ import main
from scripts.vms.errors import VmError
from scripts.vms.seed import image_of, remove_seed, write_seed
from scripts.vms.spec import SeedDisk
from tests.unit.vms.conftest import FakeVirsh

NAME = "evenkeel-t-lb-a-seed-0123.iso"
DISK = SeedDisk(
    "qemu:///system", "evenkeel-t", NAME, "#cloud-config\nname: «lb-a»\n", "instance-id: i\n", "version: 2\n"
)


def contents(image: bytes) -> dict[str, str]:
    """The files of an image, under the names that Linux shows."""
    iso, found = PyCdlib(), {}
    iso.open_fp(BytesIO(image))
    for name in ("user-data", "meta-data", "network-config"):
        for path in ({"rr_path": f"/{name}"}, {"joliet_path": f"/{name}"}):
            read = BytesIO()
            iso.get_file_from_iso_fp(read, **path)
            assert found.setdefault(name, read.getvalue().decode()) == read.getvalue().decode()
    iso.close()
    return found


def test_cloud_init_finds_its_three_documents_by_the_label_that_it_looks_for() -> None:
    documents = {"user-data": DISK.user_data, "meta-data": DISK.meta_data, "network-config": DISK.network_config}
    image = image_of(documents)
    assert contents(image) == documents
    # ECMA-119 8.4: the primary volume descriptor is sector 16, its volume identifier bytes 41 to 72.
    assert image[16 * 2048 + 40 : 16 * 2048 + 72].strip() == b"cidata"
    assert len(image) % 2048 == 0


def test_a_seed_disk_is_as_large_as_its_image_and_told_by_key_and_name(virsh: FakeVirsh, tmp_path: Path) -> None:
    virsh.answer("vol-key", f"/p/{NAME}\n")
    virsh.keep("vol-upload", tmp_path / "uploaded")
    assert write_seed(DISK) == f"/p/{NAME};{NAME}"
    uploaded = (tmp_path / "uploaded").read_bytes()
    made, written = [line for line in virsh.asked if line.startswith(("vol-create", "vol-upload"))]
    assert made == f"vol-create-as --pool evenkeel-t {NAME} {len(uploaded)} --format raw"
    assert contents(uploaded)["user-data"] == DISK.user_data
    file = Path(written.split()[-1])
    assert not file.exists(), "the keys in it stay nowhere on this machine"
    assert stat.S_IMODE((tmp_path / "uploaded").stat().st_mode) == 0o600


def test_a_seed_disk_that_an_interrupted_update_left_is_made_anew(virsh: FakeVirsh) -> None:
    virsh.answer("vol-list", f" mail.qcow2 /p/mail.qcow2\n {NAME} /p/{NAME}\n")
    write_seed(DISK)
    changes = [line.split()[0] for line in virsh.asked if line.startswith(("vol-delete", "vol-create", "vol-upload"))]
    assert changes == ["vol-delete", "vol-create-as", "vol-upload"]


def test_a_seed_disk_that_is_gone_already_stops_nobody(virsh: FakeVirsh) -> None:
    virsh.answer("vol-list", " mail.qcow2 /p/mail.qcow2\n")
    remove_seed(DISK)
    assert not [line for line in virsh.asked if line.startswith("vol-delete")]


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        ("vol-list", "Listing the storage pool evenkeel-t at qemu:///system failed: no space left."),
        ("vol-create-as", f"Making the disk {NAME} at qemu:///system failed: no space left."),
        ("vol-upload", f"Writing the disk {NAME} at qemu:///system failed: no space left."),
    ],
)
def test_what_fails_is_one_sentence_without_the_keys(virsh: FakeVirsh, verb: str, sentence: str) -> None:
    virsh.answer(verb, error="error: no space left")
    with pytest.raises(VmError) as refused:
        write_seed(DISK)
    assert str(refused.value) == sentence


def test_the_command_prints_what_a_machine_takes(
    virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    virsh.answer("vol-key", f"/p/{NAME}\n")
    monkeypatch.setattr("sys.stdin.read", lambda: json.dumps(vars(DISK)), raising=False)
    monkeypatch.setattr("sys.argv", ["vms", "write-seed"])
    assert main() == 0
    assert capsys.readouterr().out == f"/p/{NAME};{NAME}\n"
