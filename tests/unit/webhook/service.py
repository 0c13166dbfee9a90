"""A webhook on loopback with a real journal, and clients that behave well or badly."""

import http.client
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scripts.journal.store import Store
from scripts.webhook.guard import Guard
from scripts.webhook.memory import Memory
from scripts.webhook.server import Server
from scripts.webhook.signature import sign

KEY = b"a key that only tests know"


@contextmanager
def webhook(path, **limits):
    """A running webhook; yields its port."""
    store = Store(path)
    store.events({})
    server = Server(("127.0.0.1", 0), Guard(KEY, Memory(path), store), **limits)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(port, path, body, method="POST", signed=None, **headers):
    """One request; (status, document)."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = (signed or sign(KEY, body)).headers()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, signature | headers)
    answer = connection.getresponse()
    document = json.loads(answer.read() or b"{}")
    connection.close()
    return answer.status, document


def raw(port, data, timeout=10.0):
    """Send bytes and read until the end; the answer's text."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


class Receiver:
    """A server that is told of events; `statuses` are its first answers, then 200. `gate` holds answers back."""

    def __init__(self, *statuses, open_gate=True):
        self.told = []
        self.attempts = 0
        self.gate = threading.Event()
        if open_gate:
            self.gate.set()
        receiver, pending = self, list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.attempts += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.gate.wait(30)
                status = pending.pop(0) if pending else 200
                if status == 200:
                    receiver.told.append((json.loads(body), dict(self.headers), body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/told?token=secret"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
