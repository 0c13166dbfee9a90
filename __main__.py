"""Evenkeel: what exists, in which order. Settings -> Topology -> exports; `pulumi up` does it."""

from pathlib import Path

import pulumi

from components.settings import load
from components.topology import Topology, url

settings = load(Path(__file__).resolve().parent)
topology = Topology("evenkeel", settings)

pulumi.export("version", settings.artifact.manifest.version)
pulumi.export("url", url(settings))
# Marked secret so that sixteen hosts' details stay off every preview; programs read it with --show-secrets.
pulumi.export("inventory", pulumi.Output.secret(topology.inventory()))
pulumi.export("deploy_key", topology.deploy_key.private)
