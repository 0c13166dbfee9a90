"""`python -m scripts.release VERB`: run by Pulumi, the inputs as JSON on standard input, a JSON result printed.

stage NAME    one stage of a release; ends in a verdict and with status 0, whatever happened; only preflight
                  and outcome may fail
identify      which release this update is; reads only
routing       bring one load balancer to the routing that the others have
slots         bring one application server to the versions that are live and warm
mirror        give one database node the mirror's configurations of the tables that live in pairs
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.release.skip import skipped

VERBS = "stage NAME, identify, routing, slots or mirror"


def main(arguments: list[str]) -> None:
    """Do the one thing asked for."""
    match arguments:
        case ["stage", name]:
            sys.exit(run_stage(name, json.load(sys.stdin)))
        case ["identify"]:
            identify = late("identify").identify
            print(json.dumps(identify(json.load(sys.stdin)), sort_keys=True))
        case ["routing" | "slots" | "mirror" as what]:
            restore(what, json.load(sys.stdin))
        case _:
            sys.exit(f"scripts.release: use `python -m scripts.release VERB` with VERB {VERBS}")


def run_stage(name: str, document: Mapping[str, Any]) -> int:
    """Run a stage, print its verdict, return the exit status."""
    verdict = skipped(name, document) or late("run").run(name, document, process_began())
    # Preflight may fail as long as the release has not begun: the next update tries it again, under the same number.
    may_fail = name == "outcome" or (name == "preflight" and not verdict["figures"].get("begun"))
    status = 1 if may_fail and not verdict["ok"] else 0
    if status == 0:
        print(json.dumps(verdict, sort_keys=True), flush=True)
    elif name == "preflight":  # an outcome has said its sentences by itself
        print(f"preflight: {verdict['state']}: {verdict['reason']}", file=sys.stderr)
    sys.stderr.flush()
    # The stage's threads may be stuck in what it waited for; the verdict is out, and they must not hold it back.
    os._exit(status)


def process_began() -> float:
    """Return when this process was started, in seconds since 1970: what a stage costs is more than its own lines.

    Linux tells it in clock ticks since boot (proc(5), /proc/PID/stat, field 22); elsewhere it is now.
    """
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    except OSError:
        return time.time()
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def restore(what: str, document: Mapping[str, Any]) -> None:
    """Bring one host to where the others are."""
    restoring = late("restore")
    try:
        print(json.dumps(restoring.ACTIONS[what](document), sort_keys=True))
    except restoring.FAILURES as error:
        sys.exit(f"scripts.release {what}: {error}")


def late(module: str) -> Any:
    """Load a module of this package only when it is needed."""
    return importlib.import_module(f"scripts.release.{module}")


if __name__ == "__main__":
    main(sys.argv[1:])
