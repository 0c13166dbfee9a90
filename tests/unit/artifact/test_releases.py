"""The sample's releases differ in what they are for, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.manifest import parse_manifest
from scripts.artifact.sample import Sample

ROOT = Path(__file__).parents[3]
SAMPLE = Sample(ROOT / "app", ROOT / ".evenkeel" / "cache")
BROKEN = [f"9.{number}.0" for number in range(1, 8)]


def text(version: str) -> str:
    return (SAMPLE.app / "releases" / version / "evenkeel.toml").read_text("utf-8")


def test_the_broken_versions_come_last() -> None:
    assert SAMPLE.versions() == ["1.0.0", "2.0.0", "3.0.0", *BROKEN]


@pytest.mark.parametrize("version", SAMPLE.versions())
def test_all_versions_have_the_same_data_limits_and_paths(version: str) -> None:
    manifest, first = parse_manifest(text(version)), parse_manifest(text("1.0.0"))
    assert (manifest.name, manifest.version) == (first.name, version)
    assert (manifest.tables, manifest.limits, manifest.http) == (first.tables, first.limits, first.http)
    assert [check.name for check in manifest.smoke] == [check.name for check in first.smoke]


@pytest.mark.parametrize("version", SAMPLE.versions())
def test_a_version_says_first_what_is_broken_in_it_if_anything_is(version: str) -> None:
    assert text(version).startswith("# Broken on purpose: ") is (version in BROKEN)


def test_one_version_has_a_wrong_checksum() -> None:
    assert [version for version in SAMPLE.versions() if SAMPLE.is_damaged(version)] == ["9.7.0"]
