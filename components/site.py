"""A site: one failure domain with a load balancer, an application server and a database node."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.app_server import AppServer, AppServerArgs
from components.control import Control
from components.database import Database, DatabaseArgs
from components.host import Host, HostArgs, Substrate
from components.keys import SshKey
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.mirror import MirrorJar
from components.secrets import StackSecrets
from components.settings import Settings, SiteSettings


@dataclass(frozen=True)
class SiteArgs:
    """Arguments of a Site; `publish` is where its load balancer is published on the machine, "" for nowhere."""

    settings: Settings
    site: SiteSettings
    substrate: Substrate
    deploy_key: SshKey
    secrets: StackSecrets
    control: Control
    mirror: MirrorJar
    publish: str


class Site(pulumi.ComponentResource):
    """Three hosts and what runs on them. Sites are made, and changed, one after another: never two at a time."""

    def __init__(self, name: str, args: SiteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Site", name, None, opts)
        self.args = args
        self.database_host = self._host("db", volumes={"data": "/var/lib/cassandra"})
        self.app_host = self._host("app")
        self.load_balancer_host = self._host("lb", publish={args.publish: 80} if args.publish else {})
        self.database = self._database()
        self.app_server = self._app_server()
        self.load_balancer = self._load_balancer()
        self.register_outputs({"hosts": [host.address for host in self.hosts]})

    @property
    def hosts(self) -> list[Host]:
        """The site's hosts."""
        return [self.load_balancer_host, self.app_host, self.database_host]

    def _host(self, role: str, **more: dict[str, str] | dict[str, int]) -> Host:
        """Make the site's host of a role."""
        args = self.args
        name = f"{role}-{args.site.name}"
        host_args = HostArgs(args.settings, args.substrate, args.deploy_key, role, args.site.name, **more)  # type: ignore[arg-type]
        return Host(name, host_args, pulumi.ResourceOptions(parent=self))

    def _database(self) -> Database:
        """Make the site's node of the ring."""
        args = DatabaseArgs(
            self.args.settings,
            self.database_host,
            self.args.site,
            self.args.secrets.authority,
            self.args.control,
            self.args.mirror,
        )
        return Database(self.database_host.name, args, pulumi.ResourceOptions(parent=self))

    def _app_server(self) -> AppServer:
        """Make the site's application server."""
        args = AppServerArgs(
            self.args.settings,
            self.app_host,
            self.args.site,
            self.args.control,
            self.database,
            self.args.secrets.app_password,
        )
        return AppServer(self.app_host.name, args, pulumi.ResourceOptions(parent=self))

    def _load_balancer(self) -> LoadBalancer:
        """Make the site's load balancer."""
        args = LoadBalancerArgs(self.args.settings, self.load_balancer_host, self.args.site, self.args.control)
        return LoadBalancer(self.load_balancer_host.name, args, pulumi.ResourceOptions(parent=self))
