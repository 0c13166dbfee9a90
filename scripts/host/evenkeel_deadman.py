#!/usr/bin/python3
"""The dead-man timer's record, `deadman.json`, and its clock; a module of evenkeel-traffic.

The deadline is counted on the clock that runs on through sleep, and on the wall's after a reboot.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

import evenkeel_haproxy as haproxy
from evenkeel_haproxy import RefusedError

FILE = "deadman.json"
UNIT = "evenkeel-deadman.service"

Record = dict[str, Any]


def pending() -> Record | None:
    """Return the timer that is armed, or has fired; None where there is none."""
    text = haproxy.read(FILE)
    found: Record | None = json.loads(text) if text else None
    return found


def boot() -> str:
    """Return what tells this run of the kernel from others."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def deadline(seconds: float) -> Record:
    """Return a deadline that many seconds from now."""
    until = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    return {"seconds": seconds, "boot": boot(), "until": until, "wall": time.time() + seconds}


def remaining(timer: Record) -> float:
    """Return the seconds until the deadline; negative when it is past."""
    if timer["boot"] == boot():
        return float(timer["until"]) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(min(timer["wall"] - time.time(), timer["seconds"]))


def write(timer: Record) -> None:
    """Put the timer on disk."""
    haproxy.write(FILE, json.dumps(timer))


def disarm() -> None:
    """Take the timer away."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{haproxy.FOLDER}/{FILE}")


def run() -> None:
    """See to it that somebody watches."""
    # Imported here alone: it would be a third of each start of evenkeel-traffic, and that starts often.
    import subprocess  # noqa: PLC0415

    done = subprocess.run(["systemctl", "start", UNIT], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RefusedError(f"the dead-man timer {UNIT} cannot be started: {done.stderr.strip()}")
