"""The machine that an experiment ran on, for those who compare its figures with others."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """{"cpu", "cores", "memory_mb", "kernel", "os"} of this machine."""
    return {
        "cpu": first(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo")) or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": int(first(r"^MemTotal:\s*(\d+)", read("/proc/meminfo")) or 0) // 1024,
        "kernel": f"{platform.system()} {platform.release()}",
        "os": first(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release")) or "unknown",
    }


class Stolen:
    """Which share of this machine's processors its hypervisor gives to others, from when the object is made.

    The kernel's own account (proc_stat(5), «steal»): time in which something here was ready to run and did not.
    """

    def __init__(self) -> None:
        self._all, self._stolen = processor_times(read("/proc/stat"))

    def share(self) -> float | None:
        """The share since then, 0 to 1; None where the kernel keeps no account, or no time has passed."""
        now, stolen = processor_times(read("/proc/stat"))
        return round((stolen - self._stolen) / (now - self._all), 4) if now > self._all else None


def processor_times(stat: str) -> tuple[int, int]:
    """All of the processors' time and what of it was stolen, in ticks, from the text of /proc/stat."""
    line = first(r"^cpu\s+([\d ]+)$", stat)
    # user nice system idle iowait irq softirq steal; guests' times are in user and nice already.
    ticks = [int(each) for each in line.split()[:8]]
    return sum(ticks), ticks[7] if len(ticks) == 8 else 0


def read(path: str) -> str:
    """A file's text, empty where it cannot be read."""
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def first(pattern: str, text: str) -> str:
    """What the first match of a pattern's group is, empty where there is none."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else ""
