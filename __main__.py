"""Evenkeel: what exists, in which order. Settings -> Topology -> exports; `pulumi up` does it."""

from pathlib import Path

import pulumi

from components.settings import load
from components.topology import Topology, url

settings = load(Path(__file__).resolve().parent)
topology = Topology("evenkeel", settings)

pulumi.export("version", settings.artifact.manifest.version)
pulumi.export("url", url(settings))
pulumi.export("inventory", topology.inventory())
pulumi.export("deploy_key", topology.deploy_key.private)
