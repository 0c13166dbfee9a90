"""A command's output while it runs: captured, kept in order for error texts, and passed on line by line."""

from __future__ import annotations

import threading
from collections.abc import Callable

from scripts.engine.values import Value, reveal

LOGGING = {"stdout": (True, False), "stderr": (False, True), "stdoutAndStderr": (True, True), "none": (False, False)}


class Capture:
    """Collects stdout and stderr of one command; thread-safe."""

    def __init__(self, log: Callable[[str], None], logging: Value) -> None:
        self._log = log
        self._shown = LOGGING.get(reveal(logging) or "stdoutAndStderr", (True, True))
        self._lock = threading.Lock()
        self._parts: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._mixed = bytearray()
        self._line = bytearray()

    def write(self, stream: int, data: bytes) -> None:
        """Take output of stream 0 (stdout) or 1 (stderr)."""
        with self._lock:
            self._parts[stream].extend(data)
            self._mixed.extend(data)
            if self._shown[stream]:
                self._line.extend(data)
                *lines, rest = self._line.split(b"\n")
                self._line = bytearray(rest)
                for line in lines:
                    self._log(line.decode(errors="replace").rstrip("\r"))

    def close(self) -> None:
        """Pass on an unfinished last line."""
        with self._lock:
            if self._line:
                self._log(self._line.decode(errors="replace"))
                self._line.clear()

    def text(self, stream: int) -> str:
        """What a stream carried, without one final newline, as the provider stores it."""
        return self._parts[stream].decode(errors="replace").removesuffix("\n")

    def mixed(self) -> str:
        """Both streams in the order they came."""
        return self._mixed.decode(errors="replace")


def quote(text: str) -> str:
    """A string quoted as Go's %q does."""
    escapes = {
        '"': '\\"',
        "\\": "\\\\",
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\v": "\\v",
    }
    quoted = "".join(escapes.get(character) or _printable(character) for character in text)
    return f'"{quoted}"'


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
