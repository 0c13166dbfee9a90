"""The services that are shown keep the contract: the sample in app/, and the one in docs/application.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from components.artifact import Artifact, read_artifact
from scripts.artifact.pack import ensure_sample, pack_directory
from scripts.artifact.sample import Sample
from tests.unit.artifact.services import run_unpacked

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^`([\w.]+)`:\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REAL = Sample(ROOT / "app", ROOT / ".evenkeel" / "cache")


@pytest.fixture
def greeter(tmp_path: Path) -> Artifact:
    """The documented service, taken from the page and packed."""
    directory = tmp_path / "greeter"
    directory.mkdir()
    for name, text in BLOCK.findall((ROOT / "docs" / "application.md").read_text()):
        (directory / name).write_text(text)
    return pack_directory(directory, tmp_path / "artifacts")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Version 1.0.0 of the sample service, packed with its real packages."""
    path, _ = ensure_sample(REAL, "1.0.0", tmp_path_factory.mktemp("artifacts"))
    return read_artifact(path)


def test_the_documented_service_packs_serves_and_stops_as_promised(greeter: Artifact, tmp_path: Path) -> None:
    with run_unpacked(greeter, tmp_path / "slot") as service:
        service.wait_until_alive()
        status, headers, body = service.ask("/hello/Ada")
        assert (status, headers["X-Version"], body) == (200, "1.0.0", {"greeting": "Hello, Ada"})
        assert service.ask("/version")[2]["version"] == greeter.manifest.version
        assert service.ask("/ready")[0] == 200
        assert service.ask("/nowhere")[0] == 404
        service.process.terminate()
        time.sleep(0.3)
        assert service.ask("/ready")[0] == 503
        status, headers, _ = service.ask("/hello/Ada")
        assert (status, headers["Connection"]) == (200, "close")
        assert service.process.wait(greeter.manifest.limits.stop_seconds) == 0


def test_the_sample_is_alive_but_not_ready_without_its_database_and_stops_as_promised(
    sample: Artifact, tmp_path: Path
) -> None:
    with run_unpacked(sample, tmp_path / "slot") as service:
        service.wait_until_alive()
        status, headers, body = service.ask("/ready")
        assert (status, headers["X-Version"], body["error"]["code"]) == (503, "1.0.0", "not_ready")
        assert service.ask("/version")[2] == {"name": "item-service", "version": "1.0.0", "site": "a", "slot": "blue"}
        assert service.ask("/item")[0] == 503
        assert service.stop(sample.manifest.limits.stop_seconds) == 0


def test_the_sample_refuses_to_start_without_its_settings(sample: Artifact, tmp_path: Path) -> None:
    with run_unpacked(sample, tmp_path / "slot", DATABASE_HOSTS="") as service:
        assert service.process.wait(30) == 1


def test_the_lock_file_names_no_download_addresses() -> None:
    assert '"resolved"' not in (ROOT / "app" / "package-lock.json").read_text()


def test_the_samples_own_tests_pass(sample: Artifact, tmp_path: Path) -> None:
    for name in ("service", "releases", "test", "testing"):
        shutil.copytree(ROOT / "app" / name, tmp_path / name)
    shutil.copyfile(ROOT / "app" / "package.json", tmp_path / "package.json")
    home = next(path for path in (REAL.cache / "node").iterdir() if not path.name.startswith("."))
    (tmp_path / "node_modules").symlink_to(home / "node_modules")
    done = subprocess.run(["node", "--test"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    failed = [line for line in done.stdout.splitlines() if line.startswith("not ok")]
    assert not failed
    assert done.returncode == 0, done.stdout[-2000:]
