"""The root file system: Debian packages by mmdebstrap, then the recipe's files and pieces."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.image.recipe import RECIPE, Recipe
from scripts.image.run import need, run_logged

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Mirror:
    """A Debian archive that this machine's apt already uses: its address and what it carries."""

    address: str
    label: str


def install_packages(recipe: Recipe, root: Path, log: Path) -> None:
    """Fill the empty folder `root` with the recipe's packages, customised. Needs root."""
    need("mmdebstrap", "mmdebstrap")
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    command += [f"--include={','.join(recipe.packages)}"]
    command += [f"--dpkgopt={option}" for option in recipe.dpkg_options]
    command += [f"--aptopt={option}" for option in _apt_settings()]
    sources = sources_lines(recipe.suite, find_mirrors())
    command += trusted_keys(sources)
    # The JRE's installation links its manual pages and fails without their folder.
    command += ["--essential-hook=mkdir -p $1/usr/share/man/man1"]
    command += [f"--customize-hook=copy-in {RECIPE / 'customize'} /tmp"]
    command += ["--customize-hook=chroot $1 /tmp/customize", "--customize-hook=rm $1/tmp/customize"]
    # What this machine's apt needs to reach its archives is nothing of the image's.
    command += ["--customize-hook=rm -f $1/etc/apt/apt.conf.d/99mmdebstrap"]
    run_logged(
        [*_own_namespaces(), *command, recipe.suite, str(root), *sources],
        log,
        "Installing Debian packages with mmdebstrap",
    )


def trusted_keys(sources: list[str], keyring: Path = KEYRING) -> list[str]:
    """mmdebstrap's option for Debian's own archive where apt has no Debian sources, and so need not know its keys."""
    return [] if sources or not keyring.exists() else [f"--keyring={keyring}"]


def add_files(root: Path, pieces: dict[str, Path]) -> None:
    """Add the recipe's own files and the pieces (target folder inside the image -> folder to copy)."""
    shutil.copytree(RECIPE / "files", root, dirs_exist_ok=True)
    for target, source in pieces.items():
        shutil.copytree(source, root / target, dirs_exist_ok=True, symlinks=True)


def compile_python(root: Path, log: Path) -> None:
    """Compile the Python packages with the image's own Python: this machine's may be another."""
    command = ["chroot", str(root), "/usr/bin/python3", "-m", "compileall", "-q", "/opt/evenkeel/python"]
    run_logged(command, log, "Compiling the image's Python packages")


def find_mirrors() -> tuple[Mirror, ...]:
    """Debian's own archives among the sources of this machine's apt; empty on a machine without apt."""
    if shutil.which("apt-get") is None:
        return ()
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Identifier: Packages"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return parse_mirrors(listing)


def parse_mirrors(listing: str) -> tuple[Mirror, ...]:
    """Keep the archives whose Release file says Debian: other vendors' packages stay out of the image."""
    found: dict[Mirror, None] = {}
    for line in listing.splitlines():
        origin, _, rest = line.partition("|")
        label, _, address = rest.partition("|")
        if origin == "Debian" and label in {"Debian", "Debian-Security"}:
            found[Mirror(address.rstrip("/"), label)] = None
    return tuple(found)


def sources_lines(suite: str, mirrors: tuple[Mirror, ...]) -> list[str]:
    """Lines of sources.list for the suite on those mirrors; none leaves mmdebstrap its own defaults."""
    lines = []
    for mirror in mirrors:
        if mirror.label == "Debian-Security":
            lines.append(f"deb {mirror.address} {suite}-security main")
        else:
            lines += [f"deb {mirror.address} {suite} main", f"deb {mirror.address} {suite}-updates main"]
    # Security fixes without the archive they fix would be half a Debian.
    return lines if any(mirror.label == "Debian" for mirror in mirrors) else []


def _apt_settings() -> list[str]:
    """This machine's proxies, certificates and logins for its archives, as apt options for the build only."""
    if shutil.which("apt-config") is None:
        return []
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Retries")
    settings = [line.strip() for line in dump.splitlines() if line.startswith(wanted) and '""' not in line]
    if Path("/etc/apt/auth.conf.d").is_dir():
        settings.append('Dir::Etc::netrcparts "/etc/apt/auth.conf.d"')
    return settings


def _own_namespaces() -> list[str]:
    """Own mounts and processes: whatever way the build ends, its mounts and helpers end with it."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
