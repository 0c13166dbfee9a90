"""The mirror's jar: what decides its bytes, what is said where it cannot be made, and its own tests in Java."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from components.mirror import sources
from scripts.mirror import build as building
from scripts.mirror.build import compile_to, pack
from scripts.mirror.errors import MirrorError


def test_the_same_classes_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name / "evenkeel"
        folder.mkdir(parents=True)
        for part in ("B", "A") if name == "one" else ("A", "B"):
            (folder / f"{part}.class").write_bytes(part.encode())
        pack(tmp_path / name, tmp_path / f"{name}.jar")
    assert (tmp_path / "one.jar").read_bytes() == (tmp_path / "two.jar").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.jar") as jar:
        assert jar.namelist() == ["evenkeel/A.class", "evenkeel/B.class"]


def test_a_changed_source_is_another_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Mirror.java").write_text("class Mirror {}")
    monkeypatch.setattr(building, "SOURCES", tmp_path)
    before = building.digest()
    (tmp_path / "Mirror.java").write_text("class Mirror { }")
    assert building.digest() != before


def test_without_javac_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MirrorError, match=r"javac is missing.*scripts/bootstrap machine"):
        compile_to(tmp_path, [], tmp_path)


def test_a_preview_needs_neither_javac_nor_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(sources()) == 12
