"""The machine that an experiment ran on, for those who compare its figures with others."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Shares:
    """What became of the processors' time, each 0 to 1; None where the kernel keeps no account, or no time has passed.

    `busy` had something of this machine's own to do, `stolen` its hypervisor gave to others.
    """

    busy: float | None
    stolen: float | None


NO_ACCOUNT = Shares(None, None)


class Processors:
    """What becomes of this machine's processors' time, from when the object is made; the kernel's own account.

    Stolen (proc_stat(5), «steal») is time in which something here was ready to run and did not.
    """

    def __init__(self) -> None:
        self._then = processor_times(read("/proc/stat"))

    def shares(self) -> Shares:
        """The shares since then."""
        everything, idle, stolen = (
            now - then for now, then in zip(processor_times(read("/proc/stat")), self._then, strict=True)
        )
        if everything <= 0:
            return NO_ACCOUNT
        return Shares(round(1 - (idle + stolen) / everything, 4), round(stolen / everything, 4))


def processor_times(stat: str) -> tuple[int, int, int]:
    """All of the processors' time, what of it they had nothing to do, and what was stolen, in ticks of /proc/stat."""
    line = first(r"^cpu\s+([\d ]+)$", stat)
    # user nice system idle iowait irq softirq steal; guests' times are in user and nice already.
    ticks = [int(each) for each in line.split()[:8]]
    return sum(ticks), sum(ticks[3:5]), ticks[7] if len(ticks) == 8 else 0


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
