"""Put an artifact into a slot of one application server and start it there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.ssh import Login, Session

UPLOAD_SECONDS = 120.0
START_SECONDS = 120.0
STOP_SECONDS = 60.0


class InstallError(Exception):
    """An artifact that cannot be installed; the message is one sentence."""


@dataclass(frozen=True)
class Installation:
    """What to install, where: the host's login, the artifact's file and digest, the slot, the other servers' slots.

    `peers` are address:port; if any of them is ready, the new version must become ready too (see evenkeel-slot).
    """

    login: Login
    artifact: Path
    sha256: str
    slot: str
    peers: tuple[str, ...]

    @classmethod
    def parse(cls, inputs: Mapping[str, Any]) -> Installation:
        """Return the installation that the JSON document describes."""
        host = inputs["host"]
        return cls(
            login=Login(host["name"], host["address"], host["host_key"], inputs["deploy_key"]),
            artifact=Path(inputs["artifact"]),
            sha256=inputs["sha256"],
            slot=inputs["slot"],
            peers=tuple(inputs["peers"]),
        )


def install(wanted: Installation) -> dict[str, Any]:
    """Bring the slot to the wanted artifact and start it; return {"version", "changed", "waited_for"}.

    Idempotent: a slot that holds the artifact already is only started. A slot that runs another one is stopped
    first, gracefully. Raises InstallError for a bad file, SshError for a host that cannot be reached or refuses.
    """
    content = read_checked(wanted.artifact, wanted.sha256)
    with Session(wanted.login, connect_timeout=30) as session:
        held = json.loads(session.run(["evenkeel-slot", "show"]).stdout)[wanted.slot]
        other = held["installed"] and held["installed"]["sha256"] != wanted.sha256
        if held["active"] and (other or not held["installed"]):
            session.run(["evenkeel-slot", "stop", wanted.slot], timeout=STOP_SECONDS)
        put = session.run(["evenkeel-slot", "install", wanted.slot, wanted.sha256], content, timeout=UPLOAD_SECONDS)
        started = session.run(["evenkeel-slot", "start", wanted.slot, *wanted.peers], timeout=START_SECONDS)
    result: dict[str, Any] = json.loads(put.stdout)
    return {"version": result["version"], "changed": result["changed"], **json.loads(started.stdout)}


def read_checked(artifact: Path, sha256: str) -> bytes:
    """Return the artifact's bytes; raises InstallError if it is missing or not the one that was asked for."""
    try:
        content = artifact.read_bytes()
    except OSError as error:
        raise InstallError(f"the artifact {artifact} cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InstallError(f"the artifact {artifact} has the sha256 {found}, not {sha256}; pack it again")
    return content
