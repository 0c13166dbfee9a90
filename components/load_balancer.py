"""A load balancer: HAProxy with every application server's two slots declared from the start."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.app_server import PORTS, SLOTS
from components.commands import Bundle, apply_on
from components.control import Control
from components.host import Host
from components.render import render
from components.settings import Settings, SiteSettings

CONFIG = "/etc/haproxy/haproxy.cfg"
UNIT = "/etc/systemd/system/haproxy.service.d/evenkeel.conf"
TIMER = "/etc/systemd/system/evenkeel-deadman.service"


@dataclass(frozen=True)
class LoadBalancerArgs:
    """Arguments of a LoadBalancer: where it runs, which site it belongs to, and the control host."""

    settings: Settings
    host: Host
    site: SiteSettings
    control: Control


class LoadBalancer(pulumi.ComponentResource):
    """HAProxy, serving the whole pool of application servers, its own site's first among equals."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:LoadBalancer", name, None, opts)
        self.config = apply_on(
            f"{name}-config", args.host.login, bundle(args.settings, args.site), pulumi.ResourceOptions(parent=self)
        )
        self.routing = args.control.restore(
            f"{name}-routing", "routing", args.host, pulumi.ResourceOptions(parent=self, depends_on=[self.config])
        )
        self.register_outputs({"address": args.host.address})


def servers(settings: Settings, own: SiteSettings) -> list[dict[str, object]]:
    """Return the pool's servers in HAProxy's order: this site's two slots first."""
    order = sorted(settings.sites, key=lambda site: site != own)
    return [
        {
            "name": f"{site.name}-{slot}",
            "slot": slot,
            "address": str(settings.address_of("app", site)),
            "port": PORTS[slot],
        }
        for site in order
        for slot in SLOTS
    ]


def bundle(settings: Settings, site: SiteSettings) -> Bundle:
    """Return HAProxy's configuration for one site's load balancer, and the dead-man timer.

    Which servers users get is no part of it: releases say that (evenkeel-traffic), and all servers start closed.
    """
    config = render(
        "haproxy/haproxy.cfg.j2",
        site=site.name,
        limits=settings.load_balancer,
        slowness=settings.slowness,
        slots=SLOTS,
        service_name=settings.names.service_name,
        servers=servers(settings, site),
    )
    return Bundle(
        role="haproxy",
        directories=[{"path": "/var/lib/haproxy/state", "mode": "0700", "owner": "root:root"}],
        files=[
            {"path": CONFIG, "content": config, "mode": "0640", "owner": "root:haproxy"},
            {"path": UNIT, "content": render("haproxy/unit.conf.j2")},
            {"path": TIMER, "content": render("haproxy/evenkeel-deadman.service.j2")},
        ],
        # The first makes the map of versions, which the configuration may name and HAProxy then wants to find.
        validate=[["evenkeel-traffic", "restore"], ["haproxy", "-c", "-q", "-f", f"{{{CONFIG}}}"]],
        enable=["haproxy"],
        reload=["systemctl", "reload", "haproxy"],
    )
