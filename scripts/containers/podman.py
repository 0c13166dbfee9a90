"""The one place that starts podman. Reading (inspect, list) apart from changing (everything else)."""

import json
import os
import shutil
import subprocess
from typing import Any

from scripts.containers.errors import ContainerError

STACK_LABEL = "evenkeel.stack"
HOST_LABEL = "evenkeel.host"
SPEC_LABEL = "evenkeel.spec"


def require_podman() -> None:
    """Refuse to go on without root and podman."""
    if os.geteuid() != 0:
        raise ContainerError("Containers need root on this machine: run the same with sudo.")
    if shutil.which("podman") is None:
        raise ContainerError("podman is missing: run `make up`, which installs it, or install the package podman.")


def run_podman(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run podman and return what came of it, whatever that is.

    In a session of its own and waited for: podman's steps are short, and one that is cut off in the middle leaves
    addresses and runtimes taken that it never gives back. So our end is not its end, by Ctrl-C or by a kill.
    """
    command = ["podman", *arguments]
    pipe = subprocess.PIPE
    source = subprocess.DEVNULL if stdin is None else pipe
    with subprocess.Popen(command, stdin=source, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        try:
            output, errors = process.communicate(stdin)
        except KeyboardInterrupt:
            process.communicate()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def podman(*arguments: str, what: str, stdin: bytes | None = None) -> str:
    """Run podman; a failure becomes one sentence that starts with `what`."""
    result = run_podman(*arguments, stdin=stdin)
    if result.returncode != 0:
        raise ContainerError(f"{what} failed: {reason(result)}.")
    return result.stdout.decode()


def reason(result: subprocess.CompletedProcess[bytes]) -> str:
    """The last line that podman said, without its prefix and full stop."""
    lines = [line for line in result.stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ").rstrip(". ") if lines else f"exit code {result.returncode}"


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """`podman KIND inspect NAME` (container, network, volume); None when there is no such thing."""
    result = run_podman(kind, "inspect", name)
    if result.returncode != 0:
        return None
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found[0] if found else None


def list_containers(stack: str) -> list[dict[str, Any]]:
    """The stack's containers as podman lists them, stopped ones too."""
    return _list("ps", "--all", "--filter", f"label={STACK_LABEL}={stack}", "--format", "json")


def list_networks(stack: str | None = None) -> list[dict[str, Any]]:
    """Podman's networks: the stack's, or all."""
    chosen = ["--filter", f"label={STACK_LABEL}={stack}"] if stack else []
    return _list("network", "ls", *chosen, "--format", "json")


def list_volumes(stack: str) -> list[str]:
    """Names of the stack's volumes."""
    found = _list("volume", "ls", "--filter", f"label={STACK_LABEL}={stack}", "--format", "json")
    return [volume["Name"] for volume in found]


def _list(*arguments: str) -> list[dict[str, Any]]:
    output = podman(*arguments, what=f"podman {arguments[0]}")
    found: list[dict[str, Any]] = json.loads(output or "[]") or []
    return found
