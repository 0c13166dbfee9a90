"""The libvirt substrate: every host a virtual machine, on one hypervisor or on several.

The one place that knows pulumi-libvirt, which its vendor has deprecated: a successor changes this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_libvirt as libvirt

from components.cloud_init import Seed, mac_of, make_seed
from components.commands import ask_here, run_here
from components.host import MachineArgs, Power
from components.hypervisor import facts_of, memory_of, needs_of, vcpus_of
from components.settings import Settings

GIB = 1 << 30
# What takes another machine or volume. The provider knows most of it, but a preview without it must show it too; and
# some it would change under a running machine, which would not take it up.
MACHINE_ANEW = ["name", "memory", "vcpu", "disks", "cloudinit", "networkInterfaces", "type", "cpu", "machine"]
VOLUME_ANEW = ["name", "pool", "source", "baseVolumeId"]


class Hypervisor(pulumi.ComponentResource):
    """One libvirt, found fit before anything is made there: pool, network, and the disk image, uploaded once.

    Its provider's URI comes out of the first check. So a preview without a libvirt at hand never connects, and the
    first sentence about one that does not answer is ours.
    """

    def __init__(
        self, name: str, uri: str, settings: Settings, image: pulumi.Output[str], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("evenkeel:components:Hypervisor", name, None, opts)
        self.settings = settings
        self.uri = uri
        self.child = pulumi.ResourceOptions(parent=self)
        wanted = {"uri": uri, "domain_type": settings.libvirt.domain_type}
        facts = facts_of(run_here(f"{name}-reached", "scripts.vms reach", wanted, self.child))
        self.domain_type = facts["domain_type"]
        self.provider = libvirt.Provider(f"{name}-provider", uri=facts["uri"], opts=self.child)
        self.child = pulumi.ResourceOptions(parent=self, provider=self.provider)
        self.fit = self._check(name)
        self.pool = self._pool(name)
        self.interface = self._interface(name)
        self.stored: list[pulumi.Resource] = []
        self.base = self._base(name, image)
        self.register_outputs({"domain_type": self.domain_type})

    def _check(self, name: str) -> pulumi.Resource:
        """Refuse early what would fail late: addresses in use, too little space or memory."""
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self.provider])
        needs = needs_of(self.settings, self.uri)
        memory_mb = self.domain_type.apply(lambda kind: memory_of(needs, kind))
        return run_here(f"{name}-check", "scripts.vms check", {**needs, "memory_mb": memory_mb}, opts)

    def _after(self, *resources: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Return options of a part that is made when those are there."""
        return pulumi.ResourceOptions.merge(
            self.child, pulumi.ResourceOptions(depends_on=[self.fit, *resources], **more)
        )

    def _pool(self, name: str) -> pulumi.Input[str]:
        """Return the name of the pool: an existing one's, or that of one in a directory of the stack's own."""
        wanted, prefix = self.settings.libvirt.pool, self.settings.prefix
        if not wanted.startswith("/"):
            return wanted
        target = {"path": f"{wanted.rstrip('/')}/{self.settings.stack}"}
        made = libvirt.Pool(f"{name}-pool", name=prefix, type="dir", target=target, opts=self._after())
        return made.name

    def _interface(self, name: str) -> Mapping[str, pulumi.Input[str]]:
        """Return what joins a machine to the hosts' network: the config's bridge, or a network made here."""
        if self.settings.libvirt.bridge:
            return {"bridge": self.settings.libvirt.bridge}
        made = libvirt.Network(
            f"{name}-network",
            name=self.settings.prefix,
            mode="nat",
            addresses=[str(self.settings.network)],
            autostart=True,
            # Addresses are fixed, and names are our own name servers' business.
            dhcp={"enabled": False},
            dns={"enabled": False},
            opts=self._after(delete_before_replace=True),
        )
        return {"network_id": made.id}

    def _base(self, name: str, image: pulumi.Output[str]) -> libvirt.Volume:
        """Upload the disk image, checked by its hash just before; every machine's disk here is laid over it."""
        parts = image.apply(json.loads)
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self.fit])
        checked = run_here(f"{name}-image", "scripts.image check", {"name": parts["name"]}, opts)
        base = libvirt.Volume(
            f"{name}-base",
            name=parts["name"].apply(lambda text: f"{self.settings.prefix}-base-{text}.qcow2"),
            pool=self.pool,
            source=parts["file"],
            format="qcow2",
            opts=self._after(checked, replace_on_changes=VOLUME_ANEW),
        )
        self.stored.append(base)
        return base

    def in_turn(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Return options of a disk that is made when the one before it is there: the pool is busy until then."""
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=self.stored[-1:]))

    def store(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Return options of a disk that the provider makes in its turn."""
        own = pulumi.ResourceOptions(provider=self.provider, replace_on_changes=VOLUME_ANEW)
        return pulumi.ResourceOptions.merge(self.in_turn(opts), own)


class Libvirt(pulumi.ComponentResource):
    """The hypervisors; machines come through `machine`, each on the one that the config gives it.

    It does not make the image: that is `make vms`'s business. It names the image by its recipe, so a changed recipe
    shows in the preview as machines to replace.
    """

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:Libvirt", name, None, opts)
        self.settings = settings
        child = pulumi.ResourceOptions(parent=self)
        self.image = ask_here("scripts.image disk")
        self.hypervisors = {
            uri: Hypervisor(f"hypervisor-{called}", uri, settings, self.image, child)
            for called, uri in settings.libvirt.hypervisors.items()
        }
        self.register_outputs({"image": self.image})

    def power(self, host: str, address: str) -> Power:
        """Return what its hypervisor is asked by."""
        place = ("--uri", self.settings.libvirt.uris[host], "--address", address, "--domain", self._called(host), host)
        return Power(["scripts.vms", "on", *place], ["scripts.vms", "off", *place])

    def machine(self, args: MachineArgs, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        """Provide a virtual machine that answers SSH; return its id.

        Another image or seed is another machine: a new root disk, then the old machine goes and the new one comes,
        because name, address and data disks exist once. The data disks stay.
        """
        hypervisor = self.hypervisors[self.settings.libvirt.uris[args.name]]
        seed = make_seed(self.settings, args, self.image)
        domain = self._domain(hypervisor, args, seed, opts)
        ready = run_here(
            f"{args.name}-ready",
            "scripts.vms ready",
            {"uri": hypervisor.uri, "id": domain.id, "name": args.name, "address": args.address},
            opts,
            delete="scripts.vms stop",
            triggers=[domain.id],
        )
        return pulumi.Output.unsecret(ready.stdout)

    def _domain(
        self, hypervisor: Hypervisor, args: MachineArgs, seed: Seed, opts: pulumi.ResourceOptions
    ) -> libvirt.Domain:
        """Make the machine itself, with the sizes that the settings give its role."""
        seed_disk = self._seed_disk(hypervisor, args, seed, opts)
        volumes = [self._root_disk(hypervisor, args, seed, opts), *self._data_disks(hypervisor, args, opts)]
        once = pulumi.ResourceOptions(
            provider=hypervisor.provider, delete_before_replace=True, replace_on_changes=MACHINE_ANEW
        )
        return libvirt.Domain(
            f"{args.name}-machine",
            name=self._called(args.name),
            type=hypervisor.domain_type,
            machine="pc",
            cpu={"mode": "maximum"},
            vcpu=vcpus_of(args.size),
            memory=args.size.memory_mb,
            autostart=True,
            cloudinit=seed_disk,
            disks=[{"volume_id": volume.id} for volume in volumes],
            network_interfaces=[{**hypervisor.interface, "mac": mac_of(args.address)}],
            consoles=[{"type": "pty", "target_type": "serial", "target_port": "0"}],
            opts=pulumi.ResourceOptions.merge(opts, once),
        )

    def _called(self, host: str) -> str:
        """Return what a host's machine is called on its hypervisor."""
        return f"{self.settings.prefix}-{host}"

    def _root_disk(
        self, hypervisor: Hypervisor, args: MachineArgs, seed: Seed, opts: pulumi.ResourceOptions
    ) -> libvirt.Volume:
        """Lay an empty disk over the image."""
        disk = libvirt.Volume(
            f"{args.name}-root",
            name=seed.digest.apply(lambda digest: f"{self._called(args.name)}-root-{digest}.qcow2"),
            pool=hypervisor.pool,
            base_volume_id=hypervisor.base.id,
            format="qcow2",
            opts=hypervisor.store(opts),
        )
        hypervisor.stored.append(disk)
        return disk

    def _seed_disk(
        self, hypervisor: Hypervisor, args: MachineArgs, seed: Seed, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[str]:
        """Write the seed onto a disk of its own, which cloud-init looks for; return its id.

        Not the provider's disk, which may hang (scripts/vms/seed.py says why). `mend` knows it by its triggers.
        """
        place = {
            "uri": hypervisor.uri,
            "pool": hypervisor.pool,
            "name": seed.digest.apply(lambda digest: f"{self._called(args.name)}-seed-{digest}.iso"),
        }
        disk = run_here(
            f"{args.name}-seed",
            "scripts.vms write-seed",
            {
                **place,
                "user_data": seed.user_data,
                "meta_data": seed.meta_data,
                "network_config": seed.network_config,
            },
            hypervisor.in_turn(opts),
            delete="scripts.vms remove-seed",
            triggers=list(place.values()),
        )
        hypervisor.stored.append(disk)
        return pulumi.Output.unsecret(disk.stdout)

    def _data_disks(
        self, hypervisor: Hypervisor, args: MachineArgs, opts: pulumi.ResourceOptions
    ) -> list[libvirt.Volume]:
        """Make the disks whose data outlive the machine; another size in the config leaves them as they are."""
        kept = pulumi.ResourceOptions(ignore_changes=["size"], delete_before_replace=True)
        disks = []
        for what in sorted(args.volumes):
            disk = libvirt.Volume(
                f"{args.name}-{what}-disk",
                name=f"{self._called(args.name)}-{what}.qcow2",
                pool=hypervisor.pool,
                size=self.settings.libvirt.data_gb * GIB,
                format="qcow2",
                opts=pulumi.ResourceOptions.merge(hypervisor.store(opts), kept),
            )
            hypervisor.stored.append(disk)
            disks.append(disk)
        return disks
