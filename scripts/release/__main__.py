"""`python -m scripts.release install`: run by Pulumi, the inputs as JSON on standard input, a JSON result printed."""

import json
import sys

from scripts.release.install import Installation, InstallError, install
from scripts.ssh import SshError


def main(arguments: list[str]) -> None:
    """Do the one thing asked for; end with one sentence where that fails."""
    if arguments != ["install"]:
        sys.exit("scripts.release: use `python -m scripts.release install` with the inputs as JSON on standard input")
    try:
        print(json.dumps(install(Installation.parse(json.load(sys.stdin)))))
    except (InstallError, SshError) as error:
        sys.exit(f"scripts.release install: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
