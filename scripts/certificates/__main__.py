"""`python -m scripts.certificates authority NAME | host NAME ADDRESS`: print {"private", "certificate"} as JSON.

`host` reads the authority from standard input, as `authority` printed it.
"""

import json
import sys
from dataclasses import asdict

from scripts.certificates.authority import CertificateError, Pair, make_authority, make_host

USAGE = "use `python -m scripts.certificates authority NAME` or `... host NAME ADDRESS < authority.json`"


def read_authority(text: str) -> Pair:
    """Return the authority in `text`, JSON with the keys "private" and "certificate"."""
    try:
        found = json.loads(text)
        return Pair(private=str(found["private"]), certificate=str(found["certificate"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CertificateError("standard input must be JSON with the authority's private and certificate") from error


def main(arguments: list[str]) -> None:
    """Make what the arguments ask for and print it on one line."""
    try:
        match arguments:
            case ["authority", name]:
                pair = make_authority(name)
            case ["host", name, address]:
                pair = make_host(name, address, read_authority(sys.stdin.read()))
            case _:
                raise CertificateError(USAGE)
    except CertificateError as error:
        sys.exit(f"scripts.certificates: {error}")
    print(json.dumps(asdict(pair)))


if __name__ == "__main__":
    main(sys.argv[1:])
