"""A stack in memory for the tests of releases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.release.machines import Machines, build


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Four sites on which nothing was ever released."""
    machines = build(tmp_path, monkeypatch)
    yield machines
    machines.end()


@pytest.fixture
def live(machines: Machines) -> dict[str, str]:
    """1.0.0 serves from the blue slots of all sites; what `previous` is then."""
    return machines.serve("1.0.0")
