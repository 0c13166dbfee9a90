"""The containers substrate: every host a systemd machine container on the machine that runs Pulumi."""

from __future__ import annotations

import pulumi

from components.addressing import gateway
from components.commands import ask_here, run_here
from components.host import MachineArgs, Power
from components.settings import Settings

PER_MACHINE_DISK_MB = 100
DATABASE_DISK_MB = 1_000


class Containers(pulumi.ComponentResource):
    """The machine's fitness, checked first, and the hosts' network; machines come through `machine`.

    It does not build the image: that is `make up`'s business, since a preview must not take minutes. It names the
    image by its recipe, so a changed recipe shows in the preview as machines to replace.
    """

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Containers", name, None, opts)
        self.settings = settings
        self.image = ask_here("scripts.image reference")
        self.check = self._check(name)
        self.network = self._network(name)
        self.register_outputs({"image": self.image})

    def _check(self, name: str) -> pulumi.Resource:
        """Refuse early, before anything is made, a machine that cannot hold the stack."""
        sizes = self.settings.sizes
        sites = len(self.settings.sites)
        counts = {"lb": sites, "app": sites, "db": sites, "ns": 2, "control": 1, "runner": 1}
        inputs = {
            "stack": self.settings.stack,
            "image": self.image,
            "network": str(self.settings.network),
            "publish": [self.settings.publish] if self.settings.publish else [],
            "disk_mb": PER_MACHINE_DISK_MB * sum(counts.values()) + DATABASE_DISK_MB * sites,
            "memory_mb": sum(sizes[role].memory_mb * count for role, count in counts.items()),
            "hosts": sum(counts.values()),
        }
        return run_here(f"{name}-check", "scripts.containers check", inputs, pulumi.ResourceOptions(parent=self))

    def _network(self, name: str) -> pulumi.Resource:
        """Make the network that the hosts live in."""
        inputs = {
            "stack": self.settings.stack,
            "name": self.settings.prefix,
            "subnet": str(self.settings.network),
            "gateway": str(gateway(self.settings.network)),
        }
        return run_here(
            f"{name}-network",
            "scripts.containers network create",
            inputs,
            pulumi.ResourceOptions(parent=self, depends_on=[self.check]),
            delete="scripts.containers network delete",
            triggers=[inputs],
        )

    def power(self, host: str, address: str) -> Power:
        """Return what podman is asked by."""
        del address
        on, off = (["scripts.containers", verb, "--stack", self.settings.stack, host] for verb in ("start", "stop"))
        return Power(on, off)

    def _called(self, host: str) -> str:
        """Return the container's name."""
        return f"{self.settings.prefix}-{host}"

    def machine(self, args: MachineArgs, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        """Provide a container; return its id.

        What makes it another machine is in the triggers, so that a preview shows which of it changed; the keys are
        not, but a changed key makes it anew all the same.
        """
        visible = self._visible(args)
        made = run_here(
            f"{args.name}-machine",
            "scripts.containers machine create",
            visible | {"authorized_key": args.authorized_key, "host_private_key": args.host_private_key},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self.network])),
            delete="scripts.containers machine delete",
            triggers=[visible],
        )
        return pulumi.Output.unsecret(made.stdout)

    def _visible(self, args: MachineArgs) -> dict[str, pulumi.Input[object]]:
        """Return the machine's specification without its keys."""
        return {
            "stack": self.settings.stack,
            "name": args.name,
            "container": self._called(args.name),
            "image": self.image,
            "network": self.settings.prefix,
            "address": args.address,
            "cpus": args.size.vcpus,
            "memory_mb": args.size.memory_mb,
            "volumes": {f"{self._called(args.name)}-{what}": path for what, path in args.volumes.items()},
            "publish": [f"{outside}:{inside}" for outside, inside in args.publish.items()],
            "dns": [str(address) for address in self.settings.name_servers],
            "search": self.settings.names.zone,
        }
