"""What the webhook takes and what it refuses, over real sockets with a real journal."""

import http.client
import json
import socket
import time

import pytest

from scripts.journal.store import Store
from scripts.webhook.signature import sign

from .service import KEY, raw, send, webhook

RELEASE = {"version": "2.0.0"}
BODY = json.dumps(RELEASE).encode()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture
def port(path):
    with webhook(path, read_seconds=0.5, request_seconds=1.0) as port:
        yield port


def requests(path):
    return Store(path).read({})["requests"]


def begin(path):
    store = Store(path)
    holder = {"who": "root@host", "purpose": "release", "version": "2.0.0", "nonce": "n"}
    token = store.acquire({"holder": holder, "lease_seconds": 60})["token"]
    document = {
        "id": "r1-2.0.0-0123456789ab", "number": 1, "version": "2.0.0", "sha256": "0" * 64, "slot": "green",
        "artifact": "artifacts/item-service-2.0.0.tar.gz", "previous": None, "plan": {}, "revert": False,
        "origin": "pulumi", "who": "root@host",
    }  # fmt: skip
    store.begin({"release": document, "token": token})
    return document["id"]


def test_a_signed_request_for_a_release_is_in_the_journal(port, path):
    assert send(port, "/release", RELEASE) == (202, {"request": 1})
    assert [(one["version"], one["who"]) for one in requests(path)] == [("2.0.0", "webhook from 127.0.0.1")]


def test_a_signed_answer_reaches_the_gate_that_waits(port, path):
    release = begin(path)
    answer = {"release": release, "answer": "confirm", "reason": "looks good"}
    status, refusal = send(port, "/gate", answer)
    assert status == 409
    assert "does not wait" in refusal["error"]
    Store(path).waiting({"id": release, "gate": "person"})
    assert send(port, "/gate", answer) == (202, {"release": release})
    signals = Store(path).read({})["current"]["signals"]
    assert [(one["kind"], one["reason"]) for one in signals] == [("confirm", "looks good")]


def test_health_needs_no_signature(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200


@pytest.mark.parametrize(
    ("signed", "reason"),
    [
        # Made when the test runs, not when it is collected: a suite may take longer than the signature's five minutes.
        (lambda: sign(b"another key, long enough", BODY), "does not match"),
        (lambda: sign(KEY, b"{}"), "does not match"),
        (lambda: sign(KEY, BODY, now=time.time() - 320), "older than 300 s"),
        (lambda: sign(KEY, BODY, now=time.time() + 400), "in the future"),
        (lambda: sign(KEY, BODY, identity="short"), "malformed"),
    ],
)
def test_a_wrong_signature_or_time_is_refused(port, path, signed, reason):
    status, document = send(port, "/release", BODY, signed=signed())
    assert status == 401
    assert reason in document["error"]
    assert requests(path) == []


def test_a_request_without_signature_is_refused(port):
    assert raw(port, b"POST /release HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}").startswith("HTTP/1.1 401 ")


def test_a_replay_is_refused_also_after_a_restart(path):
    signed = sign(KEY, BODY)
    with webhook(path) as port:
        assert send(port, "/release", BODY, signed=signed)[0] == 202
        assert send(port, "/release", BODY, signed=signed)[0] == 409
    with webhook(path) as port:
        assert send(port, "/release", BODY, signed=signed)[0] == 409
    assert len(requests(path)) == 1


def test_an_oversized_body_is_refused_and_its_sender_reads_why(port):
    status, document = send(port, "/release", b"x" * 500_000)
    assert status == 413
    assert "65536 bytes" in document["error"]


def test_a_body_of_unknown_length_is_refused(port):
    head = "".join(f"{name}: {value}\r\n" for name, value in sign(KEY, BODY).headers().items())
    chunked = f"POST /release HTTP/1.1\r\nHost: a\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
    assert raw(port, chunked.encode() + b"fffff\r\n" + b"x" * 200_000).startswith("HTTP/1.1 411 ")
    assert raw(port, f"POST /release HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode() + b"x" * 200_000).startswith(
        "HTTP/1.1 411 "
    )


@pytest.mark.parametrize("length", ["-1", "+5", "1_0", "2\r\nContent-Length: 3", "\u0662"])
def test_a_malformed_length_is_refused(port, length):
    head = "".join(f"{name}: {value}\r\n" for name, value in sign(KEY, b"{}").headers().items())
    text = f"POST /release HTTP/1.1\r\nHost: a\r\n{head}Content-Length: {length}\r\n\r\n{{}}"
    assert raw(port, text.encode()).startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("path_", "body", "reason"),
    [
        ("/release", b"{", "not valid JSON"),
        ("/release", b"\xff", "not valid JSON"),
        ("/release", b"[" * 60_000, "not valid JSON"),
        ("/release", b'{"version": NaN}', "not valid JSON"),
        ("/release", b'{"version": "1.0.0", "version": "2.0.0"}', "not valid JSON"),
        ("/release", b"[]", "not a JSON object"),
        ("/release", {}, "«version» is missing"),
        ("/release", {"version": 2}, "not text"),
        ("/release", {"version": "--yes"}, "not a version"),
        ("/release", {"version": "2.0.0", "force": "yes"}, "«force» is unknown"),
        ("/gate", {"release": "r1", "answer": "maybe"}, "neither confirm nor reject"),
        ("/gate", {"release": "r1", "answer": "reject"}, "needs a reason"),
        ("/gate", {"release": "r1", "answer": "confirm", "reason": "a\nb"}, "one line"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(port, path, path_, body, reason):
    status, document = send(port, path_, body)
    assert status == 400
    assert reason in document["error"]
    assert requests(path) == []


def test_wrong_methods_and_paths_are_refused(port):
    assert send(port, "/release", RELEASE, method="PUT")[0] == 405
    assert send(port, "/release", RELEASE, method="DELETE")[0] == 405
    assert send(port, "/elsewhere", RELEASE)[0] == 404
    assert raw(port, b"nonsense\r\n\r\n").startswith("HTTP/1.1 400 ")


def test_a_slow_client_is_cut_off_in_time(port):
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST /release HTTP/1.1\r\n")
        for _ in range(30):  # a byte now and then does not keep the connection
            try:
                client.sendall(b"X")
            except OSError:
                break
            time.sleep(0.1)
    assert time.monotonic() - begun < 4
    assert raw(port, b"POST /release HTTP/1.1\r\n").startswith("HTTP/1.1 408 ")


def test_idle_connections_do_not_shut_out_a_sender_that_speaks(path):
    with webhook(path, threads=4, read_seconds=30, request_seconds=30) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        assert send(port, "/release", RELEASE)[0] == 202
        for client in idle:
            client.close()


def test_the_log_has_a_line_for_each_refusal_and_no_secret(port, capfd):
    signed = sign(b"another key, long enough", BODY)
    send(port, "/release", BODY, signed=signed)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["what"], line["status"], line["id"]) for line in lines] == [("refused", 401, signed.id)]
    assert signed.signature not in str(lines)
    assert KEY.decode() not in str(lines)
