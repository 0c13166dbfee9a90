"""A load's place on this machine, and a service on loopback that stalls and that closes kept connections."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.ssh import Result

ROOT = Path(__file__).parents[2]


def find_vegeta() -> Path:
    """The vegeta that the image has; a test that needs it is skipped, by name, where no image was built here yet."""
    built = sorted(ROOT.glob(".evenkeel/cache/image/vegeta-*/vegeta"), key=lambda path: path.stat().st_mtime)
    on_path = shutil.which("vegeta")
    if not built and not on_path:
        pytest.skip("vegeta is built with the machine image, and there is none here yet")
    return built[-1] if built else Path(str(on_path))


class LocalPlace:
    """A folder on this machine, as load.place.HostPlace is one on a host."""

    def __init__(self, folder: Path, vegeta: Path) -> None:
        self.folder = folder
        self._path = f"{vegeta.parent}:/usr/local/bin:/usr/bin:/bin"

    def put(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, "utf-8")

    def run(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        done = subprocess.run(
            ["sh", "-c", line], input=stdin, cwd=self.folder, timeout=timeout, env={"PATH": self._path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return Result(done.stdout, done.stderr, done.returncode)

    def read(self, name: str, timeout: float = 60) -> bytes:
        return (self.folder / name).read_bytes()

    def leave(self) -> None:
        pass  # pytest's own folder


class StallingService:
    """Answers at once, but every `period` seconds nobody for `stall` seconds; logs each request as HAProxy would.

    With `closing` it closes every so many-th connection instead of answering, which a client with kept connections
    takes for one that timed out, and sends the request again.
    """

    def __init__(self, stall: float = 0.0, period: float = 20.0, closing: int = 0) -> None:
        service, self.began = self, time.monotonic()
        self.stall, self.period, self.closing = stall, period, closing
        self.log: list[str] = []
        self.served = 0
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self.server = Server(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Note the request, wait while stalled, answer."""
        with self._lock:
            self.served += 1
            number = self.served
            entry = {"load": handler.headers["X-Vegeta-Attack"], "seq": handler.headers["X-Vegeta-Seq"], "retries": "0"}
            self.log.append(json.dumps(entry))
        if self.closing and number % self.closing == 0:
            handler.close_connection = True
            return
        into = (time.monotonic() - self.began) % self.period
        if self.stall and into > self.period - self.stall:
            time.sleep(self.period - into)
        handler.send_response(200)
        handler.send_header("X-Version", "1.0.0")
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(b"hello")

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()
