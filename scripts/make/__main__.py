"""`python -m scripts.make up|vms|preview|down --stack NAME`: the make targets that take more than one program."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping

import yaml

from scripts.make.config import StackConfig, read_config
from scripts.make.locks import backend_url, clear_abandoned_locks
from scripts.make.steps import EVENKEEL, PULUMI, ROOT, Step, StepFailedError, module, quiet, run, run_step, say
from scripts.make.substrates import SUBSTRATES, Substrate

# Without a terminal, the CLI must not draw; with one, it may.
ANSWERS = ("--yes", "--skip-preview")


def main() -> int:
    """Run the target; its failure was told by the program that failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.make", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--stack", default="dev")
    arguments = parser.parse_args()
    started = time.monotonic()
    os.environ["EVENKEEL_STACK"] = arguments.stack
    try:
        config = read_config(ROOT, arguments.stack)
        if refused := refusal(config, arguments.target):
            print(f"make: {refused}", file=sys.stderr)
            return 1
        TARGETS[arguments.target](config, SUBSTRATES[config.substrate])
    except StepFailedError as error:
        say(f"{error}; `make {arguments.target}` stopped after {_minutes(started)}, run it again to go on from here")
        return error.status if error.status > 0 else 1
    except yaml.YAMLError as error:
        print(f"make: Pulumi.{arguments.stack}.yaml is not YAML: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    say(f"make {arguments.target}: {_minutes(started)} in all")
    return 0


def refusal(config: StackConfig, target: str) -> str:
    """Why the target cannot serve this stack, in one sentence; empty when it can."""
    if config.substrate not in SUBSTRATES:
        return f"config evenkeel:substrate: {config.substrate!r} is not one of: {', '.join(SUBSTRATES)}"
    wanted = SUBSTRATES[config.substrate].target
    if target in {each.target for each in SUBSTRATES.values()} and target != wanted:
        return f"stack {config.stack} runs on {config.substrate}: use `make {wanted} STACK={config.stack}`"
    return ""


def bring_up(config: StackConfig, substrate: Substrate) -> None:
    """Artifact, what machines are made of, what is lost, `pulumi up`, and the closing table."""
    for step in _preparation(config):
        run_step(step)
    substrate.prepare(config)
    _select(config.stack)
    replacements = (argument for urn in substrate.lost(config) for argument in ("--replace", urn))
    run_step(Step("pulumi up", (PULUMI, "up", "--stack", config.stack, *ANSWERS, *replacements)))
    run((EVENKEEL, "--stack", config.stack, "summary"))


def preview(config: StackConfig, _: Substrate) -> None:
    """What `up` would change. The artifact is packed if need be: it is a file, no part of the stack."""
    for step in _preparation(config):
        run_step(step)
    _select(config.stack)
    run_step(Step("pulumi preview", (PULUMI, "preview", "--stack", config.stack)))


def take_down(config: StackConfig, substrate: Substrate) -> None:
    """Destroy by the state, then sweep away whatever the state does not know; a lost state is no hindrance."""
    stack = config.stack
    clear_abandoned_locks(backend_url(ROOT), stack)
    known = quiet((PULUMI, "stack", "select", "--stack", stack)).returncode == 0
    if known:
        substrate.let_go(config)
    destroyed = not known or run((PULUMI, "destroy", "--stack", stack, *ANSWERS)) == 0
    substrate.clear(config)
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


TARGETS: Mapping[str, Callable[[StackConfig, Substrate], None]] = {
    "up": bring_up,
    "vms": bring_up,
    "preview": preview,
    "down": take_down,
}


if __name__ == "__main__":
    sys.exit(main())
