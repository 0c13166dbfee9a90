"""The running stack as the tests see it: commands on its hosts, machines stopped and started, load from the runner."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.inventory import Host, Inventory, Role, load
from scripts.ssh import Result, Session, SshError, run

ROOT = Path(__file__).parents[2]
STACK = os.environ.get("EVENKEEL_TEST_STACK", "test")
UP_SECONDS = 900


def make(target: str, stack: str = STACK, timeout: float = UP_SECONDS) -> str:
    """Run `make TARGET STACK=…` and return what it printed; the end of it is the failure's reason."""
    done = subprocess.run(
        ["make", target, f"STACK={stack}"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"make {target} STACK={stack} failed:\n{done.stdout[-4000:]}"
    return done.stdout


def pulumi(*arguments: str, stack: str = STACK, timeout: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run the project's `pulumi` on the stack, without questions, and return what happened."""
    command = [str(ROOT / ".venv/bin/pulumi"), *arguments, "--stack", stack, "--non-interactive"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Poll until the condition holds; fail with `what` if it does not in time. A host that cannot be asked is a no."""
    end = time.monotonic() + seconds

    def holds() -> bool:
        try:
            return condition()
        except SshError:
            return False

    while not holds():
        assert time.monotonic() < end, f"after {seconds:g} s still not: {what}"
        time.sleep(0.5)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as the runner saw it: status, headers in lower case, and the body, parsed where it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Report:
    """What a load of requests came to: how many, by status ("0": no answer), and vegeta's own words on failures."""

    requests: int
    statuses: dict[str, int]
    errors: list[str]

    @property
    def failed(self) -> int:
        """Requests that did not end with 200."""
        return self.requests - self.statuses.get("200", 0)


class RunningStack:
    """A stack that serves."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory

    def host(self, name: str) -> Host:
        """Return the host of that name."""
        return self.inventory.host(name)

    def of(self, role: Role) -> list[Host]:
        """Return the hosts of a role, in the sites' order."""
        return list(self.inventory.with_role(role))

    def on(self, name: str, command: str | list[str], *, check: bool = True, timeout: float = 60) -> Result:
        """Run a command on a host over SSH."""
        return run(self.inventory.login(self.host(name)), command, check=check, timeout=timeout, connect_timeout=20)

    def ask(self, method: str, path: str, through: str, body: object = None) -> Answer:
        """Send a request by the service's name from the runner through one load balancer's address."""
        command = ["curl", "-sS", "-m", "15", "-i", "-X", method]
        command += ["--resolve", f"{self.inventory.service}:80:{through}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        return parse_answer(self.on("runner", [*command, f"http://{self.inventory.service}{path}"]).stdout)

    def stop(self, name: str) -> None:
        """Stop a host's machine as a power cut would: at once."""
        subprocess.run(["podman", "kill", container_of(self.host(name))], check=True, capture_output=True)

    def start(self, name: str) -> None:
        """Start a host's machine again."""
        subprocess.run(
            [".venv/bin/python", "-m", "scripts.containers", "start", "--stack", self.inventory.stack, name],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Have a host's machine stopped for a while."""
        self.stop(name)
        try:
            yield
        finally:
            self.start(name)

    @contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """Have a database node reach none of the others, nor they it, for a while; its clients still reach it."""
        others = [host.address for host in self.of(Role.DATABASE) if host.name != name]
        for address in others:
            self.on(name, ["ip", "route", "add", "blackhole", address])
        try:
            yield
        finally:
            for address in others:
                self.on(name, ["ip", "route", "del", "blackhole", address])

    @contextmanager
    def load(self, rate: int, seconds: int, target: str | None = None) -> Iterator[list[Report]]:
        """Produce load from the runner while the block runs; its report is in the list when the block is left.

        `rate` is requests a second, each on a connection of its own; `seconds` bounds it, whatever the block does.
        """
        url = target or f"http://{self.inventory.service}/item?limit=5"
        attack = f"vegeta attack -rate={rate} -duration={seconds}s -timeout=10s -keepalive=false -max-workers=50"
        line = f"printf 'GET {url}\\n' | {attack} -dns-ttl=-1 | vegeta report -type=json"
        reports: list[Report] = []
        with Session(self.inventory.login(self.host("runner"))) as session:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(1) as pool:
                attacking = pool.submit(session.run, line, timeout=seconds + 60)
                yield reports
                found = json.loads(attacking.result().stdout)
        reports.append(Report(found["requests"], found["status_codes"], found.get("errors") or []))


def container_of(host: Host) -> str:
    """What podman calls a host's machine."""
    return f"evenkeel-{STACK}-{host.name}"


def parse_answer(text: str) -> Answer:
    """Return curl's `-i` output as an Answer."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    status, *lines = head.split("\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    is_json = "json" in headers.get("content-type", "")
    return Answer(int(status.split()[1]), headers, json.loads(body) if is_json and body else body)


def bring_up() -> RunningStack:
    """Bring the stack up and return it."""
    make("up")
    return RunningStack(load(STACK, refresh=True))
