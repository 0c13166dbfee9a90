#!/usr/bin/python3
"""Print the database's ring as this node sees it, as JSON: {"nodes": [{"state", "address", "rack"}], "age": seconds}.

nodetool starts a JVM, a second or more of this machine's processor. So a reading is kept for a few seconds; when it is
older, a detached process makes a new one (one at a time, however many ask), and the caller waits for it only a moment
as long as the older one is still usable. {"error": sentence} when nodetool cannot tell. Standard library only.
"""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Reading = dict[str, Any]

CACHE = Path("/run/evenkeel/ring.json")
FRESH = 3.0  # seconds a reading is used without a new one
PATIENCE = 1.5  # seconds a caller waits for a new reading when an older one is there
USABLE = 20.0  # seconds after which an older reading is worth nothing and the caller waits
DEADLINE = 20.0  # seconds nodetool may take
LINE = re.compile(r"^([UD][NLJM?])\s+(\S+)\s.*?(\S+)\s*$", re.MULTILINE)


def read() -> Reading:
    """The kept reading, or a new one."""
    reading = kept()
    if reading is None or reading["age"] > FRESH:
        start_refreshing()
        usable = reading is not None and reading["age"] <= USABLE
        reading = wait(PATIENCE if usable else DEADLINE) or (reading if usable else None)
    return reading or {"error": f"nodetool did not answer within {DEADLINE:g} s"}


def kept() -> Reading | None:
    """The last reading with its age in seconds, or None."""
    try:
        reading: Reading = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    reading["age"] = round(max(time.time() - reading.pop("read_at"), 0.0), 1)
    return reading


def start_refreshing() -> None:
    """Start this program again, detached, to make a new reading."""
    subprocess.Popen(
        [sys.executable, __file__, "--refresh"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait(patience: float) -> Reading | None:
    """A fresh reading as soon as there is one; None when patience (seconds) runs out."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        time.sleep(0.05)
        reading = kept()
        if reading is not None and reading["age"] <= FRESH:
            return reading
    return None


def refresh() -> None:
    """Ask nodetool and replace the kept reading, unless another process is doing that now."""
    CACHE.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with CACHE.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        reading = ask_nodetool() | {"read_at": time.time()}
        new = CACHE.with_suffix(".new")
        new.write_text(json.dumps(reading), encoding="utf-8")
        new.replace(CACHE)


def ask_nodetool() -> Reading:
    """What «nodetool status» says, as a reading without its time."""
    try:
        done = subprocess.run(["nodetool", "status"], capture_output=True, text=True, timeout=DEADLINE, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"nodetool did not answer within {DEADLINE:g} s"}
    except OSError as error:
        return {"error": f"nodetool: {error.strerror}"}
    nodes = parse(done.stdout)
    said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no output"]
    return {"nodes": nodes} if nodes else {"error": f"nodetool lists no node: {said[-1]}"}


def parse(listing: str) -> list[Reading]:
    """The nodes of «nodetool status»: two letters, address, load, …, rack."""
    return [{"state": state, "address": address, "rack": rack} for state, address, rack in LINE.findall(listing)]


if __name__ == "__main__":
    if "--refresh" in sys.argv[1:]:
        refresh()
    else:
        print(json.dumps(read(), separators=(",", ":")))
