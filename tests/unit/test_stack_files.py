"""The stack files that are committed are everybody's: nothing of one machine is in them."""

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def committed(*arguments: str) -> str:
    """Return what git says of the last commit."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout: nothing is committed")
    return done.stdout


def test_no_stack_file_is_committed_with_the_salt_of_somebodys_passphrase() -> None:
    names = [name for name in committed("ls-files").splitlines() if name.startswith("Pulumi.") and name.count(".") == 2]
    assert "Pulumi.dev.yaml" in names
    for name in names:
        assert "encryptionsalt" not in yaml.safe_load(committed("show", f"HEAD:{name}")), name
