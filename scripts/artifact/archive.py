"""A deterministic .tar.gz: the same files give the same bytes, whenever and by whomever they are packed."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path

from components.artifact import ArtifactError, digest_of, sidecar_of

IGNORED = frozenset({".git", "__pycache__", ".DS_Store"})


def list_files(directory: Path) -> dict[str, Path]:
    """Return the files and symbolic links below `directory` by their paths from it, with slashes.

    What is left behind by version control and interpreters (`.git`, `__pycache__`) is not listed.
    """
    found: dict[str, Path] = {}
    for parent, directories, files in os.walk(directory):
        links = [name for name in directories if Path(parent, name).is_symlink()]
        directories[:] = [name for name in directories if name not in IGNORED and name not in links]
        for name in (*files, *links):
            if name not in IGNORED:
                path = Path(parent, name)
                found[path.relative_to(directory).as_posix()] = path
    return found


def write_archive(target: Path, files: Mapping[str, Path]) -> None:
    """Write `files`, archive path to source, as the .tar.gz `target`, and its sha256 beside it.

    Names are sorted; times, owners and the umask leave no trace: files are 0644, or 0755 if their owner may execute
    them. Raises ArtifactError for a source that is neither a file nor a symbolic link.
    """
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, source in sorted(files.items()):
            add(tar, name, source)
    sidecar_of(target).write_text(f"{digest_of(target)}  {target.name}\n", encoding="ascii")


def add(tar: tarfile.TarFile, name: str, source: Path) -> None:
    """Add one file or symbolic link to the archive."""
    entry = tarfile.TarInfo(name)
    status = source.lstat()
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, str(source.readlink())
        tar.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        entry.size = status.st_size
        entry.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        with source.open("rb") as content:
            tar.addfile(entry, content)
    else:
        raise ArtifactError(f"{source} is neither a file nor a symbolic link; an artifact cannot hold it")
