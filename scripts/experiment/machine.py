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
