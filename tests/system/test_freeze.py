"""HAProxy as it runs on the load balancers has writes wait at once, without a reload, and knows when the last is done.

Needs no stack: HAProxy from PATH or, by itself, from this machine's host image; the configuration is the rendered one.
"""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.render import render
from tests.system.checker_ring import IMAGE
from tests.unit.cli.programs import TOOLS

sys.path.insert(0, str(TOOLS))

import evenkeel_deadman
import evenkeel_haproxy
import evenkeel_routing

pytestmark = pytest.mark.system

STATE, SOCKET, LOADER = "/var/lib/haproxy/state", "/run/haproxy/admin.sock", "ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
SERVERS = ("a-blue", "a-green")


class Service(BaseHTTPRequestHandler):
    """An application that takes as long as the path says, in tenths of a second."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(int(self.path.strip("/") or 0) / 10 if self.path != "/ready" else 0)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the library looks for these

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def program() -> Iterator[list[str]]:
    """The command that starts HAProxy."""
    found = shutil.which("haproxy")
    if found:
        yield [found]
        return
    images = listed_images()
    if not images:
        pytest.skip("no haproxy, and no host image to take it from (make up builds it)")
    root = Path(subprocess.run(["podman", "image", "mount", images[0]], capture_output=True, text=True, check=True)
                .stdout.strip())  # fmt: skip
    try:
        libraries = root / LIBRARIES
        yield [str(libraries / LOADER), "--library-path", str(libraries), str(root / "usr/sbin/haproxy")]
    finally:
        subprocess.run(["podman", "image", "unmount", images[0]], capture_output=True, check=False)


def listed_images() -> list[str]:
    """The ids of this machine's host images, the newest first."""
    if shutil.which("podman") is None:
        return []
    command = ["podman", "images", "--quiet", "--filter", f"reference={IMAGE}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


@dataclass
class Balancer:
    """A running HAProxy with the rendered configuration, and evenkeel-traffic's modules on it."""

    port: int

    def ask(self, method: str, seconds: float = 0) -> tuple[int, str | None, bytes]:
        """Send a request that takes so long; return its status, Retry-After and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, f"/{int(seconds * 10)}", b"x" if method not in ("GET", "HEAD") else None)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read()

    def apply(self, **more: Any) -> dict[str, Any]:
        """Give the load balancer an order."""
        return evenkeel_routing.apply({"token": 1, "turn": 1, "release": "r2", "servers": {}, **more})


def free_port() -> int:
    """A port that nobody listens on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as probe:
        return int(probe.server_address[1])


def configuration(folder: Path, port: int, service: int) -> str:
    """The load balancer's configuration, with this test's places and no user of its own."""
    servers = [{"name": name, "slot": name[2:], "address": "127.0.0.1", "port": service} for name in SERVERS]
    limits = SimpleNamespace(
        max_connections=100, request_timeout_ms=9000, check_interval_ms=200, ready_path="/ready", version_header="X-V"
    )
    text = render("haproxy/haproxy.cfg.j2", site="a", limits=limits, slots=("blue", "green"), service_name="x",
                  servers=servers, slowness=1)  # fmt: skip
    text = text.replace(STATE, str(folder)).replace(SOCKET, str(folder / "admin.sock"))
    return text.replace("bind :80", f"bind 127.0.0.1:{port}").replace("    user haproxy\n    group haproxy\n", "")


@pytest.fixture
def service() -> Iterator[int]:
    """The port of a service that runs; HAProxy keeps its servers' ports over a restart."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@contextmanager
def running(program: list[str], folder: Path, service: int) -> Iterator[Balancer]:
    """HAProxy in front of the service until the block ends."""
    port = free_port()
    evenkeel_routing.restore()
    file = folder / "haproxy.cfg"
    file.write_text(configuration(folder, port, service), "utf-8")
    checked = subprocess.run([*program, "-c", "-q", "-f", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen([*program, "-db", "-f", str(file)], stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: evenkeel_haproxy.servers()["a-blue"]["up"])
            evenkeel_routing.restore()
            yield Balancer(port)
        finally:
            process.terminate()


def wait_for(true: Any, seconds: float = 20) -> None:
    """Return once it is true."""
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except evenkeel_haproxy.RefusedError:
            assert time.monotonic() < end
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this load balancer keeps its files."""
    monkeypatch.setattr(evenkeel_haproxy, "FOLDER", str(tmp_path))
    monkeypatch.setattr(evenkeel_haproxy, "SOCKET", str(tmp_path / "admin.sock"))
    monkeypatch.setattr(evenkeel_deadman, "run", lambda: None)
    return tmp_path


def test_writes_wait_and_reads_go_on_until_they_are_let_through(program: list[str], folder: Path, service: int) -> None:
    with running(program, folder, service) as balancer:
        balancer.apply(servers={"a-blue": {"state": "ready"}})
        assert {balancer.ask(method)[0] for method in ("GET", "POST", "PUT", "PATCH", "DELETE")} == {200}
        slow = threading.Thread(target=balancer.ask, args=("POST", 2.0))
        slow.start()
        time.sleep(0.5)
        said = balancer.apply(freeze=7, deadman={"seconds": 30})
        assert said["writes"] == {"frozen": True, "under_way": 1}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            status, retry, body = balancer.ask(method)
            assert (status, retry) == (503, "7") and b'"writes_wait"' in body
        assert balancer.ask("GET")[0] == balancer.ask("HEAD")[0] == 200
        slow.join()
        wait_for(lambda: evenkeel_routing.state()["writes"]["under_way"] == 0)
        balancer.apply(freeze=None)
        assert balancer.ask("POST")[0] == 200


def test_a_restart_in_a_freeze_is_frozen_until_its_timer_ends(program: list[str], folder: Path, service: int) -> None:
    with running(program, folder, service) as balancer:
        balancer.apply(servers={"a-blue": {"state": "ready"}})
        balancer.apply(freeze=7, deadman={"seconds": 0.1})
    with running(program, folder, service) as balancer:
        assert balancer.ask("POST")[:2] == (503, "7")
        wait_for(lambda: evenkeel_routing.expire() and not evenkeel_routing.state()["writes"]["frozen"])
        assert balancer.ask("POST")[0] == 200
