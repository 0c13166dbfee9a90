"""Errors of this package: each message is one sentence for a person, saying what is wrong and what to do."""


class DatabaseError(Exception):
    """The ring cannot be prepared or read."""


class RequestError(DatabaseError):
    """What was asked for makes no sense; nothing was changed."""


class LoginRefusedError(DatabaseError):
    """The ring answers and takes none of the passwords."""


class RingError(DatabaseError):
    """The ring, or a node of it, does not answer or does not agree in time."""
