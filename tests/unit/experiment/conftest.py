"""What tests of the experiment share."""

import pytest

from scripts.experiment import report


@pytest.fixture
def without_pictures(monkeypatch):
    """Pictures take most of the time, and the tests that ask for this look at text."""
    sections = ("timelines", "errors", "runs", "thesis", "knee", "soak")
    monkeypatch.setattr(report, "draw", lambda *_: {section: [] for section in sections})
