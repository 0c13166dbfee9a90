"""An artifact is taken whole and unchanged or not at all, and never reaches outside its directory."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from components import artifact as artifacts
from components.artifact import ArtifactError, read_artifact, sidecar_of

MANIFEST = """
name = "x"
version = "1.0.0"
start = ["./run"]
[limits]
memory_mb = 64
start_seconds = 10
stop_seconds = 20
"""
FILE, LINK, HARD_LINK, PIPE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
Entry = tuple[str, bytes, str]


def sign(path: Path) -> Path:
    """Write the sidecar of `path`."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sidecar_of(path).write_text(f"{digest}  {path.name}\n")
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Make an artifact of (name, type, text or link target) entries beside the usual ones."""

    def make_artifact(*entries: Entry, manifest: str | None = MANIFEST, mode: int = 0o755) -> Path:
        path = tmp_path / "x-1.0.0.tar.gz"
        usual = [("run", FILE, "#!/bin/sh\n"), *([("evenkeel.toml", FILE, manifest)] if manifest else [])]
        with tarfile.open(path, "w:gz") as tar:
            for name, kind, text in [*usual, *entries]:
                member = tarfile.TarInfo(name)
                member.type, member.mode = kind, mode
                content = text.encode() if kind == FILE else b""
                member.size, member.linkname = len(content), "" if kind == FILE else text
                tar.addfile(member, io.BytesIO(content))
        return sign(path)

    return make_artifact


def refused(path: Path) -> str:
    """Return the sentence with which the artifact is refused."""
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert path.name in sentence
    return sentence


def test_a_whole_artifact_gives_its_digest_and_manifest(make: Callable[..., Path]) -> None:
    path = make()
    artifact = read_artifact(path)
    assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert artifact.manifest.start == ("./run",)


def test_the_path_that_goes_into_the_state_is_relative(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make()
    monkeypatch.chdir(path.parent)
    assert read_artifact(path).relative_path == path.name


def test_a_missing_artifact_is_named_with_the_remedy(tmp_path: Path) -> None:
    assert "scripts.artifact pack" in refused(tmp_path / "x-1.0.0.tar.gz")


def test_a_missing_sidecar_is_refused(make: Callable[..., Path]) -> None:
    path = make()
    sidecar_of(path).unlink()
    assert "has no x-1.0.0.tar.gz.sha256 beside it" in refused(path)


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "0" * 64 + "  other.tar.gz\n", "Z" * 64, "0" * 64 + "\n\n"])
def test_a_sidecar_that_is_none_is_refused(make: Callable[..., Path], text: str) -> None:
    path = make()
    sidecar_of(path).write_text(text)
    assert "is not a sha256 of" in refused(path)


def test_a_changed_artifact_is_refused_with_both_digests(make: Callable[..., Path]) -> None:
    path = make()
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b"\0")
    assert expected in refused(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in refused(path)


@pytest.mark.parametrize("keep", [0, 10, 100, -20])
def test_a_torn_artifact_is_refused_even_with_a_fitting_digest(make: Callable[..., Path], keep: int) -> None:
    path = make()
    path.write_bytes(path.read_bytes()[:keep])
    assert "is not a readable .tar.gz" in refused(sign(path))


def test_an_artifact_without_a_manifest_is_refused(make: Callable[..., Path]) -> None:
    assert "has no evenkeel.toml in its root" in refused(make(manifest=None))
    assert "has no evenkeel.toml" in refused(make(("sub/evenkeel.toml", FILE, MANIFEST), manifest=None))


def test_a_bad_manifest_is_refused_with_the_artifacts_name(make: Callable[..., Path]) -> None:
    assert "start is 5" in refused(make(manifest=MANIFEST.replace('["./run"]', "5")))


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a/..", ".."])
def test_an_entry_that_would_land_outside_is_refused(make: Callable[..., Path], name: str) -> None:
    assert "outside its directory" in refused(make((name, FILE, "x")))


@pytest.mark.parametrize(("name", "target"), [("a", "/etc"), ("a", ".."), ("a/b", "../../c"), ("a", "x/../../y")])
def test_a_link_that_points_outside_is_refused(make: Callable[..., Path], name: str, target: str) -> None:
    assert "outside its directory" in refused(make((name, LINK, target)))


def test_a_link_that_leads_outside_only_through_another_is_refused(make: Callable[..., Path]) -> None:
    entries = [("p/q/s", LINK, "../.."), ("p/q/s/l", LINK, "../x")]
    assert "beneath a symbolic link" in refused(make(*entries))


@pytest.mark.parametrize("kind", [HARD_LINK, PIPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_what_is_no_file_directory_or_symbolic_link_is_refused(make: Callable[..., Path], kind: bytes) -> None:
    assert "neither a file, a directory nor a symbolic link" in refused(make(("a", kind, "run")))


def test_a_link_within_the_artifact_is_taken(make: Callable[..., Path]) -> None:
    read_artifact(make(("bin/start", LINK, "../run"), ("deep/dir", tarfile.DIRTYPE, "")))


def test_a_start_program_that_is_missing_or_not_executable_is_refused(make: Callable[..., Path]) -> None:
    assert "which is not in it" in refused(make(manifest=MANIFEST.replace("./run", "./walk")))
    assert "chmod +x" in refused(make(mode=0o644))


def test_an_artifact_that_unpacks_to_too_much_is_refused(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(("big", FILE, "x" * 5000))
    monkeypatch.setattr(artifacts, "MOST_BYTES", 4000)
    assert "it unpacks to more than" in refused(path)
