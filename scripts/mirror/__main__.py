"""`python -m scripts.mirror build | install`: JSON in and out.

build      prints {"path", "sha256", "jar"}: where the jar lies on this machine, its digest, its content as base64
install    a node's login and the jar on standard input (see install.py)
"""

import base64
import hashlib
import json
import os
import sys

from scripts.mirror.build import build
from scripts.mirror.errors import MirrorError
from scripts.mirror.install import install
from scripts.ssh import SshError


def main(arguments: list[str]) -> None:
    """Do the one thing asked for."""
    try:
        match arguments:
            case ["build"]:
                path = build()
                content = path.read_bytes()
                sha256, jar = hashlib.sha256(content).hexdigest(), base64.b64encode(content).decode()
                print(json.dumps({"path": os.path.relpath(path), "sha256": sha256, "jar": jar}))
            case ["install"]:
                print(json.dumps(install(json.load(sys.stdin))))
            case _:
                sys.exit("scripts.mirror: use `python -m scripts.mirror build` or `... install`, with JSON as input")
    except (MirrorError, SshError) as error:
        sys.exit(f"scripts.mirror: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
