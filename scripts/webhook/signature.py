"""Signatures of requests and notifications: HMAC-SHA256 over «id.timestamp.body», compared in constant time."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256

ID_HEADER = "X-Evenkeel-Id"
TIMESTAMP_HEADER = "X-Evenkeel-Timestamp"
SIGNATURE_HEADER = "X-Evenkeel-Signature"
WINDOW_SECONDS = 300.0
ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:-]{7,99}")
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURE = re.compile(r"v1=[0-9a-f]{64}")


class SignatureError(Exception):
    """The headers do not show that the sender holds the key; the message is one sentence."""


@dataclass(frozen=True)
class Signed:
    """The three headers of a signed message."""

    id: str
    timestamp: str
    signature: str

    def headers(self) -> dict[str, str]:
        """The headers as HTTP has them."""
        return {ID_HEADER: self.id, TIMESTAMP_HEADER: self.timestamp, SIGNATURE_HEADER: self.signature}


def sign(key: bytes, body: bytes, identity: str = "", now: float | None = None) -> Signed:
    """Sign a body under an id (a new one unless given) and the present time."""
    name = identity or secrets.token_hex(16)
    timestamp = str(int(time.time() if now is None else now))
    return Signed(name, timestamp, digest(key, name, timestamp, body))


def digest(key: bytes, identity: str, timestamp: str, body: bytes) -> str:
    """The signature's text."""
    message = f"{identity}.{timestamp}.".encode() + body
    return f"v1={hmac.new(key, message, sha256).hexdigest()}"


def check_headers(signed: Signed, now: float) -> None:
    """Refuse what is wrong before a body is read: malformed headers, and a time outside the window."""
    for header, value, pattern in (
        (ID_HEADER, signed.id, ID),
        (TIMESTAMP_HEADER, signed.timestamp, TIMESTAMP),
        (SIGNATURE_HEADER, signed.signature, SIGNATURE),
    ):
        if not value:
            raise SignatureError(f"the header {header} is missing")
        if not pattern.fullmatch(value):
            raise SignatureError(f"the header {header} is malformed")
    age = now - int(signed.timestamp)
    if age > WINDOW_SECONDS:
        raise SignatureError(f"the timestamp is older than {WINDOW_SECONDS:g} s")
    if age < -WINDOW_SECONDS:
        raise SignatureError(f"the timestamp is more than {WINDOW_SECONDS:g} s in the future")


def check_signature(key: bytes, signed: Signed, body: bytes) -> None:
    """Refuse a body that was not signed with the key."""
    expected = digest(key, signed.id, signed.timestamp, body)
    if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
        raise SignatureError("the signature does not match")
