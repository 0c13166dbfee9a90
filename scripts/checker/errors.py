"""Errors of this package: each message is one sentence for a person, saying what is wrong and what to do."""


class CheckerError(Exception):
    """What was logged or read cannot be judged; it says nothing about the tables."""
