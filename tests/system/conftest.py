"""Brings the test stack up before the first system test and takes it down after the last.

EVENKEEL_KEEP=1 leaves it up, so that the next run starts at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.system.running import RunningStack, bring_up, make


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The running stack, all of it serving."""
    try:
        yield bring_up()
    finally:
        if os.environ.get("EVENKEEL_KEEP") != "1":
            make("down")
