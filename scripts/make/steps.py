"""Running the steps of a make target: each a program with its own output, timed, and the first failure ends it."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PULUMI = str(ROOT / ".venv" / "bin" / "pulumi")
EVENKEEL = str(ROOT / ".venv" / "bin" / "evenkeel")


class StepFailedError(Exception):
    """A step's program ended with a failure, which it has told by itself."""

    def __init__(self, title: str, status: int) -> None:
        super().__init__(f"{title} failed")
        self.status = status


@dataclass(frozen=True)
class Step:
    """A program to run and what to call it."""

    title: str
    command: tuple[str, ...]


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs one of our own programs."""
    return (sys.executable, "-m", f"scripts.{name}", *arguments)


def run_step(step: Step) -> None:
    """Run a step in the foreground, announced and timed."""
    say(step.title)
    started = time.monotonic()
    status = run(step.command)
    if status != 0:
        raise StepFailedError(step.title, status)
    seconds = time.monotonic() - started
    if seconds >= 1:
        say(f"{step.title}: done in {seconds:.0f} s")


def run(command: Sequence[str]) -> int:
    """Run a program in the foreground; its exit status.

    On Ctrl-C the program got the signal too, and knows how to end: it is waited for, however often the user insists.
    """
    with subprocess.Popen(command, cwd=ROOT) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def quiet(command: tuple[str, ...], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program for its answer."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input=stdin, check=False)


def say(text: str) -> None:
    """One line of progress."""
    print(f"== {text}", flush=True)
