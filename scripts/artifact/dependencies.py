"""The sample service's Node packages, installed by npm exactly as package-lock.json says, once for each lock file."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from components.artifact import ArtifactError
from scripts.artifact.archive import list_files

LOCK_FILES = ("package.json", "package-lock.json", ".npmrc")
INSTALL_SECONDS = 300
# What a running service never reads: type declarations, maps, texts but licences, npm's own notes, tests.
UNUSED_PACKAGES = ("@types", "undici-types")
UNUSED_SUFFIXES = (".d.ts", ".d.mts", ".d.cts", ".map", ".md", ".markdown")
UNUSED_TOP = frozenset({"test", "tests", "example", "examples", "doc", "docs", ".github", ".nycrc", ".eslintrc"})


def install_dependencies(app: Path, cache: Path) -> Path:
    """Return a directory whose `node_modules` has what the service in `app` needs to run.

    Kept in `cache` under the digest of the files that decide it; a finished one is used as it is. Raises
    ArtifactError if npm is missing or fails.
    """
    home = cache / "node" / lock_digest(app)
    if home.is_dir():
        return home
    npm = shutil.which("npm")
    if npm is None:
        raise ArtifactError("npm is missing, which installs the service's packages; install Node.js 18 or later")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".incoming-") as staging:
        for name in LOCK_FILES:
            shutil.copyfile(app / name, Path(staging, name))
        run_npm(npm, Path(staging))
        # Only a finished installation gets the name that later runs look for.
        Path(staging).rename(home)
        Path(staging).mkdir()
    return home


def lock_digest(app: Path) -> str:
    """Return a digest of the files that decide which packages are installed."""
    digest = hashlib.sha256()
    for name in LOCK_FILES:
        digest.update((app / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def run_npm(npm: str, directory: Path) -> None:
    """Install into `directory`; packages' own install scripts are not run."""
    command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ArtifactError(
            f"npm ci did not end in {INSTALL_SECONDS} s; look at the network and run this again"
        ) from None
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.strip()]
        raise ArtifactError(f"npm ci failed: {' '.join(words[:3]) or 'it said nothing'}")


def list_dependencies(home: Path) -> dict[str, Path]:
    """Return the files of `home`/node_modules that a running service needs, by their paths from `home`."""
    files = list_files(home / "node_modules")
    return {f"node_modules/{name}": path for name, path in files.items() if is_needed(PurePosixPath(name))}


def is_needed(path: PurePosixPath) -> bool:
    """Tell whether a running service may read this file of node_modules."""
    parts = path.parts
    # The package's own name may have two parts, @scope/name; packages may be nested.
    inner = parts[len(parts) - parts[::-1].index("node_modules") :] if "node_modules" in parts else parts
    below = inner[2:] if inner[0].startswith("@") else inner[1:]
    is_unused = (
        inner[0] in UNUSED_PACKAGES
        or inner[0].startswith(".")
        or not below
        or below[0] in UNUSED_TOP
        or path.name.lower().endswith(UNUSED_SUFFIXES)
    )
    return not is_unused or path.name.upper().startswith(("LICENSE", "LICENCE"))
