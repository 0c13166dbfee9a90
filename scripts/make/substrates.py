"""What is to be done around Pulumi for each substrate: before an update, for what was lost, after a destroy."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scripts.make.config import StackConfig
from scripts.make.locks import backend_url, lock_holder
from scripts.make.lost import find_lost_machines
from scripts.make.steps import PULUMI, ROOT, Step, StepFailedError, module, quiet, run_step, say


@dataclass(frozen=True)
class Substrate:
    """A substrate's part in `make`.

    `target` is the make target that brings such stacks up. `prepare` has what machines are made of ready; `lost` brings
    the machine and the state together again and returns the URNs of what must be made anew; `let_go` keeps what is gone
    from stopping a destroy; `clear` removes what a destroy has left.
    """

    target: str
    prepare: Callable[[StackConfig], None]
    lost: Callable[[StackConfig], list[str]]
    let_go: Callable[[StackConfig], None]
    clear: Callable[[StackConfig], None]


def prepare_containers(config: StackConfig) -> None:
    """The podman image, and the stack's containers running."""
    run_step(Step("the machine image", module("image", "ensure")))
    run_step(Step("hosts that are stopped", module("containers", "start", "--stack", config.stack)))


def lost_containers(config: StackConfig) -> list[str]:
    """The hosts that podman has no more."""
    lost = find_lost_machines(config.stack)
    for machine in lost:
        say(f"host {machine.name} is gone")
    return [machine.urn for machine in lost]


def let_go_containers(_: StackConfig) -> None:
    """Nothing: a container that is gone is removed like another."""


def clear_containers(config: StackConfig) -> None:
    """Containers, networks and volumes that carry the stack's name."""
    if shutil.which("podman"):
        run_step(Step("what is left of the stack", module("containers", "purge", "--stack", config.stack)))


def prepare_vms(config: StackConfig) -> None:
    """The hypervisors, which cost nothing to ask, and then the disk image, which takes minutes."""
    run_step(Step("the hypervisors", module("vms", "ask", *_uris(config))))
    run_step(Step("the disk image", module("image", "ensure-disk")))


def lost_vms(config: StackConfig) -> list[str]:
    """Nothing to ask for: what the hypervisors have no more is taken out of the state, so that it is made anew.

    What the state does not know is removed from them, but no data.
    """
    _reconcile(config, "mend")
    return []


def let_go_vms(config: StackConfig) -> None:
    """What the hypervisors have no more is taken out of the state: the provider could not delete it."""
    _reconcile(config, "let-go")


def _reconcile(config: StackConfig, verb: str) -> None:
    """Bring state and hypervisors together, while nobody else changes either: Pulumi takes its lock later only."""
    if holder := lock_holder(backend_url(ROOT), config.stack):
        print(
            f"make: stack {config.stack} is being updated by {holder}: wait for it to end, or run"
            f" `pulumi cancel --stack {config.stack}` where it has.",
            file=sys.stderr,
        )
        raise StepFailedError("hypervisors and state", 1)
    exported = quiet((PULUMI, "stack", "export", "--stack", config.stack))
    # Without it everything at the hypervisors would look like something left behind, and be removed.
    _require(exported, "reading the state")
    say("hypervisors and state")
    mended = quiet(module("vms", verb, *_place(config)), stdin=exported.stdout)
    print(mended.stderr, file=sys.stderr, end="")
    if mended.returncode != 0:
        raise StepFailedError("hypervisors and state", mended.returncode)
    if mended.stdout:
        imported = quiet((PULUMI, "stack", "import", "--stack", config.stack), stdin=mended.stdout)
        _require(imported, "taking what is gone out of the state")


def _require(result: subprocess.CompletedProcess[str], what: str) -> None:
    """StepFailedError, after what the program said, unless it succeeded."""
    if result.returncode != 0:
        print(result.stderr, file=sys.stderr, end="")
        raise StepFailedError(what, result.returncode)


def clear_vms(config: StackConfig) -> None:
    """Machines, disks, networks and pools that carry the stack's name."""
    run_step(Step("what is left of the stack", module("vms", "purge", *_place(config))))


def _place(config: StackConfig) -> tuple[str, ...]:
    return ("--prefix", f"evenkeel-{config.stack}", "--pool", config.pool, *_uris(config))


def _uris(config: StackConfig) -> tuple[str, ...]:
    return tuple(argument for uri in config.uris for argument in ("--uri", uri))


SUBSTRATES: Mapping[str, Substrate] = {
    "containers": Substrate("up", prepare_containers, lost_containers, let_go_containers, clear_containers),
    "libvirt": Substrate("vms", prepare_vms, lost_vms, let_go_vms, clear_vms),
}
