"""The webhook's HTTP: strict, one request a connection, bounded in bytes, in time and in threads."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from scripts.webhook.actions import ACTIONS
from scripts.webhook.audit import audit
from scripts.webhook.connection import READ_SECONDS, REQUEST_SECONDS, Connection, close_gently
from scripts.webhook.guard import Guard
from scripts.webhook.refusal import RefusedRequestError

BODY_LIMIT = 64 * 1024
THREADS = 64
HEALTH = "/health"


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts connections, each in a thread of its own, at most `threads` at a time.

    When all are taken, the connection that has been waited for longest is dropped: idle ones cannot shut out a sender
    that speaks.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        guard: Guard,
        threads: int = THREADS,
        read_seconds: float = READ_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.guard = guard
        self.read_seconds = read_seconds
        self.request_seconds = request_seconds
        self._free = threading.Semaphore(threads)
        self._waiting: dict[socket.socket, None] = {}  # sockets still being read, oldest first
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, if need be in the place of the oldest idle one."""
        while not self._free.acquire(timeout=0.05):
            self._drop_oldest()
        with self._lock:
            self._waiting[request] = None
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.read_whole(request)
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.read_whole(request)
            self._free.release()

    def read_whole(self, request: socket.socket) -> None:
        """Say that a connection's request is here, so that it is not dropped any more."""
        with self._lock:
            self._waiting.pop(request, None)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection so that its client gets our answer."""
        close_gently(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the client's business; a mistake of ours is logged by the handler."""

    def _drop_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._waiting), None)
            if oldest is not None:
                del self._waiting[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One request: read within its limits, judged by the guard, answered in JSON, logged in a line."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "evenkeel"
    sys_version = ""

    def setup(self) -> None:
        """Put the time limits between the parser and the socket."""
        self.connection = self.request
        stream = Connection(self.request, self.server.read_seconds, self.server.request_seconds)
        self.rfile = io.BufferedReader(stream)
        self.wfile = stream  # type: ignore[assignment]

    def handle(self) -> None:
        """One request, then the connection ends."""
        try:
            self.handle_one_request()
        except TimeoutError:
            self.give({"error": "the request did not come in time"}, 408)
        except OSError:
            audit("connection broke", sender=self.client_address[0])

    def handle_one_request(self) -> None:
        """Parse the request's head as the standard library does, but let nothing but us answer it."""
        self.close_connection = True
        self.command, self.path, self.request_version = "", "", "HTTP/1.1"
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            return
        if len(self.raw_requestline) > 65536:
            self.send_error(414)
        elif self.parse_request():
            self.answer()

    def finish(self) -> None:
        """Nothing is left to flush."""

    def handle_expect_100(self) -> bool:
        """Ask for a body only when its length is one that is taken."""
        return True if self.body_problem() else super().handle_expect_100()

    def answer(self) -> None:
        """Do the request and say how it ended."""
        try:
            status, document = self.perform()
        except RefusedRequestError as refusal:
            status, document = refusal.status, {"error": refusal.sentence}
            self.give(document, status, {"Allow": refusal.allow} if refusal.allow else {})
        except OSError:
            raise
        except Exception as error:  # a mistake of ours must neither show its insides nor end the service
            audit("mistake", error=repr(error), path=self.path)
            self.give({"error": "the webhook failed on this request; its log says why"}, 500)
        else:
            self.give(document, status)

    def perform(self) -> tuple[int, dict[str, Any]]:
        """Judge by what costs nothing first: path and method, headers, length, and only then the body."""
        allowed = "GET" if self.path == HEALTH else "POST" if self.path in ACTIONS else None
        if allowed is None:
            raise RefusedRequestError(404, "there is nothing here; POST to /release or /gate")
        if self.command != allowed:
            raise RefusedRequestError(405, f"{self.path} takes {allowed} only", allowed)
        if self.path == HEALTH:
            return 200, {"ok": True}
        signed = self.server.guard.read_headers(dict(self.headers.items()))
        if problem := self.body_problem():
            raise problem
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            raise RefusedRequestError(400, "the body ends before its Content-Length")
        self.server.read_whole(self.request)
        return 202, self.server.guard.perform(self.path, signed, body, self.client_address[0])

    def body_problem(self) -> RefusedRequestError | None:
        """What is wrong with the announced length. A body without one is never read."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") is not None or not lengths:
            return RefusedRequestError(411, "the request needs a Content-Length, and no Transfer-Encoding")
        length = lengths[0].strip()
        if len(lengths) > 1 or not (length.isascii() and length.isdigit()):
            return RefusedRequestError(400, "the Content-Length is malformed")
        if len(length) > 9 or int(length) > BODY_LIMIT:
            return RefusedRequestError(413, f"the body is larger than {BODY_LIMIT} bytes")
        return None

    def give(self, document: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> None:
        """Log the outcome, then send it; a client that has gone is no mistake."""
        identity = str(self.headers.get("X-Evenkeel-Id") or "") if hasattr(self, "headers") else ""
        if self.path != HEALTH or status != 200:
            audit(
                "accepted" if status < 400 else "refused",
                status=status,
                method=self.command,
                path=self.path,
                sender=self.client_address[0],
                id=identity or None,
                **document,
            )
        body = json.dumps(document).encode() + b"\n"
        with contextlib.suppress(OSError):
            self.send_response_only(status)
            for name, value in {**(headers or {}), "Content-Type": "application/json", "Connection": "close"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library's parser refuses, in our words' form."""
        self.request_version = "HTTP/1.1"
        self.give({"error": f"the request is no HTTP that is understood here: {message or 'malformed'}"}, code)

    def log_message(self, format: str, *args: Any) -> None:
        """The library's own log is not used: `give` writes one."""
