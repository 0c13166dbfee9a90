"""An application server: two slots, blue and green, which releases fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.commands import Bundle, apply_on
from components.control import Control
from components.host import Host
from components.render import render
from components.settings import ANSWER_MS, Settings, SiteSettings

SLOTS = ("blue", "green")
PORTS = {"blue": 8001, "green": 8002}
CQL_PORT = 9042
UNIT = "/etc/systemd/system/app@.service"


@dataclass(frozen=True)
class AppServerArgs:
    """Arguments of an AppServer: where it runs, its site, the control host, its site's database and the password."""

    settings: Settings
    host: Host
    site: SiteSettings
    control: Control
    database: pulumi.Resource
    database_password: pulumi.Output[str]


class AppServer(pulumi.ComponentResource):
    """The slots' systemd units and environment; a server made anew gets the versions that the others run."""

    def __init__(self, name: str, args: AppServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:AppServer", name, None, opts)
        self.config = apply_on(
            f"{name}-config",
            args.host.login,
            bundle(args.settings, args.site, args.database_password),
            pulumi.ResourceOptions(parent=self),
        )
        # A version that is put back is ready when it can read and write: of two sites that takes both databases.
        after = pulumi.ResourceOptions(parent=self, depends_on=[self.config, args.database])
        self.slots = args.control.restore(f"{name}-slots", "slots", args.host, after)
        self.register_outputs({"address": args.host.address})


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
        **slow_answers(settings),
    }


def slow_answers(settings: Settings) -> dict[str, int]:
    """Return how long a slow database may take to answer, in ms; nothing where hosts are not slow."""
    times = settings.answer_slowness
    return {"DATABASE_TIMEOUT_MS": ANSWER_MS * times} if times > 1 else {}


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
