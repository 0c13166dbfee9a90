"""The control host: release programs, and the database's preparation, which runs from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.commands import Bundle, apply_on, run_on
from components.host import Host
from components.settings import Settings

PROGRAMS = "/opt/evenkeel/programs"
SOURCES = Path(__file__).resolve().parent.parent / "scripts"
PACKAGES = ("database",)
RUN = f"cd {PROGRAMS} && exec env PYTHONPATH=/opt/evenkeel/python timeout -s KILL 900 python3 -m"


@dataclass(frozen=True)
class ControlArgs:
    """Arguments of Control: where it runs."""

    settings: Settings
    host: Host


class Control(pulumi.ComponentResource):
    """The host that runs release programs against the others."""

    def __init__(self, name: str, args: ControlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Control", name, None, opts)
        self.host = args.host
        self.programs = apply_on(f"{name}-programs", args.host.login, bundle(), pulumi.ResourceOptions(parent=self))
        self.register_outputs({"address": args.host.address})

    def run(self, name: str, program: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """Run one of the programs there, `inputs` as JSON on its standard input, once it is in place."""
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self.programs]))
        document = pulumi.Output.json_dumps(inputs, sort_keys=True)
        return run_on(name, self.host.login, f"{RUN} scripts.{program}", after, stdin=document)


def bundle() -> Bundle:
    """Return the programs' sources as files for the control host."""
    modules = [path for package in PACKAGES for path in sorted((SOURCES / package).glob("*.py"))]
    files = [
        {"path": f"{PROGRAMS}/scripts/{path.relative_to(SOURCES)}", "content": path.read_text(encoding="utf-8")}
        for path in [SOURCES / "__init__.py", *modules]
    ]
    return Bundle(role="programs", directories=[{"path": "/var/lib/evenkeel", "mode": "0700"}], files=files)
