"""The sample service in app/: which releases it has, and which files each of them is made of.

Releases share app/service; a release is a folder app/releases/VERSION with a manifest, whose other files replace or
join the shared ones. A file `broken-checksum` among them is not packed: it asks for an artifact that is damaged on
purpose, with which the refusal of damaged artifacts is shown.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from components.artifact import ArtifactError
from components.manifest import FILE_NAME
from scripts.artifact.archive import list_files
from scripts.artifact.dependencies import install_dependencies, list_dependencies, lock_digest

NAME = "item-service"
DAMAGE_MARK = "broken-checksum"


@dataclass(frozen=True)
class Sample:
    """The sample service: the directory app/ and a directory for what is kept between runs."""

    app: Path
    cache: Path

    def versions(self) -> list[str]:
        """Return the versions that can be packed, oldest first."""
        found = [path.parent.name for path in self.app.glob(f"releases/*/{FILE_NAME}")]
        return sorted(found, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])

    def files(self, version: str) -> dict[str, Path]:
        """Return the service's own files of a version by their paths in the artifact.

        Raises ArtifactError if there is no such version.
        """
        if version not in self.versions():
            raise ArtifactError(f"app/releases has no {version}; it has {', '.join(self.versions())}")
        shared = list_files(self.app / "service") | {"package.json": self.app / "package.json"}
        own = list_files(self.app / "releases" / version)
        return shared | {name: path for name, path in own.items() if name != DAMAGE_MARK}

    def is_damaged(self, version: str) -> bool:
        """Tell whether the version's artifact is to be damaged on purpose."""
        return (self.app / "releases" / version / DAMAGE_MARK).exists()

    def all_files(self, version: str) -> dict[str, Path]:
        """Return every file of a version, installed packages included."""
        own = self.files(version)
        return list_dependencies(install_dependencies(self.app, self.cache)) | own

    def digest(self, version: str) -> str:
        """Return a digest of all that decides the artifact's bytes: sources, lock file, and the packer itself."""
        digest = hashlib.sha256(f"{lock_digest(self.app)} {self.is_damaged(version)}".encode())
        packer = {path.name: path for path in Path(__file__).parent.glob("*.py")}
        for files in (self.files(version), packer):
            for name, path in sorted(files.items()):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{name} {path.stat().st_mode & 0o100} {content}\n".encode())
        return digest.hexdigest()
