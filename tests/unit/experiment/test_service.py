"""A user's own service, from a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.experiment.errors import SettingsError
from scripts.experiment.service import read_service

WHOLE = """
name = "greeter"
versions = ["1.0.0", "1.1.0", "1.2.0"]
failing = "9.0.0"

[[requests]]
share = 80
path = "/greeting/{number}"
contains = "hello"

[[requests]]
share = 20
method = "post"
path = "/greeting"
headers = { X-Kind = "test" }
body = { text = "hello {number}" }
status = 201

[[levels]]
name = "usual"
workers = 50
rate = 80
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "service.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_whole_file_is_read(tmp_path: Path) -> None:
    service = read_service(write(tmp_path, WHOLE))
    assert service.versions == ("1.0.0", "1.1.0", "1.2.0")
    assert service.levels == {"usual": (50, 80)}
    assert [request["method"] for request in service.requests] == ["GET", "POST"]
    assert [request["status"] for request in service.requests] == [200, 201]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "greeter"', "", "the file: name must be a text"),
        ('failing = "9.0.0"', "failing = 9", "failing must be a version"),
        ('["1.0.0", "1.1.0", "1.2.0"]', '["1.0.0"]', "two versions or more"),
        ("share = 80", "share = 0", r"\[\[requests\]\] 1: share must be a whole number from 1 to 1000"),
        ("share = 80", "shares = 80", r"\[\[requests\]\] 1 has shares; known are"),
        ('"/greeting/{number}"', '"greeting"', "path must begin with «/»"),
        ('"post"', '"FETCH"', "method must be one of GET"),
        ('body = { text = "hello {number}" }', "body = 7", "body must be a text, or a table or list"),
        ("status = 201", 'status = "ok"', "status must be a whole number"),
        ("text = ", "due = [{ day = 2026-11-24 }], text = ", r"2: body\.due\[1\]\.day is 2026-11-24, which JSON"),
        ("text = ", "at = 08:00:00, text = ", r"body\.at is 08:00:00, which JSON cannot hold"),
        ("text = ", "most = inf, text = ", r"body\.most is inf, which JSON cannot hold"),
        ('name = "usual"', 'name = "Usual load"', "small letters and digits"),
        ('name = "usual"', 'name = "knee40"', "«knee40» is taken by shares of the knee"),
        ("rate = 80", "", "rate must be a whole number from 1"),
        ("[[requests]]", "[[request]]", "the file has request"),
        ("share = 20", "share", "is not TOML"),
        ("status = 201", 'contains = "{number}"', r"2: contains has \{number\} and path has not"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in WHOLE
    with pytest.raises(SettingsError, match=sentence):
        read_service(write(tmp_path, WHOLE.replace(old, new)))


def test_one_request_cannot_have_two_right_answers(tmp_path: Path) -> None:
    again = '\n[[requests]]\npath = "/greeting/{number}"\nstatus = 404\n'
    with pytest.raises(SettingsError, match="expect different answers"):
        read_service(write(tmp_path, WHOLE + again))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read: No such file"):
        read_service(tmp_path / "none.toml")
