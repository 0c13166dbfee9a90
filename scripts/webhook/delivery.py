"""One delivery of one event to one URL: a signed POST that ends in time, whatever the other side does."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from scripts.webhook.signature import Signed

READ_SECONDS = 5.0
DELIVERY_SECONDS = 15.0


class DeliveryError(Exception):
    """The event was not taken; the message says why, without the URL's path."""


def compose(event: Mapping[str, Any]) -> bytes:
    """An event as the receiver gets it."""
    at = datetime.fromtimestamp(float(event["at"]), UTC).isoformat(timespec="milliseconds")
    document = {"number": event["number"], "kind": event["kind"], "at": at, "release": event.get("release")}
    return json.dumps(document | {"text": event.get("text") or "", "data": event.get("data")}).encode()


def deliver(
    url: str, body: bytes, signed: Signed, read_seconds: float = READ_SECONDS, seconds: float = DELIVERY_SECONDS
) -> None:
    """POST the body; anything but a 2xx answer raises DeliveryError. Redirects are not followed."""
    parts = urlsplit(url)
    connection = open_connection(parts.scheme, parts.hostname or "", parts.port, read_seconds)
    headers = {"Content-Type": "application/json", "User-Agent": "evenkeel", "Connection": "close", **signed.headers()}
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Time-outs of single reads do not end an answer that comes byte by byte: this does.
    guard = threading.Timer(seconds, cut, [connection])
    guard.daemon = True
    try:
        connection.connect()
        guard.start()
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except TimeoutError:
        raise DeliveryError("no answer in time") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeliveryError(getattr(error, "strerror", None) or type(error).__name__) from None
    finally:
        guard.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise DeliveryError(f"the answer is {status}")


def open_connection(scheme: str, host: str, port: int | None, timeout: float) -> http.client.HTTPConnection:
    """A connection of the URL's kind, certificates checked."""
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout)


def cut(connection: http.client.HTTPConnection) -> None:
    """End a connection under its reader's hands."""
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
