"""A small service with the API of the sample's items, rows in memory, that can be told to go wrong."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service:
    """`rows` is the table. `faults` maps a method to what becomes of every fifth of its requests:

    "forget": acknowledged and not done; "hang up": done, and the connection closed without an answer; "refuse": 503.
    """

    def __init__(self, faults=None):
        self.rows = {}
        self.faults = faults or {}
        self.harmed = []  # ids on which a fault fell
        self._lock = threading.Lock()
        self._counts = {}
        self._clock = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                service.list(self)

            def do_POST(self):
                service.write(self, "POST")

            do_PATCH = lambda self: service.write(self, "PATCH")  # noqa: E731, N815
            do_DELETE = lambda self: service.write(self, "DELETE")  # noqa: E731, N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.name = f"localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def list(self, request):
        with self._lock:
            items = [{"id": key, **row} for key, row in sorted(self.rows.items())]
        place = int(request.path.partition("page_state=")[2] or "0", 16)
        more = place + 50 < len(items)
        self._answer(request, 200, {"items": items[place : place + 50], "next": f"{place + 50:x}" if more else None})

    def write(self, request, method):
        size = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(size)) if size else {}
        with self._lock:
            self._clock = max(self._clock + 1, time.time_ns() // 1000)
            self._counts[method] = self._counts.get(method, 0) + 1
            fault = self.faults.get(method) if self._counts[method] % 5 == 0 else None
            key = str(uuid.uuid4()) if method == "POST" else request.path.rpartition("/")[2]
            status, row = self._apply(method, key, body, fault)
            if fault:
                self.harmed.append(key)
        if fault == "hang up":
            request.close_connection = True
            request.connection.close()
            return
        headers = {"X-Write-Timestamp": str(self._clock), "X-Version": "1.0.0"}
        self._answer(request, 503 if fault == "refuse" else status, row, headers)

    def _apply(self, method, key, body, fault):
        if method != "POST" and key not in self.rows:
            return (204, None) if method == "DELETE" else (404, {})
        before = self.rows.get(key, {"name": None, "description": None, "quantity": None, "tags": []})
        after = {**before, **body}
        if fault not in ("forget", "refuse"):
            if method == "DELETE":
                del self.rows[key]
            else:
                self.rows[key] = after
        return {"POST": 201, "PATCH": 200, "DELETE": 204}[method], {"id": key, **after}

    def _answer(self, request, status, document, headers=None):
        content = b"" if status == 204 else json.dumps(document).encode()
        request.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            if not (status == 204 and name == "Content-Length"):
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
