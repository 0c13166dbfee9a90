"""The control host's webhook believes only what is signed, fresh, new, small and well-formed."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from dataclasses import dataclass

import pytest

from scripts.webhook.signature import sign
from tests.system.deployer import journal
from tests.system.running import RunningStack

pytestmark = pytest.mark.system

PORT = 8070


@dataclass(frozen=True)
class Webhook:
    """The webhook of the running stack, and the key that signs for it."""

    address: str
    key: bytes

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Return the status and the sentence that a request is answered with."""
        connection = http.client.HTTPConnection(self.address, PORT, timeout=10)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send(self, path: str, document: object, *, key: bytes | None = None, now: float | None = None) -> int:
        """Sign and send a document; return the status."""
        body = json.dumps(document).encode()
        return self.post(path, body, sign(key or self.key, body, now=now).headers())[0]


@pytest.fixture
def webhook(stack: RunningStack) -> Webhook:
    key = stack.on("control", "cat /etc/evenkeel/webhook.key").stdout.strip().encode()
    return Webhook(stack.host("control").address, key)


def test_a_signed_request_is_taken_and_kept_for_the_deployer(stack: RunningStack, webhook: Webhook) -> None:
    assert webhook.send("/release", {"version": "1.0.0"}) == 202
    taken = journal(stack.inventory).take("tester@here")
    assert taken is not None
    assert taken["version"] == "1.0.0"
    journal(stack.inventory).answer(taken["number"], "refused", "only a test")


def test_another_key_is_refused(webhook: Webhook) -> None:
    assert webhook.send("/release", {"version": "1.0.0"}, key=b"some other key, long enough") == 401


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_request_of_another_time_is_refused(webhook: Webhook, seconds: int) -> None:
    assert webhook.send("/release", {"version": "1.0.0"}, now=time.time() + seconds) == 401


def test_the_same_request_a_second_time_is_refused(stack: RunningStack, webhook: Webhook) -> None:
    body = json.dumps({"release": "r0-none", "answer": "confirm"}).encode()
    headers = sign(webhook.key, body, identity=uuid.uuid4().hex).headers()
    first, _ = webhook.post("/gate", body, headers)
    assert first in (202, 409)  # whether or not there is a gate that waits
    status, said = webhook.post("/gate", body, headers)
    assert status == 409
    assert "again" in said or "already" in said or "before" in said, said


def test_a_changed_body_is_refused(webhook: Webhook) -> None:
    headers = sign(webhook.key, b'{"version": "1.0.0"}').headers()
    assert webhook.post("/release", b'{"version": "9.2.0"}', headers)[0] == 401


def test_a_body_that_is_too_large_is_refused(webhook: Webhook) -> None:
    assert webhook.send("/release", {"version": "1" * 70_000}) == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"version": 1}', b'{"version": "1.0.0", "more": true}'])
def test_a_malformed_body_is_refused(webhook: Webhook, body: bytes) -> None:
    status, said = webhook.post("/release", body, sign(webhook.key, body).headers())
    assert status == 400
    assert len(said.strip().splitlines()) == 1
