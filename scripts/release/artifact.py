"""An artifact's bytes on the deployer's machine, checked against the digest that the release was begun with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scripts.release.errors import StageFailedError


def read_checked(artifact: Path, sha256: str) -> bytes:
    """Return the artifact's bytes; raises StageFailedError if it is missing or not the one that was asked for."""
    try:
        content = artifact.read_bytes()
    except OSError as error:
        raise StageFailedError(f"the artifact {artifact} cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise StageFailedError(f"the artifact {artifact} has the sha256 {found}, not {sha256}; pack it again")
    return content
