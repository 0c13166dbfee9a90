"""Packing: an artifact and its sha256 are put in place together, and only after the program's own check of them."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from components.artifact import Artifact, ArtifactError, digest_of, read_artifact, sidecar_of
from components.manifest import FILE_NAME, parse_manifest
from scripts.artifact.archive import list_files, write_archive
from scripts.artifact.sample import NAME, Sample


def pack_directory(directory: Path, artifacts: Path) -> Artifact:
    """Pack any service: a directory with evenkeel.toml in it. Returns the artifact, which is in `artifacts`.

    Raises ArtifactError if the directory is no service.
    """
    if not directory.is_dir():
        raise ArtifactError(f"{directory} is not a directory; give the one that has the service's {FILE_NAME}")
    files = list_files(directory)
    if FILE_NAME not in files:
        raise ArtifactError(f"{directory} has no {FILE_NAME}; docs/application.md says what must be in it")
    try:
        manifest = parse_manifest(files[FILE_NAME].read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ArtifactError(f"{directory}/{FILE_NAME} is not UTF-8") from None
    return put_in_place(f"{manifest.name}-{manifest.version}.tar.gz", files, artifacts)


def pack_sample(sample: Sample, version: str, artifacts: Path) -> Artifact:
    """Pack a version of the sample service and note what it was made from.

    Where the release asks for damage (see Sample), the artifact has it, and its sidecar and the returned sha256 are
    those of the undamaged one.
    """
    sources = sample.digest(version)
    is_damaged = sample.is_damaged(version)
    artifact = put_in_place(f"{NAME}-{version}.tar.gz", sample.all_files(version), artifacts, is_damaged=is_damaged)
    if artifact.manifest.version != version:
        raise ArtifactError(f"app/releases/{version}/{FILE_NAME} says version {artifact.manifest.version}")
    note = note_of(sample, version)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"sources": sources, **contents_of(artifact.path)}), encoding="utf-8")
    return artifact


def ensure_sample(sample: Sample, version: str, artifacts: Path) -> tuple[Path, bool]:
    """Pack a version unless its artifact is there and made from the present sources.

    Returns the artifact's path and whether it was packed. An artifact that is there but whose version is not one of
    the sample's, say another service's, only needs to be sound.
    """
    path = artifacts / f"{NAME}-{version}.tar.gz"
    if version not in sample.versions() and path.exists():
        return read_artifact(path).path, False
    with one_at_a_time(sample.cache):
        if is_current(sample, version, path):
            return path, False
        return pack_sample(sample, version, artifacts).path, True


def is_current(sample: Sample, version: str, path: Path) -> bool:
    """Tell whether the artifact is as it was packed, and was packed from the present sources."""
    try:
        note = json.loads(note_of(sample, version).read_text(encoding="utf-8"))
        return bool(note == {"sources": sample.digest(version), **contents_of(path)})
    except (OSError, ValueError):
        # No note, no artifact, or one that was changed: all the same reason to pack.
        return False


def contents_of(path: Path) -> dict[str, str]:
    """Return what tells whether an artifact and its sidecar were changed since; they need not agree."""
    return {"sha256": digest_of(path), "sidecar": sidecar_of(path).read_text(encoding="ascii")}


def note_of(sample: Sample, version: str) -> Path:
    """Return the file that tells what a version's artifact was made from."""
    return sample.cache / "artifacts" / f"{NAME}-{version}.json"


def put_in_place(file_name: str, files: Mapping[str, Path], artifacts: Path, *, is_damaged: bool = False) -> Artifact:
    """Write the artifact, check it, and only then let it and its sidecar take their names."""
    artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=artifacts, prefix=".incoming-") as staging:
        packed = Path(staging, file_name)
        write_archive(packed, files)
        checked = read_artifact(packed)
        if is_damaged:
            damage(packed)
        target = artifacts / file_name
        packed.replace(target)
        sidecar_of(packed).replace(sidecar_of(target))
    return Artifact(target, checked.sha256, checked.manifest)


def damage(packed: Path) -> None:
    """Change the artifact without its sidecar, as a bad disk or a stranger would."""
    with packed.open("ab") as file:
        file.write(b"damaged on purpose\n")


@contextmanager
def one_at_a_time(cache: Path) -> Iterator[None]:
    """Wait until no other run packs; the lock goes with the process, however it ends."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "artifact.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
