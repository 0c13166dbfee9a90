"""Who is let in: the checks of a signed request in the order that costs the least, and at most one use of each id."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.journal.store import DamagedError, Refused, Store
from scripts.webhook.actions import ACTIONS, read_body
from scripts.webhook.memory import Memory
from scripts.webhook.refusal import RefusedRequestError
from scripts.webhook.signature import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SignatureError,
    Signed,
    check_headers,
    check_signature,
)


@dataclass(frozen=True)
class Guard:
    """Takes requests apart, and has the journal do what the authentic ones ask for."""

    key: bytes
    memory: Memory
    journal: Store
    clock: Callable[[], float] = time.time

    def read_headers(self, headers: Mapping[str, str]) -> Signed:
        """The signature's headers, before any body is read."""
        lower = {name.lower(): value for name, value in headers.items()}
        signed = Signed(*(lower.get(name.lower(), "") for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)))
        try:
            check_headers(signed, self.clock())
        except SignatureError as error:
            raise RefusedRequestError(401, str(error)) from None
        return signed

    def perform(self, path: str, signed: Signed, body: bytes, sender: str) -> dict[str, Any]:
        """Do what an authentic request asks for; its id is used up by then, whatever the journal answers."""
        try:
            check_headers(signed, self.clock())  # again: a slow body may have outlived its timestamp
            check_signature(self.key, signed, body)
        except SignatureError as error:
            raise RefusedRequestError(401, str(error)) from None
        try:
            if not self.memory.accept(signed.id, self.clock()):
                raise RefusedRequestError(409, "a request with this id has been received before")
            document = read_body(body)
            return self._act(path, document, signed, sender)
        except Refused as refusal:
            raise RefusedRequestError(409, str(refusal)) from None
        except (sqlite3.Error, DamagedError) as error:
            raise RefusedRequestError(503, "the journal is busy or broken; try again") from error

    def _act(self, path: str, document: dict[str, Any], signed: Signed, sender: str) -> dict[str, Any]:
        """Call the path's action. Where the database failed nothing was written, so the same request may come again."""
        try:
            return ACTIONS[path](self.journal, document, f"webhook from {sender}", signed.id)
        except DamagedError:
            self.memory.forget(signed.id)
            raise
