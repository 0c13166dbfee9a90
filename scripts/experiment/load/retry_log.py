"""Find in this load balancer's access log what each request of a load did there; runs on it (standard library only).

    retry_log.py ATTACK SINCE    prints {"seen": {SEQ: TIMES}, "retries": N, "known": BOOL}

`seen` are the requests of the load of this name (X-Vegeta-Attack) by their number (X-Vegeta-Seq); only the client can
make a number come twice. `retries` is how often HAProxy itself tried again. `known` is false where the log has requests
and does not say which load any of them belongs to: a configuration from before it did.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any


def count(lines: Iterable[str], attack: str) -> dict[str, Any]:
    """What the lines of an access log say of one load."""
    seen: Counter[str] = Counter()
    retries, entries, named = 0, 0, 0
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        entries, named = entries + 1, named + ("load" in entry)
        if entry.get("load") == attack:
            seen[entry["seq"]] += 1
            retries += int(str(entry.get("retries", "0")).lstrip("+"))
    return {"seen": dict(seen), "retries": retries, "known": bool(named) or not entries}


def main() -> int:
    """Read the journal since a time, print the counts."""
    command = ["journalctl", "-t", "haproxy", "-o", "cat", "--no-pager", "-q", f"--since=@{float(sys.argv[2]):.3f}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as journal:
        json.dump(count(journal.stdout or (), sys.argv[1]), sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
