"""A database node: Cassandra, one of the ring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.certificates import Authority, Certificate
from components.commands import Bundle, apply_on
from components.control import Control
from components.host import Host
from components.mirror import MirrorJar
from components.render import render
from components.settings import Settings, SiteSettings

CONFIG = "/etc/cassandra"
DATA = "/var/lib/cassandra"
UNIT = "/etc/systemd/system/cassandra.service"
CLUSTER = "evenkeel"


@dataclass(frozen=True)
class DatabaseArgs:
    """Arguments of a Database: where it runs, its site, who signs its certificate, the control host, the mirror."""

    settings: Settings
    host: Host
    site: SiteSettings
    authority: Authority
    control: Control
    mirror: MirrorJar


class Database(pulumi.ComponentResource):
    """One node, in the ring when this is done. Nodes join one after another because their sites are made so."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Database", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.certificate = Certificate(f"{name}-certificate", name, args.host.address, args.authority, child)
        after = pulumi.ResourceOptions(parent=self, depends_on=self._mirror(name, args))
        self.node = apply_on(f"{name}-node", args.host.login, self._bundle(args), after)
        self.register_outputs({"address": args.host.address})

    def _mirror(self, name: str, args: DatabaseArgs) -> list[pulumi.Resource]:
        """Give the host the mirror's program, and the mappings of the tables that are mirrored now."""
        deploy_key, child = args.control.args.deploy_key, pulumi.ResourceOptions(parent=self)
        jar = args.mirror.install_on(f"{name}-mirror", args.host, deploy_key, args.settings.slow, child)
        after = pulumi.ResourceOptions(parent=self, depends_on=[jar])
        return [jar, args.control.restore(f"{name}-pairs", "mirror", args.host, after)]

    def _bundle(self, args: DatabaseArgs) -> Bundle:
        """Return the node's configuration; done when the node is up and in the ring."""
        files = [*rendered_files(args.settings, args.site), *self._certificates(args.authority)]
        return Bundle(
            role="cassandra",
            directories=[
                {"path": f"{CONFIG}/tls", "mode": "0750", "owner": "root:cassandra"},
                {"path": f"{CONFIG}/triggers", "mode": "0750", "owner": "root:cassandra"},
                {"path": DATA, "mode": "0750", "owner": "cassandra:cassandra"},
            ],
            files=files,
            enable=["cassandra"],
            # Not on `launch`, which changes when a site is added, nor on the certificates, which Cassandra reads again.
            restart_on=[UNIT, f"{CONFIG}/cassandra.yaml", f"{CONFIG}/jvm.options"],
            wait=[["evenkeel-cassandra-wait", str(args.settings.database.join_seconds)]],
        )

    def _certificates(self, authority: Authority) -> list[dict[str, Any]]:
        """Return the node's key with its certificate, and the authority that it trusts."""
        pair = pulumi.Output.concat(self.certificate.private, self.certificate.certificate)
        return [
            {"path": f"{CONFIG}/tls/key.pem", "content": pair, "mode": "0640", "owner": "root:cassandra"},
            {"path": f"{CONFIG}/tls/authority.pem", "content": authority.certificate},
        ]


def context(settings: Settings, site: SiteSettings) -> dict[str, Any]:
    """Return what the templates in templates/cassandra/ need; each says there what it uses."""
    return {
        "cluster_name": CLUSTER,
        "datacenter": settings.database.datacenter,
        "rack": site.name,
        "address": str(settings.address_of("db", site)),
        "peers": [str(settings.address_of("db", each)) for each in settings.sites],
        "founder": site == settings.sites[0],
        "heap_mb": settings.database.heap_mb,
        "direct_mb": settings.database.direct_mb,
        "replication_factor": settings.database.replication_factor,
        "slowness": settings.slowness,
        "answer_slowness": settings.answer_slowness,
    }


def rendered_files(settings: Settings, site: SiteSettings) -> list[dict[str, Any]]:
    """Return the node's files that hold no secret."""
    places = {
        "cassandra.yaml.j2": {"path": f"{CONFIG}/cassandra.yaml"},
        "jvm.options.j2": {"path": f"{CONFIG}/jvm.options"},
        "cassandra-rackdc.properties.j2": {"path": f"{CONFIG}/cassandra-rackdc.properties"},
        "logback.xml.j2": {"path": f"{CONFIG}/logback.xml"},
        "logback-tools.xml.j2": {"path": f"{CONFIG}/logback-tools.xml"},
        "launch.j2": {"path": f"{CONFIG}/launch", "mode": "0755"},
        "nodetool.j2": {"path": "/usr/local/bin/nodetool", "mode": "0755"},
        "cassandra.service.j2": {"path": UNIT},
    }
    values = context(settings, site)
    return [{"content": render(f"cassandra/{template}", **values), **place} for template, place in places.items()]
