"""`python -m scripts.make up|preview|down --stack NAME`: the make targets that take more than one program."""

import argparse
import os
import shutil
import sys
import time

import yaml

from scripts.make.config import StackConfig, read_config
from scripts.make.locks import backend_url, clear_abandoned_locks
from scripts.make.lost import find_lost_machines
from scripts.make.steps import EVENKEEL, PULUMI, ROOT, Step, StepFailedError, module, quiet, run, run_step, say

# Without a terminal, the CLI must not draw; with one, it may.
ANSWERS = ("--yes", "--skip-preview")


def main() -> int:
    """Run the target; its failure was told by the program that failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.make", description=__doc__)
    parser.add_argument("target", choices=("up", "preview", "down"))
    parser.add_argument("--stack", default="dev")
    arguments = parser.parse_args()
    started = time.monotonic()
    os.environ["EVENKEEL_STACK"] = arguments.stack
    try:
        {"up": bring_up, "preview": preview, "down": take_down}[arguments.target](arguments.stack)
    except StepFailedError as error:
        say(f"{error}; `make {arguments.target}` stopped after {_minutes(started)}, run it again to go on from here")
        return error.status if error.status > 0 else 1
    except yaml.YAMLError as error:
        print(f"make: Pulumi.{arguments.stack}.yaml is not YAML: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    say(f"make {arguments.target}: {_minutes(started)} in all")
    return 0


def bring_up(stack: str) -> None:
    """Artifact, image, containers of a stack that exists, `pulumi up`, and the closing table."""
    for step in _preparation(read_config(ROOT, stack)):
        run_step(step)
    run_step(Step("the machine image", module("image", "ensure")))
    run_step(Step("hosts that are stopped", module("containers", "start", "--stack", stack)))
    _select(stack)
    lost = find_lost_machines(stack)
    for machine in lost:
        say(f"host {machine.name} is gone: making it anew")
    replacements = (argument for machine in lost for argument in ("--replace", machine.urn))
    run_step(Step("pulumi up", (PULUMI, "up", "--stack", stack, *ANSWERS, *replacements)))
    run((EVENKEEL, "--stack", stack, "summary"))


def preview(stack: str) -> None:
    """What `up` would change. The artifact is packed if need be: it is a file, no part of the stack."""
    for step in _preparation(read_config(ROOT, stack)):
        run_step(step)
    _select(stack)
    run_step(Step("pulumi preview", (PULUMI, "preview", "--stack", stack)))


def take_down(stack: str) -> None:
    """Destroy by the state, then sweep away whatever the state does not know; a lost state is no hindrance."""
    clear_abandoned_locks(backend_url(ROOT), stack)
    known = quiet((PULUMI, "stack", "select", "--stack", stack)).returncode == 0
    destroyed = not known or run((PULUMI, "destroy", "--stack", stack, *ANSWERS)) == 0
    if shutil.which("podman"):
        run_step(Step("what is left of the stack", module("containers", "purge", "--stack", stack)))
    if not destroyed:
        # What the state lists is gone now: a state that still says otherwise would mislead the next `up`.
        run_step(Step("forgetting the state", (PULUMI, "stack", "rm", "--force", "--yes", "--preserve-config", stack)))


def _preparation(config: StackConfig) -> list[Step]:
    if not config.sample:
        return []
    return [Step("the application's artifact", module("artifact", "ensure", config.version))]


def _select(stack: str) -> None:
    """Make the stack if it is new, and free it from a killed update."""
    clear_abandoned_locks(backend_url(ROOT), stack)
    select = (PULUMI, "stack", "select", "--create", "--secrets-provider", "passphrase", "--stack", stack)
    result = quiet(select)
    if result.returncode != 0:
        print(result.stdout + result.stderr, file=sys.stderr, end="")
        raise StepFailedError("pulumi stack select", result.returncode)


def _minutes(started: float) -> str:
    seconds = round(time.monotonic() - started)
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


if __name__ == "__main__":
    sys.exit(main())
