"""Runs the program in a process of its own, as the CLI's Python language host does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from scripts.engine.config import ConfigValue, runtime_config
from scripts.engine.errors import EngineError
from scripts.engine.perform import Surroundings
from scripts.engine.project import Project

TOLD = 32
"""Exit code of a program that failed and has told the user why."""
_LISTEN_SECONDS = 1.0
_GRACE_SECONDS = 5.0


class Program:
    """The running program."""

    def __init__(self, project: Project, around: Surroundings, config: Mapping[str, ConfigValue], address: str) -> None:
        self._around = around
        values, secrets = runtime_config(dict(config))
        self._process = subprocess.Popen(
            [*_command(project), *_arguments(project, around, address), str(_main(project))],
            cwd=project.root,
            env={**os.environ, "PULUMI_CONFIG": values, "PULUMI_CONFIG_SECRET_KEYS": secrets, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._pumps = [
            threading.Thread(target=self._pump, args=(self._process.stdout, "info"), daemon=True),
            threading.Thread(target=self._pump, args=(self._process.stderr, "info"), daemon=True),
        ]

    def wait(self) -> int:
        """Wait for the program to end; returns its exit code."""
        with self._around.children.track(self._process):
            for pump in self._pumps:
                pump.start()
            code = self._ended()
        for pump in self._pumps:
            pump.join(timeout=_GRACE_SECONDS)
        return code

    def _ended(self) -> int:
        """Wait, and wake up now and then: only the main thread hears a Ctrl-C, which any thread may have been sent."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(_LISTEN_SECONDS)

    def end(self) -> None:
        """End the program, at first politely."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        timer = threading.Timer(_GRACE_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()

    def _pump(self, stream: IO[bytes] | None, severity: str) -> None:
        assert stream is not None  # noqa: S101 - both were asked for
        with stream:
            for line in stream:
                self._around.sink.log("", severity, line.decode(errors="replace").rstrip("\r\n"))


def _command(project: Project) -> list[str]:
    python = Path(sys.executable)
    if project.virtualenv:
        python = project.root / project.virtualenv / "bin" / "python"
        if not python.exists():
            raise EngineError(
                f"the virtual environment {project.virtualenv} that {project.file.name} names has no bin/python; "
                "make it and install requirements.txt in it"
            )
    return [str(python), str(Path(__file__).with_name("run_program.py").resolve())]


def _arguments(project: Project, around: Surroundings, address: str) -> list[str]:
    return [
        f"--monitor={address}",
        f"--engine={address}",
        f"--project={around.project}",
        f"--stack={around.stack}",
        f"--parallel={around.parallel}",
        f"--dry_run={'true' if around.dry_run else 'false'}",
        f"--root_directory={project.root}",
    ]


def _main(project: Project) -> Path:
    main = project.root / project.main if project.main else project.root
    if main.is_dir() and not (main / "__main__.py").is_file():
        raise EngineError(f"unable to find main python program `__main__.py` in `{main}`")
    if not main.exists():
        raise EngineError(f"the program {main} that {project.file.name} names does not exist")
    return main
