"""Say what this host uses: memory by service, and disk; runs on it (standard library only).

Prints {"services": {UNIT: BYTES}, "disk": {PLACE: BYTES}}, "" being the whole host. Memory is what cannot be given back
(anonymous and shared), of all processes of a systemd service. Disk is what lies in the places that releases, databases
and logs write to (a container's own file system does not tell its size apart from the machine's), each byte counted
once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

# The inner ones first: du counts what it has counted already no second time.
PLACES = ("/var/log", "/var/lib/cassandra", "/var", "/opt", "/srv", "/tmp", "/root", "/home")  # noqa: S108 - looked at


def unit_of(cgroups: str) -> str:
    """The service in a process's /proc/PID/cgroup, empty where it is in none."""
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            for part in reversed(path.split("/")):
                if part.endswith(".service"):
                    return part.removesuffix(".service")
    return ""


def kept_bytes(status: str) -> int:
    """What a process uses that cannot be given back, from /proc/PID/status."""
    lines = (line.split() for line in status.splitlines() if line.startswith(("RssAnon:", "RssShmem:")))
    return sum(int(fields[1]) for fields in lines) * 1024


def memory() -> Counter[str]:
    """Bytes by service; "" is the whole host."""
    found: Counter[str] = Counter({"": 0})
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            unit, used = unit_of((process / "cgroup").read_text()), kept_bytes((process / "status").read_text())
        except OSError:
            continue  # it has ended meanwhile
        found[""] += used
        if unit:
            found[unit] += used
    return found


def disk() -> dict[str, int]:
    """Bytes in each place that is written to; what vanishes meanwhile does not count."""
    there = [place for place in PLACES if Path(place).is_dir()]
    done = subprocess.run(
        ["du", "-sxcB1", *there], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    sizes = (line.split("\t") for line in done.stdout.splitlines())
    return {"" if place == "total" else place: int(size) for size, place in sizes}


def main() -> int:
    """Print it."""
    json.dump({"services": dict(memory()), "disk": disk()}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
