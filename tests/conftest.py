"""What tests of several folders share."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

MANIFEST = """
name = "item-service"
version = "{version}"
start = ["node", "server.js"]

[http]
port_variable = "PORT"
health = "/health"
ready = "/ready"
version = "/version"

[limits]
memory_mb = 100
start_seconds = 30
stop_seconds = 20

[[tables]]
name = "item"
columns = {{ id = "uuid", name = "text" }}
primary_key = ["id"]
"""


def write_artifact(directory: Path, version: str, manifest: str = MANIFEST) -> Path:
    """Write a small but whole artifact with its sidecar; return the tarball's path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"item-service-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"evenkeel.toml": manifest.format(version=version), "server.js": "// serve\n"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the artifact of version 1.0.0 in it."""
    write_artifact(tmp_path / "artifacts", "1.0.0")
    return tmp_path
