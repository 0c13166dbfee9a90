"""Making the image when it is missing. Interruptible at any point: the next run takes up what is complete."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.pieces import PIECES, Piece, fetch_piece
from scripts.image.podman_image import add_host_tools, image_present, import_base, remove_superseded
from scripts.image.progress import Progress
from scripts.image.recipe import ROOT, Recipe, load_recipe
from scripts.image.rootfs import add_files, compile_python, install_packages
from scripts.image.run import need_root

CACHE = ROOT / ".evenkeel" / "cache" / "image"
NEEDED_MB = 4000


def ensure_image() -> str:
    """Build the image unless podman has it; returns its reference."""
    recipe = load_recipe()
    if image_present(recipe.reference):
        return recipe.reference
    need_root("the image")
    CACHE.mkdir(parents=True, exist_ok=True)
    progress = Progress("image")
    with build_lock(progress):
        if not image_present(recipe.base_reference):
            _build_base(recipe, progress)
        if not image_present(recipe.reference):
            with progress.step("adding the host tools"):
                add_host_tools(recipe, CACHE)
        remove_superseded(recipe)
    progress.say(f"{recipe.reference} is ready")
    return recipe.reference


def make_root(recipe: Recipe, root: Path, progress: Progress) -> None:
    """Fill `root` with the complete file system: packages and pieces at the same time, then together."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        packages = pool.submit(_packages, recipe, root, progress)
        pieces = pool.submit(lambda: {piece.target: _piece(piece, recipe, progress) for piece in PIECES})
        packages.result()
        add_files(root, pieces.result())
        compile_python(root, _fresh_log("compile"))


def _build_base(recipe: Recipe, progress: Progress) -> None:
    check_space(CACHE, NEEDED_MB)
    for leftover in CACHE.glob("root-*"):
        shutil.rmtree(leftover)
    root = Path(tempfile.mkdtemp(prefix="root-", dir=CACHE))
    try:
        make_root(recipe, root, progress)
        with progress.step("importing the image into podman"):
            import_base(recipe, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _packages(recipe: Recipe, root: Path, progress: Progress) -> None:
    log = _fresh_log("packages")
    with progress.step("Debian packages", log):
        install_packages(recipe, root, log)


def _piece(piece: Piece, recipe: Recipe, progress: Progress) -> Path:
    log = _fresh_log(piece.name)
    with progress.step(piece.title, log):
        return fetch_piece(piece, recipe, CACHE, log)


def _fresh_log(name: str) -> Path:
    log = CACHE / f"{name}.log"
    log.unlink(missing_ok=True)
    return log


def check_space(folder: Path, needed_mb: int) -> None:
    """Refuse to start with too little disk."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < needed_mb:
        raise ImageError(f"The image needs {needed_mb} MB of disk, {folder} has {free} MB: free some and run again.")


@contextmanager
def build_lock(progress: Progress) -> Iterator[None]:
    """Hold the build's lock; the kernel gives it back whatever way the holder ends."""
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("waiting for another build of the image to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
