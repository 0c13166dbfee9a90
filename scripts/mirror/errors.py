"""Errors of this package: each message is one sentence for a person."""


class MirrorError(Exception):
    """The jar cannot be built or installed."""
