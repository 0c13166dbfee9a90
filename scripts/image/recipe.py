"""What the image is made of, and the name that follows from it. Reads files of this repository, nothing else."""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "scripts" / "image" / "recipe"
DISK = ROOT / "scripts" / "image" / "disk"
HOST_TOOLS = ROOT / "scripts" / "host"

REPOSITORY = "localhost/evenkeel-host"
BASE_REPOSITORY = "localhost/evenkeel-base"
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Recipe:
    """The pins and lists of `recipe/`, and the references of the images they make."""

    suite: str
    python: str
    go_toolchain: str
    packages: tuple[str, ...]
    dpkg_options: tuple[str, ...]
    image_settings: tuple[str, ...]
    base_digest: str
    digest: str

    @property
    def base_reference(self) -> str:
        """The image of packages, jars and drivers, without the project's own host tools."""
        return f"{BASE_REPOSITORY}:{self.base_digest}"

    @property
    def reference(self) -> str:
        """The image that hosts are made of."""
        return f"{REPOSITORY}:{self.digest}"


def load_recipe(recipe: Path = RECIPE, host_tools: Path = HOST_TOOLS) -> Recipe:
    """Read the recipe. The digests change with any byte, mode or name of what goes into the image."""
    pins = tomllib.loads((recipe / "pins.toml").read_text())
    base = _digest(_inputs(recipe, "recipe"))
    tools = _digest(((f"host/{path.name}", path) for path in host_tool_files(host_tools)), extra=base)
    return Recipe(
        suite=pins["suite"],
        python=pins["python"],
        go_toolchain=pins["go_toolchain"],
        packages=read_list(recipe / "packages.txt"),
        dpkg_options=tuple(pins["dpkg_options"]),
        image_settings=tuple(pins["image_settings"]),
        base_digest=base[:DIGEST_LENGTH],
        digest=tools[:DIGEST_LENGTH],
    )


def read_list(path: Path) -> tuple[str, ...]:
    """The lines of a list file, without comments and blank lines."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return tuple(line for line in lines if line)


def host_tool_files(host_tools: Path = HOST_TOOLS) -> tuple[Path, ...]:
    """The programs that run on hosts: every `*.py` of scripts/host but the package's own `__init__.py`."""
    if not host_tools.is_dir():
        return ()
    return tuple(path for path in sorted(host_tools.glob("*.py")) if path.name != "__init__.py")


def digest_of_folder(folder: Path, prefix: str, extra: str) -> str:
    """A digest of every file in a folder, and of `extra`."""
    return _digest(_inputs(folder, prefix), extra=extra)


def _inputs(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{prefix}/{path.relative_to(folder)}", path


def _digest(*groups: Iterator[tuple[str, Path]], extra: str = "") -> str:
    total = hashlib.sha256(extra.encode())
    for group in groups:
        for name, path in group:
            executable = "x" if path.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name} {executable} {content}\n".encode())
    return total.hexdigest()
