"""How an experiment can end badly; each message is one sentence, `hint` says what a person can do.

- `SettingsError`  what is asked for cannot be run: nothing was touched
- `DeployError`    the stack is not, or cannot be brought, where an experiment needs it
- `FolderError`    the folder of an experiment cannot be read, or is another's
"""

from __future__ import annotations


class ExperimentError(Exception):
    """The experiment cannot begin, or cannot go on."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class SettingsError(ExperimentError):
    """What is asked for cannot be run."""


class DeployError(ExperimentError):
    """The stack is not where an experiment needs it."""


class FolderError(ExperimentError):
    """The folder cannot be used."""
