"""The root file system as a podman image: a base layer with everything Debian, a thin one with our host tools."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.layer import lay_out_tools
from scripts.image.recipe import BASE_REPOSITORY, REPOSITORY, Recipe
from scripts.image.run import need

KEEP_SECONDS = 3 * 24 * 3600


def image_present(reference: str) -> bool:
    """Whether podman has the image; a tag is only given to complete images."""
    need("podman", "podman")
    return subprocess.run(["podman", "image", "exists", reference], check=False).returncode == 0


def import_base(recipe: Recipe, root: Path) -> None:
    """Import the root file system under the base reference."""
    archive = ["tar", "-C", str(root), "--numeric-owner", "--xattrs", "--one-file-system", "-c", "."]
    changes = [argument for setting in recipe.image_settings for argument in ("--change", setting)]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as packing:
        importing = subprocess.run(
            ["podman", "import", "--quiet", *changes, "-", recipe.base_reference],
            stdin=packing.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
    if packing.returncode != 0:
        _untag(recipe.base_reference)
        raise ImageError(
            "Packing the root file system with tar failed: look for space with df, then run the same again."
        )
    if importing.returncode != 0:
        raise ImageError(f"podman import failed: {importing.stderr.strip().splitlines()[-1]}.")


def add_host_tools(recipe: Recipe, folder: Path) -> None:
    """Make the final image: the base and one layer with the host tools, as commands without `.py`."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        context = Path(name)
        lay_out_tools(context / "layer")
        (context / "Containerfile").write_text(f"FROM {recipe.base_reference}\nCOPY layer/ /\n")
        command = ["podman", "build", "--quiet", "--pull=never", "--format=docker", "--tag", recipe.reference, name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ImageError(f"podman build of the host tools failed: {result.stderr.strip().splitlines()[-1]}.")


def remove_superseded(recipe: Recipe) -> None:
    """Drop images of other recipes that are days old and unused; another clone may want younger ones."""
    listing = subprocess.run(["podman", "images", "--format", "json"], capture_output=True, text=True, check=False)
    for image in json.loads(listing.stdout or "[]"):
        age = time.time() - image["Created"]
        for name in image.get("Names") or []:
            ours = name.startswith((f"{REPOSITORY}:", f"{BASE_REPOSITORY}:"))
            if ours and age > KEEP_SECONDS and name not in {recipe.reference, recipe.base_reference}:
                _untag(name)


def _untag(reference: str) -> None:
    subprocess.run(["podman", "rmi", reference], capture_output=True, check=False)
