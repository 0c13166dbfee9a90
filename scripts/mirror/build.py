"""The mirror's jar: compiled from mirror/src against the Cassandra that the image's recipe pins.

Kept in the cache under a digest of everything that decides what is in it. Its entries are sorted, uncompressed and
without times, so the same classes make the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from scripts.image.build import CACHE as IMAGE_CACHE
from scripts.image.errors import ImageError
from scripts.image.pieces import PIECES, fetch_piece
from scripts.image.podman_image import image_present
from scripts.image.recipe import RECIPE, ROOT, load_recipe
from scripts.mirror.errors import MirrorError

SOURCES = ROOT / "mirror" / "src"
CACHE = ROOT / ".evenkeel" / "cache" / "mirror"
JAVA = "17"  # the image's
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip file can name
JARS = "/opt/cassandra/lib"


def build() -> Path:
    """Return the jar, compiled if it is not in the cache."""
    done = CACHE / f"evenkeel-mirror-{digest()}.jar"
    if not done.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            classes, packed = Path(folder) / "classes", Path(folder) / "jar"
            compile_to(classes, sorted(SOURCES.rglob("*.java")), cassandra_jars())
            pack(classes, packed)
            packed.replace(done)
    return done


def digest() -> str:
    """Return a digest of the sources, of the pinned Cassandra, and of how they are compiled (this file)."""
    total = hashlib.sha256()
    for path in (*sorted(SOURCES.rglob("*.java")), RECIPE / "pom.xml", Path(__file__)):
        total.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]


def compile_to(classes: Path, sources: list[Path], jars: Path, *more: Path) -> None:
    """Compile sources; `more` are folders of classes that they need beside Cassandra's jars."""
    if not shutil.which("javac"):
        raise MirrorError("javac is missing, which the mirror is compiled with: run `scripts/bootstrap machine`")
    needed = ":".join([f"{jars}/*", *map(str, more)])
    command = ["javac", "-proc:none", "-nowarn", "--release", JAVA, "-cp", needed, "-d", str(classes)]
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        wrong = [line for line in done.stderr.splitlines() if ": error: " in line] or done.stderr.splitlines()[-1:]
        raise MirrorError(f"the mirror does not compile: {wrong[0] if wrong else 'javac failed'}")


def pack(classes: Path, jar: Path) -> None:
    """Pack classes into a jar."""
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.writestr(zipfile.ZipInfo(str(path.relative_to(classes)), EPOCH), path.read_bytes())


def cassandra_jars() -> Path:
    """Return the folder of Cassandra's jars: the image's cache, taken out of the image itself, or fetched as for it."""
    recipe, piece = load_recipe(), next(piece for piece in PIECES if piece.name == "jars")
    if not list(IMAGE_CACHE.glob("jars-*/cassandra-all-*.jar")) and shutil.which("podman"):
        for reference in (recipe.base_reference, recipe.reference):
            if image_present(reference):
                return taken_out(reference, CACHE / f"jars-{recipe.base_digest}")
    IMAGE_CACHE.mkdir(parents=True, exist_ok=True)
    try:
        return fetch_piece(piece, recipe, IMAGE_CACHE, IMAGE_CACHE / "jars.log")
    except ImageError as error:
        raise MirrorError(f"Cassandra's jars, which the mirror is compiled against, cannot be had: {error}") from error


def taken_out(reference: str, target: Path) -> Path:
    """Copy Cassandra's jars out of an image, unless they have been."""
    if target.is_dir():
        return target
    partial = target.with_name(f"{target.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    container = podman("create", reference).strip().splitlines()[-1]
    try:
        podman("cp", f"{container}:{JARS}", str(partial))
    finally:
        podman("rm", container)
    return partial.rename(target)


def podman(*arguments: str) -> str:
    """Run podman and return what it printed."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MirrorError(f"podman {arguments[0]} failed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return done.stdout
