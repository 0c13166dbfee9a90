"""The mirror's program for the database: built once, and on every node before it serves.

A node whose Cassandra lacks it would fail every write to a table that is mirrored (docs/releases.md), so it is there
from the start, and a machine that is made anew has it, and the mappings that its fellows have, before Cassandra starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pulumi

from components.commands import run_here
from components.host import Host

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "scripts" / "image" / "recipe" / "pom.xml"


class MirrorJar(pulumi.ComponentResource):
    """The jar; what it is made of is in its trigger, so that a preview shows it without compiling anything."""

    def __init__(self, name: str, keyspace: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:MirrorJar", name, None, opts)
        self.keyspace = keyspace
        made = run_here(name, "scripts.mirror build", {}, pulumi.ResourceOptions(parent=self), triggers=[sources()])
        self.built = made.stdout.apply(json.loads)
        self.sha256 = self.built.apply(lambda built: str(built["sha256"]))
        self.register_outputs({"sha256": self.sha256})

    def install_on(
        self,
        name: str,
        host: Host,
        deploy_key: pulumi.Output[str],
        slow: Mapping[str, int],
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Return a resource that is there when the host has the jar; made again with another jar or machine.

        `slow` is what documents say of slow hosts (`Settings.slow`).
        """
        inputs = {
            "host": {"name": host.name, "address": host.address, "host_key": host.key.public},
            "deploy_key": deploy_key,
            "keyspace": self.keyspace,
            "jar": self.built.apply(lambda built: str(built["jar"])),
            "sha256": self.sha256,
            **slow,
        }
        return run_here(name, "scripts.mirror install", inputs, opts, triggers=[host.id_, self.sha256])


def sources() -> str:
    """Return a digest of the Java sources and of the Cassandra that they are compiled against."""
    total = hashlib.sha256()
    for path in (*sorted((ROOT / "mirror" / "src").rglob("*.java")), PINS):
        total.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]
