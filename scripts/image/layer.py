"""The project's own tools as they lie on a host, in a layer over packages, jars and drivers."""

import shutil
from pathlib import Path

from scripts.image.recipe import host_tool_files

LIBRARY = "usr/local/lib/evenkeel"
COMMANDS = "usr/local/sbin"


def lay_out_tools(layer: Path) -> None:
    """The host tools as they lie in the image."""
    (layer / LIBRARY).mkdir(parents=True, exist_ok=True)
    (layer / COMMANDS).mkdir(parents=True, exist_ok=True)
    for source in host_tool_files():
        target = layer / LIBRARY / source.name
        shutil.copyfile(source, target)
        target.chmod(0o755)
        if "_" not in source.stem:  # a module of the tools, which find it beside themselves
            (layer / COMMANDS / source.stem).symlink_to(f"/{LIBRARY}/{source.name}")
