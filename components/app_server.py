"""An application server: two slots, blue and green, and the first version in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.commands import Bundle, apply_on, run_here
from components.host import Host
from components.keys import SshKey
from components.render import render
from components.settings import Settings, SiteSettings

SLOTS = ("blue", "green")
PORTS = {"blue": 8001, "green": 8002}
CQL_PORT = 9042
UNIT = "/etc/systemd/system/app@.service"


@dataclass(frozen=True)
class AppServerArgs:
    """Arguments of an AppServer: where it runs, its site, and how it logs in to the database and is reached."""

    settings: Settings
    host: Host
    site: SiteSettings
    deploy_key: SshKey
    database_password: pulumi.Output[str]


class AppServer(pulumi.ComponentResource):
    """The slots' systemd units and environment, and the wanted version in slot blue.

    Until releases take over, a changed version is put into the same slot, one site after another.
    """

    def __init__(self, name: str, args: AppServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:AppServer", name, None, opts)
        self.config = apply_on(
            f"{name}-config",
            args.host.login,
            bundle(args.settings, args.site, args.database_password),
            pulumi.ResourceOptions(parent=self),
        )
        self.version = self._install(name, args)
        self.register_outputs({"address": args.host.address, "version": args.settings.artifact.manifest.version})

    def _install(self, name: str, args: AppServerArgs) -> pulumi.Resource:
        """Put the wanted version into the first slot and start it."""
        artifact = args.settings.artifact
        inputs = {
            "host": {"name": name, "address": args.host.address, "host_key": args.host.key.public},
            "deploy_key": args.deploy_key.private,
            "artifact": artifact.relative_path,
            "sha256": artifact.sha256,
            "slot": SLOTS[0],
            "peers": peers(args.settings, args.site),
        }
        return run_here(
            f"{name}-version",
            "scripts.release install",
            inputs,
            pulumi.ResourceOptions(parent=self, depends_on=[self.config]),
            triggers=[args.host.id_, artifact.sha256],
        )


def peers(settings: Settings, own: SiteSettings) -> list[str]:
    """Return address:port of every slot of the other sites' application servers."""
    others = [settings.address_of("app", site) for site in settings.sites if site != own]
    return [f"{address}:{PORTS[slot]}" for address in others for slot in SLOTS]


def environment(settings: Settings, site: SiteSettings, slot: str) -> dict[str, object]:
    """Return the environment that the application contract promises (docs/application.md), own site's node first."""
    nodes = sorted(settings.sites, key=lambda other: other != site)
    return {
        "PORT": PORTS[slot],
        "SITE": site.name,
        "SLOT": slot,
        "DATABASE_HOSTS": ",".join(str(settings.address_of("db", node)) for node in nodes),
        "DATABASE_PORT": CQL_PORT,
        "DATABASE_DATACENTER": settings.database.datacenter,
        "DATABASE_KEYSPACE": settings.database.keyspace,
        "DATABASE_USER": "app",
    }


def slot_files(settings: Settings, site: SiteSettings, slot: str, password: pulumi.Output[str]) -> list[dict[str, Any]]:
    """Return a slot's environment, and the database's password for its user alone."""
    owner = f"app-{slot}:app-{slot}"
    variables = environment(settings, site, slot)
    return [
        {"path": f"/etc/evenkeel/app-{slot}.env", "content": render("app/slot.env.j2", variables=variables)},
        {"path": f"/etc/evenkeel/app-{slot}.password", "content": password, "mode": "0400", "owner": owner},
    ]


def bundle(settings: Settings, site: SiteSettings, password: pulumi.Output[str]) -> Bundle:
    """Return the slots' configuration on one application server."""
    of_slots = [file for slot in SLOTS for file in slot_files(settings, site, slot, password)]
    unit = render("app/app@.service.j2")
    files: list[dict[str, Any]] = [{"path": UNIT, "content": unit}, *of_slots]
    return Bundle(
        role="app",
        directories=[{"path": f"/srv/app/{slot}"} for slot in SLOTS],
        files=files,
        restart=["systemctl", "try-restart", *(f"app@{slot}.service" for slot in SLOTS)],
        restart_on=[file["path"] for file in files],
    )
