"""The tools that run on hosts, as modules, and recorded programs for them to call."""

import importlib.util
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parents[3] / "scripts" / "host"


def load_tool(name: str) -> ModuleType:
    """A tool of scripts/host as a module."""
    specification = importlib.util.spec_from_file_location(name.replace("-", "_"), TOOLS / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def program(tmp_path: Path, name: str, prints: str = "", status: int = 0, before: str = "") -> None:
    """A program on the PATH that prints a recorded answer."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / f"{name}.answer").write_text(prints)
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{before}\ncat {tmp_path}/{name}.answer\nexit {status}\n")
    path.chmod(0o755)
