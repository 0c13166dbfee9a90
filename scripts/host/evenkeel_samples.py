#!/usr/bin/python3
"""What users got from each server lately, read from HAProxy's access log; for evenkeel-traffic, not a command."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

NEWEST = 2000
USERS = "app"  # the backend; requests that name a version are not users'


def samples(seconds: float) -> dict[str, Any]:
    """Return {"servers": {server: {"requests", "errors", "times_ms"}}} of the last `seconds`."""
    import subprocess  # noqa: PLC0415 - as in evenkeel_deadman

    command = ["journalctl", "-t", "haproxy", "-o", "cat", "--no-pager", "-q", f"--since=@{time.time() - seconds:.3f}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as journal:
        return {"servers": summed(journal.stdout or ())}


def summed(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Add up access-log lines by server.

    An error is an answer of 5xx, or none: the status is then -1, as when a user gave up waiting. Times are `Ta`, in ms,
    of the requests that were answered, the newest last.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        entry = parsed(line)
        if entry is None or entry.get("backend") != USERS or entry["server"] == "<NOSRV>":
            continue
        facts = found.setdefault(entry["server"], {"requests": 0, "errors": 0, "times_ms": deque(maxlen=NEWEST)})
        facts["requests"] += 1
        facts["errors"] += not 0 < entry["status"] < 500
        if entry["status"] > 0:
            facts["times_ms"].append(entry["Ta"])
    return {server: facts | {"times_ms": list(facts["times_ms"])} for server, facts in found.items()}


def parsed(line: str) -> dict[str, Any] | None:
    """Return an access-log line's fields; None for HAProxy's other messages."""
    if not line.startswith("{"):
        return None
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return entry if {"server", "status", "Ta"} <= entry.keys() else None
