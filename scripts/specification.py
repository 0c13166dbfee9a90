"""What the Pulumi program asks of a program, read from JSON on standard input."""

import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Specification:
    """Anything read from JSON: unknown and missing keys are refused by name, with the package's own `error`."""

    error: ClassVar[type[Exception]] = ValueError

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the JSON object `text`."""
        try:
            given: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise cls.error(f"The specification on standard input is not JSON: {error}.") from None
        if not isinstance(given, dict):
            raise cls.error("The specification on standard input must be a JSON object.")
        known = {spec.name for spec in fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise cls.error(f"Unknown key {unknown[0]!r} in the specification; known are {sorted(known)}.")
        try:
            return cls(**given)
        except TypeError as error:
            # Python's own words name the missing key: "... missing 1 required positional argument: 'stack'".
            raise cls.error(f"The specification is incomplete: {str(error).partition(' ')[2]}.") from None
