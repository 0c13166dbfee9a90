"""A name server: bind9, primary or secondary for the stack's zone, with the service's round robin in it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.commands import Bundle, apply_on
from components.host import Host
from components.render import render
from components.settings import Settings

CONFIG = "/etc/bind/named.conf"
ZONES = "/etc/bind/zones"
# Where templates/bind/named.conf.j2 gets the key from: rendered early, filled in when the secret is known.
KEY_PLACE = "@TRANSFER_KEY@"


@dataclass(frozen=True)
class NameServerArgs:
    """Arguments of a NameServer: where it runs, whether it is the primary, and the TSIG key (base64) of the pair."""

    settings: Settings
    host: Host
    is_primary: bool
    transfer_key: pulumi.Output[str]


class NameServer(pulumi.ComponentResource):
    """bind9 without recursion; the primary serves the rendered zone, the secondary transfers it by key."""

    def __init__(self, name: str, args: NameServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:NameServer", name, None, opts)
        self.host = args.host
        child = pulumi.ResourceOptions(parent=self)
        self.config = apply_on(f"{name}-config", args.host.login, bundle(name, args), child)
        self.register_outputs({"address": args.host.address})


def zone(settings: Settings) -> str:
    """Return the zone's text; evenkeel-apply gives it its serial when it differs from the one in place."""
    return render(
        "bind/zone.j2",
        zone=settings.names.zone,
        ttl=settings.names.ttl,
        service=settings.names.service,
        load_balancers=[settings.address_of("lb", site) for site in settings.sites],
        records=sorted(settings.addresses.items()),
    )


def bundle(name: str, args: NameServerArgs) -> Bundle:
    """Return bind9's configuration for one of the two name servers."""
    settings = args.settings
    primary, secondary = settings.name_servers
    config = render(
        "bind/named.conf.j2",
        own=name,
        zone=settings.names.zone,
        is_primary=args.is_primary,
        primary=primary,
        secondary=secondary,
        transfer_key=KEY_PLACE,
    )
    content = args.transfer_key.apply(lambda key: config.replace(KEY_PLACE, key))
    files: list[dict[str, object]] = [{"path": CONFIG, "content": content, "mode": "0640", "owner": "root:bind"}]
    validate = [["named-checkconf", f"{{{CONFIG}}}"]]
    if args.is_primary:
        path = f"{ZONES}/{settings.names.zone}"
        files.append({"path": path, "content": zone(settings)})
        validate.append(["named-checkzone", "-q", settings.names.zone, f"{{{path}}}"])
    return Bundle(
        role="bind",
        directories=[{"path": ZONES}],
        files=files,
        validate=validate,
        enable=["named"],
        reload=["systemctl", "reload", "named"],
    )
