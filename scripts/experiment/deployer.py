"""The stack's config and `pulumi up`, as a person at the deployer would use them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.experiment.errors import DeployError
from scripts.inventory import ROOT, Inventory, Role, pulumi_command
from scripts.make.config import read_config
from scripts.make.locks import backend_url, clear_abandoned_locks
from scripts.release.journal import Journal, whoami

CONFIG_SECONDS = 120.0
LAST_WORDS = 12


@dataclass(frozen=True)
class Deployed:
    """How a `pulumi up` ended: its status, when it ran (seconds since the epoch), and all that it said."""

    status: int
    began: float
    ended: float
    said: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    @property
    def last_words(self) -> str:
        """The end of what it said."""
        return " | ".join(line.strip() for line in self.said.splitlines()[-LAST_WORDS:] if line.strip())


class Deployer:
    """What the deployer's machine can do to one stack."""

    def __init__(self, inventory: Inventory, say: Callable[[str], None]) -> None:
        control = inventory.with_role(Role.CONTROL)
        if not control:
            raise DeployError(f"stack {inventory.stack} has no control host, so no releases", "run `pulumi up`")
        self.stack = inventory.stack
        self.journal = Journal(inventory.login(control[0]))
        self._say = say

    def live(self) -> dict[str, Any]:
        """The version that serves, as the journal has it: {"version", "slot", "sha256", "tables"?}."""
        live = self.journal.read(1)["live"]
        if not live:
            raise DeployError(f"no version serves on stack {self.stack}", "run `make up`")
        found: dict[str, Any] = live
        return found

    def newest(self) -> dict[str, Any]:
        """The newest release in the journal, empty where there is none."""
        found = self.journal.history(1)
        return found[0] if found else {}

    def value(self, key: str) -> str:
        """A value of the stack's config, empty where none is set."""
        done = run_pulumi("config", "get", key, stack=self.stack)
        return done.stdout.strip() if done.returncode == 0 else ""

    def configure(self, **values: str) -> None:
        """Set values of the stack's config; an empty text removes one."""
        configure(self.stack, **values)

    def pack(self, version: str) -> None:
        """Have a version's artifact on disk, where it is our sample's; another service's is its owner's business."""
        if read_config(ROOT, self.stack).sample:
            pack(version)

    def up(self) -> Deployed:
        """Run `pulumi up` to its end.

        Ctrl-C reaches us alone: the release is let come to its end, which takes a minute or two and leaves one version
        everywhere; a second one aborts it, so that it rolls back. Both are raised once it has ended.
        """
        began = time.time()
        with subprocess.Popen(
            [pulumi_command(), "up", "--yes", "--skip-preview", "--non-interactive", "--stack", self.stack],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            interrupted = False
            while True:
                try:
                    said = process.communicate()[0]
                    break
                except KeyboardInterrupt:
                    self._interrupted(again=interrupted)
                    interrupted = True
        if interrupted:
            raise KeyboardInterrupt
        return Deployed(process.returncode, began, time.time(), said)

    def _interrupted(self, *, again: bool) -> None:
        """Say what comes of a Ctrl-C; the second one aborts the release."""
        if not again:
            self._say("the release goes on to its end, then this stops; Ctrl-C again aborts the release")
            return
        self._say("aborting the release; it rolls back")
        try:
            self.journal.signal("abort", whoami(), "the experiment was interrupted")
        except Exception as error:
            self._say(f"it could not be aborted: {error}")

    def clear_locks(self) -> None:
        """Free the stack from an update that was killed."""
        clear_abandoned_locks(backend_url(ROOT), self.stack)


def run_pulumi(*arguments: str, stack: str, timeout: float = CONFIG_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run the project's `pulumi` on a stack, without questions, and return what happened."""
    command = [pulumi_command(), *arguments, "--stack", stack, "--non-interactive"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def configure(stack: str, **values: str) -> None:
    """Set values of a stack's config; an empty text removes one. Raises DeployError with Pulumi's words."""
    for key, value in values.items():
        action = ("set", key, value) if value else ("rm", key)
        done = run_pulumi("config", *action, stack=stack)
        if done.returncode != 0 and value:
            raise DeployError(f"`pulumi config set {key}` failed: {' '.join(done.stderr.split())}")


def pack(version: str) -> None:
    """Have a version of the sample on disk as an artifact. Raises DeployError with the packer's words."""
    command = [sys.executable, "-m", "scripts.artifact", "ensure", version]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(f"version {version} cannot be packed: {' '.join(done.stderr.split())}")


def release_document(
    record: dict[str, Any] | None, deployed: Deployed | None, version: str | None
) -> dict[str, Any] | None:
    """What a run keeps of its release, by the journal's record and by what `pulumi up` did; times in epoch seconds."""
    if deployed is None:
        return None
    record = record or {}
    stages = [stage for stage in record.get("stages") or [] if is_timed(stage)]
    busy = busy_seconds(stages)
    return {
        "id": record.get("id"),
        "version": record.get("version", version),
        "from": (record.get("previous") or {}).get("version"),
        "verdict": record.get("state", "unchanged" if deployed.status == 0 else "failed"),
        "reason": record.get("reason") or ("" if deployed.status == 0 else deployed.last_words),
        "status": deployed.status,
        "started": deployed.began,
        "seconds": round(deployed.seconds, 3),
        "own_seconds": None if busy is None else round(deployed.seconds - busy, 3),
        "stages": [
            {
                "name": stage["stage"],
                "started": stage["began"],
                "ended": stage["began"] + stage["seconds"],
                "state": stage["state"],
            }
            for stage in stages
        ],
    }


def busy_seconds(stages: list[dict[str, Any]]) -> float | None:
    """The time in which at least one stage was at work; stages of several sites may overlap. None: nothing is known."""
    spans = sorted((stage["began"], stage["began"] + stage["seconds"]) for stage in stages if is_timed(stage))
    if not spans:
        return None
    total, end = 0.0, 0.0
    for began, ended in spans:
        total += max(0.0, ended - max(began, end))
        end = max(end, ended)
    return total


def is_timed(stage: dict[str, Any]) -> bool:
    """Whether the journal knows when the stage was at work."""
    return all(isinstance(stage.get(key), int | float) for key in ("began", "seconds"))
