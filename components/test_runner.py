"""The test runner: the host that produces load and plays the user, with nothing of the service on it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.commands import run_on
from components.host import Host
from components.settings import Settings

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class TestRunnerArgs:
    """Arguments of a TestRunner: where it runs."""

    settings: Settings
    host: Host


class TestRunner(pulumi.ComponentResource):
    """The user's seat: resolves names as users do and asks the service through its load balancers."""

    def __init__(self, name: str, args: TestRunnerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:TestRunner", name, None, opts)
        self.args = args
        self.host = args.host
        self.register_outputs({"address": args.host.address})

    def wait_until_serving(self, name: str, parts: list[pulumi.Resource]) -> pulumi.Resource:
        """Return a resource that is there when every load balancer and the service's name answer with 200."""
        settings = self.args.settings
        addresses = " ".join(str(settings.address_of("lb", site)) for site in settings.sites)
        path = settings.artifact.manifest.http.ready
        return run_on(
            name,
            self.args.host.login,
            f"exec evenkeel-serving {PATIENCE_SECONDS} {path} {settings.names.service_name} {addresses}",
            pulumi.ResourceOptions(parent=self, depends_on=parts),
            triggers=[settings.artifact.sha256],
        )
