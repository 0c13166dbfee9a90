"""Smoke checks tell what is wrong with a new instance in a sentence, and leave no litter."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import evenkeel_smoke
import pytest

SEEN: list[str] = []


class Service(BaseHTTPRequestHandler):
    """Items by number, and paths that misbehave."""

    def do_GET(self) -> None:
        SEEN.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length", 0))
        content: Any = {"id": 7, "sent": self.rfile.read(length).decode(), "deep": {"list": [{"id": "x"}]}}
        if self.path == "/slow":
            time.sleep(0.1)
        body = b"plain" if self.path == "/plain" else json.dumps(content).encode()
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    SEEN.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def check(path: str, **more: Any) -> dict[str, Any]:
    return {"name": "it works", "path": path, "status": 200, **more}


def reason(address: str, *checks: dict[str, Any]) -> str:
    return str(evenkeel_smoke.smoke(address, checks)["failed"]["reason"])


def test_checks_pass_in_order_and_later_ones_use_what_earlier_ones_captured(address: str) -> None:
    checks = [
        check("/item", method="POST", body={"a": 1}, json={"sent": '{"a": 1}'}, capture={"id": "id"}),
        check("/item/{id}", contains='"deep"', json={"deep": {"list": [{"id": "x"}]}}, capture={"x": "deep.list.0.id"}),
        check("/item/{x}", method="DELETE"),
    ]
    done = evenkeel_smoke.smoke(address, checks)
    assert (done["passed"], done["failed"]) == (3, None)
    assert all(entry["ms"] > 0 for entry in done["checks"])
    assert SEEN == ["POST /item", "GET /item/7", "DELETE /item/x"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (check("/broken"), "it works: expected status 200, got 500: {"),
        (check("/", contains="absent"), "it works: the answer does not contain 'absent'"),
        (check("/", json={"id": 8}), "it works: id is 7, expected 8"),
        (check("/", json={"deep": {"more": 1}}), "it works: the answer has no deep.more"),
        (check("/", json={"id": {"a": 1}}), "it works: id is 7, expected an object"),
        (check("/", capture={"a": "deep.list.1"}), "it works: the answer has no deep.list.1"),
        (check("/plain", json={"id": 7}), "it works: the answer is not JSON: 'plain'"),
        (check("/slow", max_ms=50), "it works: it took 1"),
    ],
)
def test_a_wrong_answer_is_told_in_a_sentence(address: str, wrong: dict[str, Any], sentence: str) -> None:
    assert reason(address, wrong).startswith(sentence)


def test_an_instance_that_does_not_answer_fails(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert reason("127.0.0.1:1", check("/")).startswith("it works: no answer (")
    monkeypatch.setattr(evenkeel_smoke, "CHECK_SECONDS", 0.03)
    assert reason(address, check("/slow")) == "it works: no answer within 0.03 s"


def test_after_a_failure_what_was_created_is_still_deleted(address: str) -> None:
    checks = [
        check("/item", method="POST", capture={"id": "id"}),
        check("/broken"),
        check("/other"),
        check("/item/{id}", method="DELETE"),
        check("/item/{never}", method="DELETE"),
    ]
    assert evenkeel_smoke.smoke(address, checks)["passed"] == 1
    assert SEEN == ["POST /item", "GET /broken", "DELETE /item/7"]


def test_warming_up_sends_plain_gets_in_turn(address: str) -> None:
    checks = [check("/a"), check("/b", method="POST"), check("/c"), check("/d/{id}"), check("/broken")]
    done = evenkeel_smoke.warm(address, checks, 9)
    assert (done["requests"], done["failed"]) == (9, 3)
    assert done["max_ms"] >= done["p50_ms"] > 0
    assert SEEN == ["GET /a", "GET /c", "GET /broken"] * 3
    assert evenkeel_smoke.warm(address, [], 9)["requests"] == 0


def test_users_have_at_least_half_of_the_time_while_an_instance_is_warmed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(evenkeel_smoke.time, "sleep", pauses.append)
    done = evenkeel_smoke.warm(address, [check("/a")], 5)
    assert len(pauses) == 5
    assert all(0 < pause <= evenkeel_smoke.LONGEST_PAUSE for pause in pauses)
    assert max(pauses) * 1000 == pytest.approx(min(done["max_ms"], 100), abs=0.1)


def test_an_instance_that_is_slow_is_not_warmed_for_long(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evenkeel_smoke, "WARM_SECONDS", 0.2)
    assert 0 < evenkeel_smoke.warm(address, [check("/a")], 1_000_000)["requests"] < 1_000_000


def test_an_instance_on_a_slow_host_has_longer_but_not_than_its_manifest_says(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evenkeel_smoke, "CHECK_SECONDS", 0.03)
    monkeypatch.setattr(evenkeel_smoke, "MAX_MS", 30)
    assert evenkeel_smoke.smoke(address, [check("/slow")], slowness=20)["failed"] is None
    failed = evenkeel_smoke.smoke(address, [check("/slow", max_ms=50)], slowness=20)["failed"]
    assert failed["reason"].endswith("at most 50 ms are allowed")
    monkeypatch.setattr(evenkeel_smoke, "WARM_SECONDS", 0.02)
    assert evenkeel_smoke.warm(address, [check("/slow")], 100)["requests"] == 1
    assert evenkeel_smoke.warm(address, [check("/slow")], 100, slowness=20)["requests"] > 1
