"""The sample's releases differ in what they are for, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.manifest import parse_manifest
from components.migration import MigrationError, plan
from scripts.artifact.sample import Sample

ROOT = Path(__file__).parents[3]
SAMPLE = Sample(ROOT / "app", ROOT / ".evenkeel" / "cache")
BROKEN = [f"9.{number}.0" for number in range(1, 9)]
OTHER_DATA = ["4.0.0", "5.0.0", "5.1.0", "9.8.0"]
# Each version with other data, and those it can follow.
FOLLOWS = {
    "4.0.0": ["1.0.0", "2.0.0", "3.0.0", "9.2.0"],
    "5.0.0": ["4.0.0", "5.1.0"],
    "5.1.0": ["5.0.0"],
    "9.8.0": ["1.0.0", "3.0.0"],
}


def text(version: str) -> str:
    return (SAMPLE.app / "releases" / version / "evenkeel.toml").read_text("utf-8")


def test_the_broken_versions_come_last() -> None:
    assert SAMPLE.versions() == ["1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0", "5.1.0", *BROKEN]


@pytest.mark.parametrize("version", SAMPLE.versions())
def test_all_versions_have_the_same_limits_and_paths_and_most_the_same_data(version: str) -> None:
    manifest, first = parse_manifest(text(version)), parse_manifest(text("1.0.0"))
    assert (manifest.name, manifest.version) == (first.name, version)
    assert (manifest.limits, manifest.http) == (first.limits, first.http)
    assert (manifest.tables != first.tables) is bool(manifest.migrations) is (version in OTHER_DATA)
    assert [check.name for check in manifest.smoke] == [check.name for check in first.smoke]


@pytest.mark.parametrize("version", SAMPLE.versions())
def test_a_version_says_first_what_is_broken_in_it_if_anything_is(version: str) -> None:
    assert text(version).startswith("# Broken on purpose: ") is (version in BROKEN)


def test_one_version_has_a_wrong_checksum() -> None:
    assert [version for version in SAMPLE.versions() if SAMPLE.is_damaged(version)] == ["9.7.0"]


@pytest.mark.parametrize(("version", "before"), [(new, old) for new, olds in FOLLOWS.items() for old in olds])
def test_a_version_with_other_data_says_how_it_comes_from_the_one_before(version: str, before: str) -> None:
    manifest, live = parse_manifest(text(version)), parse_manifest(text(before))
    data = plan(live.tables, {}, manifest, release_id=f"r7-{version}", number=7, keyspace="evenkeel")
    assert data is not None
    assert [(table.source, table.target) for table in data.tables] == [("item", "item_r7")]
    assert data.tables[0].is_additive is (version == "5.0.0")


def test_no_version_changes_the_data_again() -> None:
    for version, like in [(version, version) for version in SAMPLE.versions()] + [("4.0.0", "5.1.0")]:
        manifest, live = parse_manifest(text(version)), parse_manifest(text(like))
        assert plan(live.tables, {}, manifest, release_id="r7", number=7, keyspace="evenkeel") is None


@pytest.mark.parametrize(("version", "live"), [("3.0.0", "4.0.0"), ("4.0.0", "5.0.0"), ("5.0.0", "1.0.0")])
def test_a_version_that_comes_from_another_is_refused(version: str, live: str) -> None:
    with pytest.raises(MigrationError, match=r"evenkeel undo|release the version between first"):
        plan(
            parse_manifest(text(live)).tables,
            {},
            parse_manifest(text(version)),
            release_id="r7",
            number=7,
            keyspace="evenkeel",
        )
