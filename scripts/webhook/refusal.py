"""The one exception a request can end with: a status of the 400s or 500s and one sentence for the sender."""

from __future__ import annotations


class RefusedRequestError(Exception):
    """The request is not done. `allow` is the method that its path takes, where that was the mistake."""

    def __init__(self, status: int, sentence: str, allow: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.allow = allow
