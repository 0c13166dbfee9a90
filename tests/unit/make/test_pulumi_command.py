"""`.venv/bin/pulumi`: the real CLI where there is one, else the engine; state and passphrase unless told otherwise."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "pulumi"
SAYS = '#!/bin/sh\necho "real $* $PULUMI_BACKEND_URL ${PULUMI_CONFIG_PASSPHRASE_FILE:-none}"\n'


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A directory with a `pulumi` that says how it was called."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(SAYS)
    program.chmod(0o755)
    return program.parent


def call(*path: Path, command: Path = SCRIPT, **variables: str) -> str:
    """Run the command with these directories before the system's own on PATH."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "EVENKEEL_"))}
    environment = clean | {"PATH": ":".join([*map(str, path), "/usr/bin", "/bin"])} | variables
    done = subprocess.run([command, "version"], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def test_the_real_cli_is_used_with_the_projects_state_and_passphrase(real: Path) -> None:
    assert call(real) == f"real version file://{ROOT}/.evenkeel/state {ROOT}/.evenkeel/passphrase"


def test_the_link_in_the_virtual_environment_does_not_find_itself(real: Path, tmp_path: Path) -> None:
    link = tmp_path / "venv" / "pulumi"
    link.parent.mkdir()
    link.symlink_to(SCRIPT)
    assert call(link.parent, real, command=link).startswith("real version ")


def test_a_backend_and_a_passphrase_of_the_users_are_left_alone(real: Path) -> None:
    assert call(real, PULUMI_BACKEND_URL="s3://theirs", PULUMI_CONFIG_PASSPHRASE="") == "real version s3://theirs none"


def test_the_engine_can_be_asked_for_though_the_cli_is_there(real: Path, tmp_path: Path) -> None:
    answer = call(real, EVENKEEL_ENGINE="embedded", PULUMI_BACKEND_URL=f"file://{tmp_path}")
    assert not answer.startswith("real")
