"""The test runner: the host that produces load and plays the user, with nothing of the service on it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.host import Host
from components.settings import Settings


@dataclass(frozen=True)
class TestRunnerArgs:
    """Arguments of a TestRunner: where it runs."""

    settings: Settings
    host: Host


class TestRunner(pulumi.ComponentResource):
    """The user's seat: resolves names as users do and asks the service through its load balancers."""

    def __init__(self, name: str, args: TestRunnerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:TestRunner", name, None, opts)
        self.host = args.host
        self.register_outputs({"address": args.host.address})
