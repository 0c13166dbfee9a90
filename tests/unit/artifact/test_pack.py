"""Packing the same twice gives the same, and nothing half packed takes an artifact's name."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from components.artifact import ArtifactError, read_artifact
from scripts.artifact import dependencies, pack
from scripts.artifact.dependencies import is_needed
from scripts.artifact.pack import ensure_sample, pack_directory
from scripts.artifact.sample import Sample

ROOT = Path(__file__).parents[3]
MANIFEST = """
name = "item-service"
version = "{version}"
start = ["python3", "run.py"]
[limits]
memory_mb = 64
start_seconds = 10
stop_seconds = 20
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A directory with a small service in it."""
    directory = tmp_path / "service"
    directory.mkdir()
    (directory / "evenkeel.toml").write_text(MANIFEST.format(version="1.0.0"))
    (directory / "run.py").write_text("print()\n")
    return directory


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """A sample service of two releases, whose packages npm need not fetch."""
    app = tmp_path / "app"
    for version in ("1.0.0", "2.0.0"):
        (app / "releases" / version).mkdir(parents=True)
        (app / "releases" / version / "evenkeel.toml").write_text(MANIFEST.format(version=version))
    (app / "releases" / "2.0.0" / "run.py").write_text("print(2)\n")
    (app / "service").mkdir()
    (app / "service" / "run.py").write_text("print(1)\n")
    for name in dependencies.LOCK_FILES:
        (app / name).write_text("{}")
    (tmp_path / "fetched" / "node_modules").mkdir(parents=True)
    monkeypatch.setattr("scripts.artifact.sample.install_dependencies", lambda *_: tmp_path / "fetched")
    return Sample(app, tmp_path / "cache")


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_the_same_files_give_the_same_bytes(service: Path, tmp_path: Path) -> None:
    first = pack_directory(service, tmp_path / "one")
    for file in service.iterdir():
        os.utime(file, (1, 1))
        file.chmod(0o600)
    second = pack_directory(service, tmp_path / "two")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_what_interpreters_and_version_control_leave_is_not_packed(service: Path, tmp_path: Path) -> None:
    for name in (".git/config", "__pycache__/run.pyc"):
        (service / name).parent.mkdir()
        (service / name).write_text("")
    assert names(pack_directory(service, tmp_path).path) == ["evenkeel.toml", "run.py"]


def test_sha256sum_agrees_with_the_sidecar(service: Path, tmp_path: Path) -> None:
    path = pack_directory(service, tmp_path / "out").path
    subprocess.run(["sha256sum", "--check", "--strict", f"{path.name}.sha256"], cwd=path.parent, check=True)


def test_a_directory_that_is_no_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has no evenkeel"):
        pack_directory(tmp_path, tmp_path / "out")
    with pytest.raises(ArtifactError, match="is not a directory"):
        pack_directory(tmp_path / "nowhere", tmp_path / "out")


def test_what_cannot_be_installed_is_not_packed_and_leaves_the_old_artifact(service: Path, tmp_path: Path) -> None:
    kept = pack_directory(service, tmp_path / "out")
    (service / "outside").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactError, match="outside its directory"):
        pack_directory(service, tmp_path / "out")
    assert read_artifact(kept.path).sha256 == kept.sha256
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_release_replaces_shared_files_with_its_own(sample: Sample, tmp_path: Path) -> None:
    first, _ = ensure_sample(sample, "1.0.0", tmp_path / "out")
    second, _ = ensure_sample(sample, "2.0.0", tmp_path / "out")
    texts = []
    for path in (first, second):
        with tarfile.open(path) as tar:
            content = tar.extractfile("run.py")
            assert content
            texts.append(content.read())
    assert texts == [b"print(1)\n", b"print(2)\n"]


def test_ensure_packs_once_and_again_when_a_source_changed(sample: Sample, tmp_path: Path) -> None:
    def ensure() -> bool:
        return ensure_sample(sample, "1.0.0", tmp_path / "out")[1]

    assert ensure()
    assert not ensure()
    (sample.app / "service" / "run.py").write_text("print(3)\n")
    assert ensure()
    (sample.app / "package-lock.json").write_text("{ }")
    assert ensure()
    assert not ensure()


@pytest.mark.parametrize("suffix", ["", ".sha256"])
def test_ensure_packs_again_what_was_damaged_or_lost(sample: Sample, tmp_path: Path, suffix: str) -> None:
    path, _ = ensure_sample(sample, "1.0.0", tmp_path / "out")
    digest = read_artifact(path).sha256
    path.with_name(path.name + suffix).write_text("damaged")
    assert ensure_sample(sample, "1.0.0", tmp_path / "out")[1]
    path.with_name(path.name + suffix).unlink()
    assert ensure_sample(sample, "1.0.0", tmp_path / "out")[1]
    assert read_artifact(path).sha256 == digest


def test_a_release_that_asks_for_damage_gets_an_artifact_that_is_refused(sample: Sample, tmp_path: Path) -> None:
    mark = sample.app / "releases" / "2.0.0" / "broken-checksum"
    mark.write_text("")
    path, packed = ensure_sample(sample, "2.0.0", tmp_path / "out")
    assert packed
    assert "broken-checksum" not in names(path)
    with pytest.raises(ArtifactError, match="has the sha256"):
        read_artifact(path)
    assert not ensure_sample(sample, "2.0.0", tmp_path / "out")[1]
    mark.unlink()
    assert ensure_sample(sample, "2.0.0", tmp_path / "out")[1]
    assert read_artifact(path).manifest.version == "2.0.0"


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"app/releases has no 9\.9\.9; it has 1\.0\.0, 2\.0\.0"):
        ensure_sample(sample, "9.9.9", tmp_path / "out")


def test_an_artifact_brought_from_elsewhere_only_needs_to_be_sound(
    sample: Sample, service: Path, tmp_path: Path
) -> None:
    (service / "evenkeel.toml").write_text(MANIFEST.format(version="9.9.9"))
    path = pack_directory(service, tmp_path / "out").path
    assert ensure_sample(sample, "9.9.9", tmp_path / "out") == (path, False)
    path.write_text("damaged")
    with pytest.raises(ArtifactError, match="sha256"):
        ensure_sample(sample, "9.9.9", tmp_path / "out")


def test_a_release_whose_manifest_says_another_version_is_refused(sample: Sample, tmp_path: Path) -> None:
    (sample.app / "releases" / "1.0.0" / "evenkeel.toml").write_text(MANIFEST.format(version="1.0.1"))
    with pytest.raises(ArtifactError, match=r"app/releases/1\.0\.0/evenkeel\.toml says version 1\.0\.1"):
        ensure_sample(sample, "1.0.0", tmp_path / "out")


def test_a_run_that_dies_while_packing_leaves_nothing_with_an_artifacts_name(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pack, "read_artifact", die)
    with pytest.raises(KeyboardInterrupt):
        ensure_sample(sample, "1.0.0", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("express/index.js", True),
        ("express/LICENSE", True),
        ("express/Readme.md", False),
        ("express/docs/api.js", False),
        ("express/lib/test/x.js", True),
        ("@scope/package/index.js", True),
        ("@scope/package/test/x.js", False),
        ("@types/node/index.d.ts", False),
        ("a/node_modules/b/index.js", True),
        ("a/node_modules/b/test/x.js", False),
        ("a/index.d.ts", False),
        (".bin/tool", False),
        (".package-lock.json", False),
    ],
)
def test_of_the_packages_only_what_may_run_is_packed(path: str, needed: bool) -> None:
    assert is_needed(PurePosixPath(path)) is needed


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the packer's command line."""
    command = [sys.executable, "-m", "scripts.artifact", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [["pack"], ["pack", "9.9.9"], ["ensure", "9.9.9"], ["check", "nowhere.tar.gz"], ["pack", "--from", "x"]],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_1(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("artifact: ")
    assert "Traceback" not in done.stderr


def test_npm_that_fails_says_why(tmp_path: Path, make_npm: Callable[[str], None]) -> None:
    make_npm("echo 'npm error: no network' >&2; exit 1")
    with pytest.raises(ArtifactError, match="npm ci failed: npm error: no network"):
        dependencies.install_dependencies(ROOT / "app", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache" / "node").iterdir() if not path.name.startswith(".")]


def test_without_npm_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ArtifactError, match=r"install Node\.js 18"):
        dependencies.install_dependencies(ROOT / "app", tmp_path / "cache")


@pytest.fixture
def make_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put an npm of our own first on PATH."""

    def make(script: str) -> None:
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return make
