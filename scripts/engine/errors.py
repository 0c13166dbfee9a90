"""The engine's exceptions.

EngineError            a sentence for the user; ends the command with exit code 1
├── UsageError         the command line is wrong
├── LockedError        another update holds the stack
├── PassphraseError    the passphrase is missing or wrong
└── StateError         the stored state cannot be used
ProviderError          a command failed; becomes the diagnostic of its resource
MonitorClosed          the deployment stopped: registrations are answered with "unavailable"
"""

from __future__ import annotations


class EngineError(Exception):
    """A mistake or condition the user can act on, told in one sentence."""

    exit_code = 1


class UsageError(EngineError):
    """The command line cannot be understood."""

    exit_code = 2


class LockedError(EngineError):
    """Another update works on the stack."""


class PassphraseError(EngineError):
    """The passphrase is missing or does not open the secrets."""


class StateError(EngineError):
    """The checkpoint cannot be read or is inconsistent."""


class ProviderError(Exception):
    """An operation of a resource failed; the text is shown as that resource's error."""


class MonitorClosed(Exception):  # noqa: N818 - it is a state, not an error of its own
    """The deployment was cancelled or failed, so no more registrations are served."""
