"""One host: made, made anew when its specification changed, and removed. Every step may be run again."""

from typing import Any

from scripts.containers.confirmed import confirm, current_run, forget, is_confirmed
from scripts.containers.errors import ContainerError
from scripts.containers.identity import identity_archive
from scripts.containers.leftovers import remove_containers, start_container
from scripts.containers.podman import (
    HOST_LABEL,
    SPEC_LABEL,
    STACK_LABEL,
    inspect,
    podman,
    reason,
    run_podman,
)
from scripts.containers.quirks import Runtime, find_runtime
from scripts.containers.spec import MachineSpec
from scripts.readiness import wait_for_ssh

STOP_SECONDS = 25
READY_SECONDS = 60
SECOND_CHANCE_SECONDS = 15


def create_machine(spec: MachineSpec) -> dict[str, str]:
    """Bring the host to its specification and wait until it answers; returns its container id and address."""
    present = inspect("container", spec.container)
    if present is not None and _digest_of(present) != spec.digest():
        # A clean stop: the volumes live on in the next one.
        remove_containers([spec.container], STOP_SECONDS)
        present = None
    if present is None:
        _create(spec, find_runtime(spec.image))
    if not _is_running(spec.container):
        _start(spec)
    _await_host(spec)
    confirm(spec.container, current_run())
    return {"id": _container_id(spec), "address": spec.address}


def delete_machine(spec: MachineSpec) -> None:
    """Remove the host and its data, but only if it still is the one of this specification.

    Pulumi replaces by creating first: by the time the old one is to be deleted, the container of that name is the
    new one, and must stay. That it is the new one is told by its specification, or, where that is the same, by the
    run that has just confirmed it.
    """
    present = inspect("container", spec.container)
    if present is not None:
        if _digest_of(present) != spec.digest() or is_confirmed(spec.container, current_run()):
            return
        remove_containers([spec.container], 0)
    forget(spec.container)
    for volume in spec.volumes:
        _remove_volume(volume)


def create_arguments(spec: MachineSpec, runtime: Runtime) -> list[str]:
    """The `podman create` of a host. Secrets are not among the arguments: see identity.py."""
    labels = {STACK_LABEL: spec.stack, HOST_LABEL: spec.name, SPEC_LABEL: spec.digest()}
    memory = f"{spec.memory_mb}m"
    return [
        *runtime.global_arguments(),
        *("create", "--pull=never", "--name", spec.container, "--hostname", spec.name),
        *("--network", spec.network, "--ip", spec.address, "--no-hosts"),
        *(argument for server in spec.dns for argument in ("--dns", server)),
        *(("--dns-search", spec.search) if spec.search else ()),
        *(argument for port in spec.publish for argument in ("--publish", port)),
        *(argument for volume, folder in spec.volumes.items() for argument in ("--volume", f"{volume}:{folder}")),
        *("--cpus", str(spec.cpus), "--memory", memory, "--memory-swap", memory),
        *(argument for name, value in labels.items() for argument in ("--label", f"{name}={value}")),
        # Where podman-restart.service runs, hosts come back after a reboot as virtual machines would.
        *("--restart", "always", "--stop-timeout", str(STOP_SECONDS)),
        # Independent of the machine's journal; systemd inside says next to nothing on its console.
        *("--log-driver", "k8s-file", "--log-opt", "max-size=1mb"),
        *runtime.create_arguments(),
        spec.image,
    ]


def _create(spec: MachineSpec, runtime: Runtime) -> None:
    for volume in spec.volumes:
        if inspect("volume", volume) is None:
            podman("volume", "create", "--label", f"{STACK_LABEL}={spec.stack}", volume, what=f"Making volume {volume}")
    result = run_podman(*create_arguments(spec, runtime))
    if result.returncode != 0 and "already in use" in reason(result):
        # A podman that was killed half-way leaves the name taken in its storage, by nothing that it lists.
        remove_containers([spec.container], 0)
        result = run_podman(*create_arguments(spec, runtime))
    if result.returncode != 0:
        raise ContainerError(f"Creating host {spec.name} failed: {reason(result)}.")


def _start(spec: MachineSpec) -> None:
    """Put the keys in, every time: the run before may have been killed between making and starting."""
    podman("cp", "-", f"{spec.container}:/", stdin=identity_archive(spec), what=f"Giving {spec.name} its keys")
    start_container(spec.container, spec.name)


def _await_host(spec: MachineSpec) -> None:
    if wait_for_ssh(spec.name, spec.address, SECOND_CHANCE_SECONDS):
        return
    # Started by someone before its keys were in: sshd has given up by now.
    if inspect_running_without_keys(spec):
        podman("stop", spec.container, what=f"Stopping host {spec.name}")
        _start(spec)
    if not wait_for_ssh(spec.name, spec.address, READY_SECONDS):
        raise ContainerError(
            f"Host {spec.name} runs, but its sshd at {spec.address} did not answer in {READY_SECONDS} s:"
            f" look with `podman exec {spec.container} systemctl status`."
        )


def inspect_running_without_keys(spec: MachineSpec) -> bool:
    """Whether the container runs without a host key."""
    key = "/etc/ssh/ssh_host_ed25519_key"
    return run_podman("exec", spec.container, "test", "-s", key).returncode != 0


def _remove_volume(volume: str) -> None:
    result = run_podman("volume", "rm", volume)
    if result.returncode != 0 and inspect("volume", volume) is not None:
        # In use by a container of a later specification: not ours to remove.
        if "being used" in reason(result):
            return
        raise ContainerError(f"Removing volume {volume} failed: {reason(result)}.")


def _is_running(container: str) -> bool:
    present = inspect("container", container)
    return present is not None and bool(present["State"]["Running"])


def _digest_of(present: dict[str, Any]) -> str:
    labels = present["Config"]["Labels"] or {}
    return str(labels.get(SPEC_LABEL, ""))


def _container_id(spec: MachineSpec) -> str:
    present = inspect("container", spec.container)
    if present is None:
        raise ContainerError(f"Host {spec.name} vanished while it was being made: run the same again.")
    return str(present["Id"])
