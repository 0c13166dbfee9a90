"""The whole house: sites, name servers, control host and test runner on one substrate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from components.commands import run_here
from components.containers import Containers
from components.control import JOURNAL, Control, ControlArgs
from components.host import Host, HostArgs, Substrate
from components.keys import SshKey
from components.libvirt import Libvirt
from components.mirror import MirrorJar
from components.name_server import NameServer, NameServerArgs
from components.secrets import StackSecrets
from components.settings import USUAL_PATIENCE_SECONDS, Settings, SiteSettings
from components.site import Site, SiteArgs
from components.test_runner import TestRunner, TestRunnerArgs

SUBSTRATES: Mapping[str, Callable[[str, Settings, pulumi.ResourceOptions], Substrate]] = {
    "containers": Containers,
    "libvirt": Libvirt,
}


class Topology(pulumi.ComponentResource):
    """Everything that serves: hosts, what runs on them, and the order in which they come up.

    The first name server, control host and test runner come up beside the sites; the sites one after another; the
    second name server when the first one serves; then the database is prepared, and the control host is told of all the
    others. A release puts a version onto it.
    """

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Topology", name, None, opts)
        self.settings = settings
        self.child = pulumi.ResourceOptions(parent=self)
        self.deploy_key = SshKey("deploy-key", self.child)
        self.secrets = StackSecrets("secrets", self.child)
        self.substrate = SUBSTRATES[settings.substrate](settings.substrate, settings, self.child)
        primary = self._name_server("ns-1", self.child, is_primary=True)
        self.control = self._control()
        self.runner = TestRunner("runner", TestRunnerArgs(settings, self._host("runner", "runner")), self.child)
        self.mirror = MirrorJar("mirror-jar", settings.database.keyspace, self.child)
        self.sites = self._sites()
        # Never both at once. Behind the sites, whose disks on the same hypervisor would wait for it otherwise.
        after = pulumi.ResourceOptions(parent=self, depends_on=[primary])
        self.name_servers = [primary, self._name_server("ns-2", after, is_primary=False)]
        self.prepared = self._prepare_database()
        self.known = self.control.know(self.hosts)
        self.register_outputs({"service": settings.names.service_name})

    def _host(self, name: str, role: str, opts: pulumi.ResourceOptions | None = None) -> Host:
        """Make a host that belongs to no site."""
        return Host(name, HostArgs(self.settings, self.substrate, self.deploy_key, role), opts or self.child)

    def _control(self) -> Control:
        """Make the control host; its journal outlives a machine that is made anew."""
        volumes = {"journal": JOURNAL}
        host_args = HostArgs(self.settings, self.substrate, self.deploy_key, "control", volumes=volumes)
        host = Host("control", host_args, self.child)
        args = ControlArgs(self.settings, host, self.deploy_key.private, self.secrets.webhook_key)
        return Control("control", args, self.child)

    def _name_server(self, name: str, opts: pulumi.ResourceOptions, *, is_primary: bool) -> NameServer:
        """Make one of the two name servers."""
        host = self._host(name, "ns", opts)
        return NameServer(name, NameServerArgs(self.settings, host, is_primary, self.secrets.transfer_key), opts)

    def _sites(self) -> list[Site]:
        """Make the sites, each after the one before it is complete; the first one is published on the machine."""
        sites: list[Site] = []
        for site in self.settings.sites:
            after = pulumi.ResourceOptions(parent=self, depends_on=sites[-1:])
            publish = "" if sites else self.settings.publish
            args = SiteArgs(
                self.settings, site, self.substrate, self.deploy_key, self.secrets, self.control, self.mirror, publish
            )
            sites.append(Site(f"site-{site.name}", args, after))
        return sites

    def _first_tables(self) -> pulumi.Output[Any]:
        """Return the tables of the version that was installed first, as the state remembers them for good.

        A new database starts with these; from then on releases make tables and drop them.
        """
        tables = [table.as_dict() for table in self.settings.artifact.manifest.tables]
        once = pulumi.ResourceOptions(parent=self, ignore_changes=["stdin"])
        return run_here("first-tables", "json.tool --compact", tables, once).stdout.apply(json.loads)

    def _prepare_database(self) -> pulumi.Resource:
        """Make roles, keyspace, the first tables and their seed rows once the ring is whole."""
        settings, patience = self.settings, self.settings.database.patience_seconds
        return self.control.run(
            "database-prepared",
            "database prepare",
            {
                **self.ring,
                **({"deadline_seconds": patience} if patience > USUAL_PATIENCE_SECONDS else {}),
                "replication_factor": settings.database.replication_factor,
                "app_password": self.secrets.app_password,
                "tables": self._first_tables(),
                "seed_rows": settings.database.seed_rows,
            },
            pulumi.ResourceOptions(parent=self, depends_on=[site.database for site in self.sites]),
        )

    @property
    def ring(self) -> dict[str, Any]:
        """What programs on the control host need to reach the database as its administrator."""
        return {
            "contact_points": [str(self.settings.address_of("db", site)) for site in self.settings.sites],
            "datacenter": self.settings.database.datacenter,
            "keyspace": self.settings.database.keyspace,
            "admin_password": self.secrets.admin_password,
            **self.settings.slow,
        }

    @property
    def parts(self) -> list[pulumi.Resource]:
        """What must be there before a release begins."""
        return [*self.sites, *self.name_servers, self.runner, self.prepared, self.known]

    @property
    def hosts(self) -> list[Host]:
        """Every host, sites first."""
        of_sites = [host for site in self.sites for host in site.hosts]
        return [*of_sites, *(server.host for server in self.name_servers), self.control.host, self.runner.host]

    def inventory(self) -> Mapping[str, Any]:
        """Return what programs need to know about the running stack; scripts/inventory.py reads it."""
        settings = self.settings
        return {
            "stack": settings.stack,
            "zone": settings.names.zone,
            "service": settings.names.service_name,
            "sites": [site.name for site in settings.sites],
            "name_servers": [str(address) for address in settings.name_servers],
            "hosts": [host.describe() for host in self.hosts],
            "keyspace": settings.database.keyspace,
            "ring": self.ring,
            "url": url(settings),
            **settings.slow,
        }


def url(settings: Settings) -> str:
    """Return the URL at which the deployer's machine reaches the service."""
    first: SiteSettings = settings.sites[0]
    return f"http://{settings.publish or settings.address_of('lb', first)}/item"
