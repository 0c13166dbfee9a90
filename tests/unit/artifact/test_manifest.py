"""A manifest says everything that is needed, and what is wrong with it is said by name in one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifact import ArtifactError
from components.manifest import Limits, parse_manifest

RELEASES = sorted((Path(__file__).parents[3] / "app" / "releases").glob("*/evenkeel.toml"))
LEAST = """
name = "x"
version = "1.0.0"
start = ["run"]
[limits]
memory_mb = 64
start_seconds = 10
stop_seconds = 20
"""
SMOKE = '[[smoke]]\nname = "a"\npath = "/"\nstatus = 200\n'
TABLE = '[[tables]]\nname = "t"\nprimary_key = ["id"]\n'


def changed(key: str, line: str) -> str:
    """Return the smallest manifest with one line in place of the line of `key`."""
    return "\n".join(line if text.startswith(f"{key} ") else text for text in LEAST.splitlines())


def test_the_smallest_manifest_gets_the_usual_paths_and_port() -> None:
    manifest = parse_manifest(LEAST)
    assert manifest.limits == Limits(64, 10, 20)
    assert (manifest.http.port_variable, manifest.http.ready) == ("PORT", "/ready")
    assert manifest.smoke == manifest.tables == ()


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.parent.name)
def test_a_release_of_the_sample_is_in_the_folder_of_its_version(path: Path) -> None:
    manifest = parse_manifest(path.read_text())
    assert manifest.version == path.parent.name
    assert manifest.tables[0].as_dict()["columns"]["id"] == "uuid"


def test_a_smoke_check_may_take_two_seconds_unless_it_says_otherwise() -> None:
    checks = parse_manifest(LEAST + SMOKE + SMOKE.replace('"a"', '"b"') + "max_ms = 300\n").smoke
    assert [check.max_ms for check in checks] == [2000, 300]


def test_what_a_smoke_check_captures_may_be_used_by_later_paths() -> None:
    manifest = parse_manifest(
        LEAST + SMOKE + 'capture = {id = "items.0.id"}\n' + '[[smoke]]\nname = "b"\npath = "/{id}"\nstatus = 200\n'
    )
    assert [check.path for check in manifest.smoke] == ["/", "/{id}"]


@pytest.mark.parametrize("key", ["name", "version", "start", "memory_mb", "start_seconds", "stop_seconds"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(ArtifactError, match=rf"^evenkeel.toml: (limits\.)?{key} is missing; give "):
        parse_manifest(changed(key, ""))


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("name", 'name = "Item Service"'),
        ("name", "name = 5"),
        ("version", 'version = "1.0"'),
        ("version", "version = 1"),
        ("start", 'start = "node server.js"'),
        ("start", "start = []"),
        ("start", 'start = ["node", 5]'),
        ("start", 'start = [""]'),
        ("memory_mb", "memory_mb = 0"),
        ("memory_mb", 'memory_mb = "64"'),
        ("memory_mb", "memory_mb = true"),
        ("stop_seconds", "stop_seconds = 1.5"),
        ("stop_seconds", "stop_seconds = 99999"),
    ],
)
def test_a_bad_value_is_refused_by_its_key(key: str, line: str) -> None:
    with pytest.raises(ArtifactError, match=rf"^evenkeel.toml: (limits\.)?{key} is .*; give ") as caught:
        parse_manifest(changed(key, line))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("addition", "named"),
    [
        ("[htpp]\n", "htpp is not a key"),
        ("[http]\nprot = 5\n", "http.prot is not a key"),
        ('[http]\nready = "ready"\n', "http.ready is 'ready'"),
        ('[http]\nport_variable = "A B"\n', "http.port_variable is 'A B'"),
        ("smoke = 5\n", "limits.smoke is not a key"),
        (SMOKE + "retries = 5\n", r"smoke\[1\].retries is not a key"),
        (SMOKE + 'method = "get"\n', r"smoke\[1\].method is 'get'"),
        (SMOKE.replace("200", "20"), r"smoke\[1\].status is 20"),
        (SMOKE.replace('"/"', '"/{id}"'), r"smoke\[1\].path uses \{id\}"),
        (SMOKE + "capture = {id = 5}\n", r"smoke\[1\].capture has id = 5"),
        (SMOKE + "max_ms = 0\n", r"smoke\[1\].max_ms is 0"),
        (SMOKE + "max_ms = 5001\n", r"smoke\[1\].max_ms is 5001"),
        (SMOKE + SMOKE, r"smoke\[2\].name is 'a', which another check has"),
        (TABLE, r"tables\[1\].columns is missing"),
        (TABLE + "columns = {}\n", r"tables\[1\].columns is empty"),
        (TABLE + 'columns = {id = "uid"}\n', "uid is not a CQL type known here"),
        (TABLE + 'columns = {id = "uuid", n = "counter"}\n', "neither copied nor mirrored"),
        (TABLE + 'columns = {id = "uuid", n = "map<text>"}\n', r"map needs 2 type\(s\)"),
        (TABLE + 'columns = {id = "uuid", n = "set<text"}\n', "it ends too early"),
        (TABLE + 'columns = {id = "uuid", n = "set<text>>"}\n', "it goes on after its end"),
        (TABLE + 'columns = {id = "uuid", n = "set<set<text>>"}\n', "must be frozen"),
        (TABLE + 'columns = {id = "uuid", n = "text; drop"}\n', "it is not a CQL type"),
        (TABLE + 'columns = {id = "uuid", "N n" = "text"}\n', "names the column 'N n'"),
        (TABLE + 'columns = {id = "set<text>"}\n', "cannot be part of a key"),
        (TABLE.replace('"id"', '"key"') + 'columns = {id = "uuid"}\n', "'key', which is not among the columns"),
        (TABLE.replace('["id"]', "[]") + 'columns = {id = "uuid"}\n', "primary_key is empty"),
        (TABLE.replace('"id"', '"id", "id"') + 'columns = {id = "uuid"}\n', "names id twice"),
        ((TABLE + 'columns = {id = "uuid"}\n') * 2, r"tables\[2\].name is 't', which another table has"),
        ("=", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(addition: str, named: str) -> None:
    with pytest.raises(ArtifactError, match=named) as caught:
        parse_manifest(LEAST + addition)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["uuid", "set<text>", "map<text, frozen<list<int>>>", "frozen<set<frozen<set<int>>>>"])
def test_a_type_that_cassandra_knows_is_taken(kind: str) -> None:
    parse_manifest(LEAST + TABLE + f'columns = {{id = "uuid", n = "{kind}"}}\n')


@given(st.text(alphabet="[]{}=\"'\n.,abcdefnmstv 0123456789#", max_size=200))
def test_whatever_is_written_gets_a_manifest_or_one_sentence(text: str) -> None:
    try:
        parse_manifest(LEAST + text)
    except ArtifactError as error:
        assert str(error).startswith("evenkeel.toml")


def test_what_is_no_manifest_is_no_manifest_elsewhere_either() -> None:
    # The host's own tools read the same file with the same parser.
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads("name =")
