"""The control host: release programs, and the database's preparation, which runs from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.commands import Bundle, apply_on, run_here, run_on
from components.host import Host
from components.render import render
from components.settings import Settings

PROGRAMS = "/opt/evenkeel/programs"
ROOT = Path(__file__).resolve().parent.parent
SHARED = ("scripts/__init__.py", "components/__init__.py", "components/data.py")  # beside the packages
JOURNAL = "/var/lib/evenkeel"
WEBHOOK_PORT = 8070
HOSTS = f"{JOURNAL}/hosts.json"
PACKAGES = ("database", "journal", "tables", "webhook")
UNIT = "/etc/systemd/system/evenkeel-webhook.service"
RUN = f"cd {PROGRAMS} && exec env PYTHONPATH=/opt/evenkeel/python timeout -s KILL"
RUN_SECONDS = 600  # what a program there may take beside waiting for the ring


@dataclass(frozen=True)
class ControlArgs:
    """Arguments of Control: where it runs, the key that opens every host, and the one that signs for the webhook."""

    settings: Settings
    host: Host
    deploy_key: pulumi.Output[str]
    webhook_key: pulumi.Output[str]


class Control(pulumi.ComponentResource):
    """The host that runs release programs against the others."""

    def __init__(self, name: str, args: ControlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Control", name, None, opts)
        self.args = args
        self.host = args.host
        self.programs = apply_on(f"{name}-programs", args.host.login, bundle(args), pulumi.ResourceOptions(parent=self))
        self.register_outputs({"address": args.host.address})

    def run(self, name: str, program: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """Run one of the programs there, `inputs` as JSON on its standard input, once it is in place."""
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self.programs]))
        document = pulumi.Output.json_dumps(inputs, sort_keys=True)
        settings = self.args.settings
        seconds = RUN_SECONDS * settings.slowness + settings.database.patience_seconds
        return run_on(name, self.host.login, f"{RUN} {seconds} python3 -m scripts.{program}", after, stdin=document)

    def know(self, hosts: Sequence[Host]) -> pulumi.Resource:
        """Return a resource that is there when the control host knows all hosts, for those that are made anew."""
        described = pulumi.Output.json_dumps([host.describe() for host in hosts], sort_keys=True, indent=1)
        known = Bundle(role="inventory", files=[{"path": HOSTS, "content": described}])
        return apply_on("control-hosts", self.host.login, known, pulumi.ResourceOptions(parent=self))

    def restore(self, name: str, what: str, host: Host, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """Give a host that was made anew what its fellows have: `routing`, `slots` or `mirror`.

        See scripts/release/restore.py.
        """
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self.programs]))
        inputs = {"host": host.name, "control": self.host.describe(), "deploy_key": self.args.deploy_key}
        inputs |= self.args.settings.slow
        return run_here(name, f"scripts.release {what}", inputs, after, triggers=[host.id_])


def bundle(args: ControlArgs) -> Bundle:
    """Return the programs' sources and the webhook, which is restarted when any of it changes."""
    modules = [path for package in PACKAGES for path in sorted((ROOT / "scripts" / package).glob("*.py"))]
    files = [
        {"path": f"{PROGRAMS}/{path.relative_to(ROOT)}", "content": path.read_text(encoding="utf-8")}
        for path in [*(ROOT / name for name in SHARED), *modules]
    ]
    config = render(
        "control/webhook.json.j2", listen=f"0.0.0.0:{WEBHOOK_PORT}", notify=list(args.settings.release.notify)
    )
    return Bundle(
        role="control",
        directories=[{"path": JOURNAL, "mode": "0700"}],
        files=[
            *files,
            {"path": UNIT, "content": render("control/evenkeel-webhook.service.j2")},
            {"path": "/etc/evenkeel/webhook.json", "content": config},
            {"path": "/etc/evenkeel/webhook.key", "content": args.webhook_key, "mode": "0600"},
        ],
        enable=["evenkeel-webhook"],
        reload=["systemctl", "restart", "evenkeel-webhook"],
    )
