"""Running a service from an unpacked artifact on this machine, as a slot would, for tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifact import Artifact


@dataclass(frozen=True)
class Running:
    """A running service: its process and its port on loopback."""

    process: subprocess.Popen[bytes]
    port: int

    def ask(self, path: str) -> tuple[int, dict[str, str], Any]:
        """GET a path; return status, headers and the JSON of the answer."""
        try:
            answer = urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())

    def wait_until_alive(self, path: str = "/health", seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                assert self.ask(path)[0] == 200
                return
            except OSError:
                assert self.process.poll() is None, "the service ended"
                assert time.monotonic() < end, "the service does not answer"
                time.sleep(0.1)

    def stop(self, seconds: float) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def run_unpacked(artifact: Artifact, directory: Path, **environment: str) -> Iterator[Running]:
    """Unpack the artifact and run its start command with the contract's environment."""
    with tarfile.open(artifact.path) as tar:
        tar.extractall(directory, filter="data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"PORT": str(port), "SITE": "a", "SLOT": "blue", "VERSION": artifact.manifest.version}
    told |= {"DATABASE_HOSTS": "127.0.0.1", "DATABASE_PORT": "9"}
    with subprocess.Popen(
        artifact.manifest.start, cwd=directory, env=os.environ | told | environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield Running(process, port)
        finally:
            process.kill()
