"""Host tools import their modules from beside themselves."""

from __future__ import annotations

import sys

from tests.unit.cli.programs import TOOLS

sys.path.insert(0, str(TOOLS))
