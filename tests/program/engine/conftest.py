"""A small project in a temporary directory, and the engine run over it as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAD = """
import pulumi
from pulumi_command import local
config = pulumi.Config()
def command(name, create, **inputs):
    opts = pulumi.ResourceOptions(**inputs.pop("opts", {}))
    return local.Command(name, create=create, opts=opts, **inputs)
"""


@dataclass
class Project:
    """The project; `run` is one command of the engine."""

    root: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI")}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "PULUMI_BACKEND_URL": f"file://{self.root / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "a phrase",
            "PULUMI_HOME": str(self.root / "home"),
        }

    def program(self, text: str) -> None:
        (self.root / "__main__.py").write_text(HEAD + text)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.engine", *arguments],
            cwd=self.root,
            env={**self.environment, **environment},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a command to its end; its exit code must be `code`; returns all it printed."""
        process = self.start(*arguments, **environment)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == code, printed
        return printed

    def up(self, code: int = 0, **environment: str) -> str:
        return self.run("up", "--yes", "--skip-preview", code=code, **environment)

    @property
    def checkpoint(self) -> Path:
        return self.root / "state/.pulumi/stacks/small/dev.json"

    def latest(self) -> dict[str, Any]:
        latest: dict[str, Any] = json.loads(self.checkpoint.read_text())["checkpoint"]["latest"]
        return latest

    def names(self) -> list[str]:
        return sorted(state["urn"].rsplit("::", 1)[1] for state in self.latest().get("resources", []))

    def log(self) -> list[str]:
        """What the program's commands wrote to the file `log`."""
        path = self.root / "log"
        return path.read_text().split() if path.exists() else []


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project `small` with its stack `dev` selected."""
    (tmp_path / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
    (tmp_path / "state").mkdir()
    made = Project(tmp_path)
    made.run("stack", "init", "dev")
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
