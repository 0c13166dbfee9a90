"""Evenkeel: what exists, in which order. Settings -> Topology -> Release -> exports; `pulumi up` does it."""

from pathlib import Path

import pulumi

from components.release import Release, ReleaseArgs
from components.settings import load
from components.topology import Topology, url

settings = load(Path(__file__).resolve().parent)
topology = Topology("evenkeel", settings)
release = Release("release", ReleaseArgs.of(topology))

pulumi.export("version", settings.artifact.manifest.version)
pulumi.export("release", release.id_)
pulumi.export("url", url(settings))
# Marked secret so that sixteen hosts' details stay off every preview; programs read it with --show-secrets.
pulumi.export("inventory", pulumi.Output.secret(topology.inventory()))
pulumi.export("deploy_key", topology.deploy_key.private)
