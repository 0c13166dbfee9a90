"""What a killed podman leaves: a container that runs, or half runs, and that podman believes it never started."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.containers.errors import ContainerError
from scripts.containers.podman import inspect, reason, run_podman
from scripts.containers.weight import weigh

ATTEMPTS = 4
PAUSE_SECONDS = 1.0


def clear_runtime(container: str) -> None:
    """End and forget, in the runtime below podman, a container that podman takes for not running."""
    present = inspect("container", container)
    if present is None or present["State"]["Running"]:
        return
    runtime = _runtime_of(present)
    if runtime:
        subprocess.run([runtime, "delete", "--force", present["Id"]], capture_output=True, check=False)


def start_container(container: str, name: str) -> None:
    """Start a container, however an earlier start was cut off: its monitor may still be at it for a moment."""
    for attempt in range(ATTEMPTS):
        clear_runtime(container)
        result = run_podman("start", container)
        if result.returncode == 0:
            weigh()
            return
        if attempt < ATTEMPTS - 1:
            time.sleep(PAUSE_SECONDS)
    if "is already allocated" in reason(result):
        raise ContainerError(
            f"Starting host {name} failed, because podman keeps its address for a container that was killed:"
            " run `make down` while no other container runs on this machine, then `make up`."
        )
    raise ContainerError(f"Starting host {name} failed: {reason(result)}.")


def forget_addresses() -> bool:
    """Drop podman's book of addresses when no container has one; whether that was so.

    A podman killed in the middle of a start has booked an address that nothing gives back, not even the removal of
    the network. The book lives until a reboot; without running containers there is nothing in it worth keeping.
    """
    if run_podman("ps", "--quiet").stdout.strip():
        return False
    store = run_podman("info", "--format", "{{.Store.RunRoot}}").stdout.decode().strip()
    book = Path(store).parent / "networks" / "ipam.db"
    book.unlink(missing_ok=True)
    return True


def remove_containers(names: Sequence[str], seconds: int) -> None:
    """Stop within `seconds` and remove; names that do not exist are no error. Named volumes stay."""
    if not names:
        return
    for name in names:
        clear_runtime(name)
    command = ("rm", "--force", "--ignore", "--time", str(seconds), *names)
    result = run_podman(*command)
    if result.returncode != 0:
        time.sleep(PAUSE_SECONDS)
        result = run_podman(*command)
    if result.returncode != 0:
        raise ContainerError(f"Removing {' '.join(names)} failed: {reason(result)}.")


def _runtime_of(present: dict[str, Any]) -> str | None:
    return shutil.which(present.get("OCIRuntime") or "")
