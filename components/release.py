"""The release: every stage its own resource, in the order and with the guards of components/stages.py.

A stage is a local command that works on the machines itself and ends in a verdict, which the next ones are told. It
runs when the release is another one than the last (`triggers`), and only then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.commands import ask_here, run_here
from components.host import Host
from components.settings import Settings
from components.stages import Kind, Stage, order
from components.topology import Topology

ROLES = ("lb", "app", "db", "control", "runner")


@dataclass(frozen=True)
class ReleaseArgs:
    """Arguments of a Release: what is wanted, the machines it goes to, the keys to them, and what must be there."""

    settings: Settings
    hosts: Sequence[Host]
    deploy_key: pulumi.Output[str]
    ring: Mapping[str, Any]
    programs: pulumi.Resource
    after: Sequence[pulumi.Resource]

    @classmethod
    def of(cls, topology: Topology) -> ReleaseArgs:
        """Return the arguments of a release to the whole topology."""
        control = topology.control
        key = topology.deploy_key.private
        return cls(topology.settings, topology.hosts, key, topology.ring, control.programs, topology.parts)


class Release(pulumi.ComponentResource):
    """Takes every site from the version that is live to the wanted one, or leaves it where it was and fails."""

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Release", name, None, opts)
        self.args = args
        self.stack = stack_of(args.settings, args.hosts, args.deploy_key, args.ring)
        sites = [site.name for site in args.settings.sites]
        self.plan = args.settings.release.plan(
            sites, args.settings.sizes["app"].memory_mb, args.settings.load_balancer.ready_path
        )
        self.plan |= args.settings.slow
        if self.plan["mirror"] == "scan":
            # A preview asks no database: how long it will be for these tables is measured and said by preflight.
            pulumi.log.info(
                "mirror: scan: a release that changes the data has writes wait (503), reads go on, for"
                f" {self.plan['freeze_seconds']} s at most (freezeSeconds); preflight measures for how long",
                resource=self,
            )
        self.identity = self._identify()
        self.stages: list[pulumi.Output[str]] = []
        before: list[pulumi.Resource] = list(args.after)
        for stage in order(len(self.plan["groups"])):
            command = self._stage(stage, before)
            self.stages.append(command.stdout)
            before = [command]
        self.id_ = self.identity.apply(lambda identity: str(identity["outcome"]["id"]))
        self.register_outputs({"id": self.id_})

    def _identify(self) -> pulumi.Output[dict[str, Any]]:
        """Ask which release this is; see scripts/release/identify.py."""
        artifact = self.args.settings.artifact
        inputs = {
            "stack": self.stack,
            "wanted": {
                "version": artifact.manifest.version,
                "sha256": artifact.sha256,
                "artifact": artifact.relative_path,
                "plan": self.plan,
            },
        }
        said = ask_here("scripts.release identify", inputs, [self.args.programs])
        # The question holds the deploy key, the answer does not.
        return pulumi.Output.unsecret(said).apply(json.loads)

    def _stage(self, stage: Stage, before: Sequence[pulumi.Resource]) -> Any:
        """Return one stage's resource."""
        is_outcome = stage.kind is Kind.OUTCOME
        earlier = pulumi.Output.all(self.identity, *self.stages).apply(
            lambda parts: verdicts(parts[0], parts[1:], is_outcome=is_outcome)
        )
        release = self.identity.apply(lambda identity: identity["outcome" if is_outcome else "stages"])
        return run_here(
            f"release-{stage.name}",
            f"scripts.release stage {stage.name}",
            {"release": release, "stack": self.stack, "earlier": earlier},
            pulumi.ResourceOptions(parent=self, depends_on=list(before)),
            triggers=[release.apply(lambda document: document["id"])],
        )


def verdicts(identity: Mapping[str, Any], printed: Sequence[str], *, is_outcome: bool) -> list[dict[str, Any]]:
    """Return the earlier stages' verdicts; for an outcome of an earlier release, those that it was told then."""
    if is_outcome and identity["earlier"] is not None:
        earlier: list[dict[str, Any]] = identity["earlier"]
        return earlier
    return [json.loads(text) for text in printed]


def stack_of(
    settings: Settings, hosts: Sequence[Host], deploy_key: pulumi.Output[str], ring: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the machines as the release's programs read them."""
    return {
        "name": settings.stack,
        "service": settings.names.service_name,
        "hosts": [
            {key: value for key, value in host.describe().items() if key != "power"}
            for host in hosts
            if host.role in ROLES
        ],
        "deploy_key": deploy_key,
        "ring": dict(ring),
        **settings.slow,
    }
