"""What is pushed to the control host runs there: nothing of it needs a module that stays with the deployer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.control import PACKAGES, ROOT, SHARED

IMPORT = """
import importlib, pathlib, sys
here = pathlib.Path.cwd()
for path in sorted(here.glob("scripts/PACKAGE/*.py")):
    if path.stem != "__main__":
        importlib.import_module(".".join(path.relative_to(here).with_suffix("").parts))
strange = [name for name, module in sys.modules.items() if name.partition(".")[0] in ("scripts", "components")
           and not str(getattr(module, "__file__", here)).startswith(str(here))]
sys.exit(f"not pushed: {strange}" if strange else 0)
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs as they are on the control host."""
    place = tmp_path_factory.mktemp("programs")
    for name in SHARED:
        (place / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / "scripts" / package, place / "scripts" / package)
    return place


@pytest.mark.parametrize("package", PACKAGES)
def test_a_program_of_the_control_host_needs_only_what_is_pushed_with_it(programs: Path, package: str) -> None:
    command = [sys.executable, "-c", IMPORT.replace("PACKAGE", package)]
    done = subprocess.run(command, cwd=programs, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
