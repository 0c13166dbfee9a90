"""An artifact, the file that a version is installed from: checked, opened, its manifest read.

An artifact is `<name>-<version>.tar.gz` with `evenkeel.toml` in its root, and beside it `<the same>.sha256` as
`sha256sum` writes it. Pure Python without Pulumi. Components never import scripts, but the packer in
scripts/artifact imports this module: what may be packed and what may be installed is decided in one place.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.manifest import FILE_NAME, ArtifactError, Manifest, parse_manifest

__all__ = ["Artifact", "ArtifactError", "check_digest", "digest_of", "read_artifact", "sidecar_of"]

SIDECAR = re.compile(r"([0-9a-f]{64})(?: [ *](?P<name>[^\n]+))?\n?")
MOST_ENTRIES = 100_000
MOST_BYTES = 1 << 30
MANIFEST_BYTES = 1 << 16
HINT = "pack it again with `python -m scripts.artifact pack VERSION`"


@dataclass(frozen=True)
class Artifact:
    """A checked artifact: its file, the file's sha256 in hexadecimal, and its manifest."""

    path: Path
    sha256: str
    manifest: Manifest

    @property
    def relative_path(self) -> str:
        """The file's path from the current directory, so that no machine's absolute paths end up in the state."""
        return os.path.relpath(self.path)


def read_artifact(path: Path) -> Artifact:
    """Return the artifact in the file `path`.

    Raises ArtifactError, one sentence, if the file or its sidecar is missing, the sha256 is another one, an entry
    would land outside the directory it is unpacked into, or the manifest is missing or wrong.
    """
    sha256 = check_digest(path)
    try:
        with tarfile.open(path, "r:gz") as tar:
            members = {posixpath.normpath(member.name): member for member in list_members(tar)}
            check_members(members.items())
            manifest = parse_manifest(read_manifest(tar, members.get(FILE_NAME)))
            read_to_end(tar)
    except ArtifactError as error:
        raise ArtifactError(f"the artifact {path.name}: {error}") from None
    except (tarfile.TarError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ArtifactError(f"the artifact {path.name} is not a readable .tar.gz ({error}); {HINT}") from None
    check_program(manifest, members, path)
    return Artifact(path, sha256, manifest)


def sidecar_of(path: Path) -> Path:
    """Return the file beside `path` that holds its sha256."""
    return path.with_name(path.name + ".sha256")


def digest_of(path: Path) -> str:
    """Return the file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path) -> str:
    """Return the sha256 of the file `path`; raises ArtifactError unless its sidecar says the same."""
    try:
        found = digest_of(path)
    except FileNotFoundError:
        where = os.path.relpath(path)
        raise ArtifactError(
            f"there is no file {where}; make it with `python -m scripts.artifact pack VERSION`"
        ) from None
    except OSError as error:
        raise ArtifactError(f"the artifact {os.path.relpath(path)} cannot be read: {error.strerror}") from None
    expected = read_sidecar(path)
    if found != expected:
        said = sidecar_of(path).name
        raise ArtifactError(
            f"the artifact {path.name} has the sha256 {found}, but {said} says {expected}; fetch both again, or {HINT}"
        )
    return found


def read_sidecar(path: Path) -> str:
    """Return the sha256 that the sidecar of `path` promises."""
    sidecar = sidecar_of(path)
    try:
        text = sidecar.read_text(encoding="ascii")
    except FileNotFoundError:
        raise ArtifactError(f"the artifact {path.name} has no {sidecar.name} beside it; {HINT}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{sidecar.name} cannot be read: {error}") from None
    match = SIDECAR.fullmatch(text)
    if not match or match["name"] not in (None, path.name):
        raise ArtifactError(f"{sidecar.name} is not a sha256 of {path.name} as `sha256sum {path.name}` prints it")
    return match[1]


def list_members(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """Return the archive's entries; raises ArtifactError once they are more than an artifact may have."""
    members: list[tarfile.TarInfo] = []
    size = 0
    for member in tar:
        members.append(member)
        size += member.size
        if len(members) > MOST_ENTRIES or size > MOST_BYTES:
            raise ArtifactError(f"it unpacks to more than {MOST_ENTRIES} files or {MOST_BYTES >> 20} MiB")
    return members


def check_members(members: Iterable[tuple[str, tarfile.TarInfo]]) -> None:
    """Refuse entries that are no plain files, directories or links within the archive."""
    links: set[str] = set()
    entries = list(members)
    for path, member in entries:
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise ArtifactError(f"its entry {member.name!r} would be unpacked outside its directory")
        if member.issym():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
            if member.linkname.startswith("/") or target == ".." or target.startswith("../"):
                raise ArtifactError(f"its link {member.name!r} points to {member.linkname!r}, outside its directory")
            links.add(path)
        elif not member.isfile() and not member.isdir():
            raise ArtifactError(f"its entry {member.name!r} is neither a file, a directory nor a symbolic link")
    for path, member in entries:
        # A link further up could send this entry, or what it points to, anywhere; nothing packs such a tree.
        if any(parent in links for parent in parents_of(path)):
            raise ArtifactError(f"its entry {member.name!r} lies beneath a symbolic link")


def parents_of(path: str) -> list[str]:
    """Return the directories above a relative path, nearest first."""
    parents: list[str] = []
    while path := posixpath.dirname(path):
        parents.append(path)
    return parents


def read_manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> str:
    """Return the text of evenkeel.toml."""
    content = tar.extractfile(member) if member and member.isfile() else None
    if content is None or member is None:
        raise ArtifactError(f"it has no {FILE_NAME} in its root")
    if member.size > MANIFEST_BYTES:
        raise ArtifactError(f"its {FILE_NAME} is larger than {MANIFEST_BYTES >> 10} KiB")
    try:
        return content.read().decode("utf-8")
    except UnicodeDecodeError:
        raise ArtifactError(f"its {FILE_NAME} is not UTF-8") from None


def read_to_end(tar: tarfile.TarFile) -> None:
    """Read what follows the archive's end, where the compressed stream's own check sum is."""
    while tar.fileobj and tar.fileobj.read(1 << 20):
        pass


def check_program(manifest: Manifest, members: dict[str, tarfile.TarInfo], path: Path) -> None:
    """Refuse a start command whose program should be in the artifact and is not, or cannot be executed."""
    program = manifest.start[0]
    if "/" not in program or program.startswith("/"):
        return
    member = members.get(posixpath.normpath(program))
    if member is None or not (member.isfile() or member.issym()):
        raise ArtifactError(f"the artifact {path.name} starts with {program!r}, which is not in it")
    if member.isfile() and not member.mode & 0o100:
        raise ArtifactError(f"the artifact {path.name} starts with {program!r}, which is not executable; chmod +x it")
