"""`evenkeel follow` and `evenkeel webhook sign`."""

from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from scripts.cli import follow
from scripts.webhook.signature import Signed, check_headers, check_signature

REQUEST = {"number": 3, "version": "2.0.0", "who": "webhook from 10.77.0.9"}


@pytest.fixture
def world(monkeypatch, inventory):
    """A journal with a request, and a `pulumi` whose exit statuses are `statuses`."""
    world = SimpleNamespace(request=dict(REQUEST), statuses=[0, 0], ran=[], answers=[])
    journal = SimpleNamespace(
        take=lambda who: world.request, answer=lambda number, state, reason: world.answers.append((state, reason))
    )
    monkeypatch.setattr(follow, "ask", lambda stack, question: question(journal))
    monkeypatch.setattr(follow, "load", lambda stack=None: inventory)
    monkeypatch.setattr(follow, "pulumi_command", lambda: "pulumi")
    monkeypatch.setattr(follow, "run_to_end", lambda command: (world.ran.append(command), world.statuses.pop(0))[1])
    return world


def invoke(*arguments):
    app = typer.Typer()
    follow.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_a_request_is_performed_and_answered(world):
    assert invoke("follow", "--once").exit_code == 0
    assert world.ran == [
        ["pulumi", "config", "set", "version", "2.0.0", "--stack", "dev"],
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", "dev"],
    ]
    assert world.answers == [("succeeded", "")]


def test_a_release_that_fails_is_answered_so_and_ends_with_1(world):
    world.statuses = [0, 255]
    assert invoke("follow", "--once").exit_code == 1
    assert world.answers == [("failed", "`pulumi up` ended with status 255")]


def test_what_is_no_version_never_becomes_an_argument(world):
    world.request["version"] = "--help"
    assert invoke("follow", "--once").exit_code == 1
    assert world.ran == []
    assert world.answers == [("refused", "that is no version")]


def test_without_a_request_nothing_is_done(world):
    world.request = None
    assert invoke("follow", "--once").exit_code == 0
    assert world.ran == []


def test_sign_prints_headers_that_the_webhook_takes_and_never_the_key(tmp_path):
    key = tmp_path / "key"
    key.write_text("a key that only tests know\n")
    result = invoke("webhook", "sign", '{"version": "2.0.0"}', "--key-file", str(key))
    signed = Signed(*(line.partition(": ")[2] for line in result.output.splitlines()))
    check_headers(signed, float(signed.timestamp))
    check_signature(b"a key that only tests know", signed, b'{"version": "2.0.0"}')
    assert "only tests" not in result.output
