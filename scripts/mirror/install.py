"""The jar and the probe's mapping onto one database node, whether it runs already or has yet to start."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from scripts.mirror.errors import MirrorError
from scripts.ssh import Login, Session, UnreachableError

PATIENCE_SECONDS = 120.0  # a machine that was just made may still be booting
PAUSE_SECONDS = 2.0
INSTALL_SECONDS = 180.0


def install(document: Mapping[str, Any]) -> dict[str, Any]:
    """Install onto the host in {"host": {"name", "address", "host_key"}, "deploy_key", "keyspace", "jar", "sha256"}.

    `jar` is base64. A `slowness` there says how many times longer than usual the host may take. Returns what
    evenkeel-mirror did; raises SshError or MirrorError.
    """
    try:
        host, jar, sha256 = document["host"], base64.b64decode(document["jar"]), str(document["sha256"])
        slowness = int(document.get("slowness", 1))
        login = Login(host["name"], host["address"], host["host_key"], document["deploy_key"], slowness=slowness)
        keyspace = str(document["keyspace"])
    except (KeyError, TypeError, ValueError) as error:
        raise MirrorError(f"the document lacks or misstates {error}") from error
    command = ["evenkeel-mirror", "install", sha256, *login.slowness_arguments()]
    with patient(login) as session:
        done: dict[str, Any] = json.loads(session.run(command, jar, timeout=INSTALL_SECONDS).stdout)
        session.run(["evenkeel-mirror", "configure"], json.dumps([probe(keyspace)]))
    return done


def probe(keyspace: str) -> dict[str, Any]:
    """Return the mapping of the tables on which the mirror is tried (scripts/tables/mirroring.py writes to them)."""
    at = {"from": "at", "to": "at", "type": "bigint", "twin_type": "bigint"}
    named = {"keyspace": f"{keyspace}_mirror", "table": "probe", "twin": "probe_twin"}
    return {**named, "columns": [at], "defaults": [], "dropped": [], "check": True}


def patient(login: Login) -> Session:
    """Return a session with a host that may be booting."""
    give_up = time.monotonic() + login.patience(PATIENCE_SECONDS)
    while True:
        try:
            return Session(login)
        except UnreachableError:
            if time.monotonic() > give_up:
                raise
            time.sleep(PAUSE_SECONDS)
