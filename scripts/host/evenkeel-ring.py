#!/usr/bin/python3
"""Print the database's ring as this node sees it, as JSON: {"nodes": [{"state", "address", "rack"}], "age": seconds}.

nodetool starts a JVM, more than a second of this machine's processor. So a reading is kept, and holds until the node
notes in its journal that a peer came, went or changed (Cassandra's gossip says so in one line). A reading that holds is
given at once with age 0, and made anew beside that once a minute. After a change the caller waits for the new reading;
when that takes long, it gets the older one with its true age. One nodetool runs at a time, however many ask.
{"error": sentence} when nodetool cannot tell. With --slowness=N, for hosts that are slow, those limits are N times as
long. Standard library only.
"""

from __future__ import annotations

import argparse
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
NEW = 60.0  # seconds for which nodetool is not asked again as long as the journal notes no change
TRUSTED = 3600.0  # seconds for which the journal is believed
UNCHECKED = 5.0  # seconds for which a reading holds when the journal cannot be read
PATIENCE = 2.0  # seconds a caller waits for a new reading when it could have an older one
LONGEST = 6.0  # seconds a caller waits when there is nothing older
DEADLINE = 60.0  # seconds nodetool may take, beside the callers
CHANGES = r"is now (UP|DOWN)|state jump|is now part of the cluster|^(Started|Stopped|Stopping) "
SLOWNESS = {"times": 1}  # how many times as long as usual everything may take; main's to set
LINE = re.compile(r"^([UD][NLJM?])\s+(\S+)\s.*?(\S+)\s*$", re.MULTILINE)


def longer(seconds: float) -> float:
    """A limit of time as it is on this host."""
    return seconds * SLOWNESS["times"]


def read() -> Reading:
    """The kept reading while it holds, or a new one."""
    begin = time.time()
    reading = kept()
    if reading is not None and holds(reading):
        if begin - reading["read_at"] > NEW:
            start_refreshing()
        return dated(reading, age=0.0)
    start_refreshing()
    usable = reading is not None and "nodes" in reading
    newer = wait(PATIENCE if usable else longer(LONGEST), reading)
    if newer is not None:
        return dated(newer, age=max(begin - newer["read_at"], 0.0))
    if reading is not None and usable:
        return dated(reading, age=time.time() - reading["read_at"])
    return {"error": f"nodetool has been reading the ring for {longer(LONGEST):g} s; ask again"}


def dated(reading: Reading, age: float) -> Reading:
    """A reading as it is printed."""
    return {key: value for key, value in reading.items() if key != "read_at"} | {"age": round(age, 1)}


def holds(reading: Reading) -> bool:
    """Whether nothing has changed in the ring since this reading was begun."""
    age: float = time.time() - reading["read_at"]
    if "nodes" not in reading or age > TRUSTED:
        return age < UNCHECKED and "error" in reading
    since = f"--since=@{int(reading['read_at'])}"
    journal = ["journalctl", "--unit=cassandra", "--output=cat", "--no-pager", "--lines=1", since, f"--grep={CHANGES}"]
    try:
        done = subprocess.run(journal, capture_output=True, text=True, timeout=longer(LONGEST), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return age < UNCHECKED
    if done.returncode not in (0, 1) or (done.returncode == 1 and done.stderr.strip()):
        return age < UNCHECKED
    return done.returncode == 1  # no such line


def kept() -> Reading | None:
    """The last reading, or None."""
    try:
        reading: Reading = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return reading if "read_at" in reading else None


def start_refreshing() -> None:
    """Start this program again, detached, to make a new reading."""
    subprocess.Popen(
        [sys.executable, __file__, "--refresh", f"--slowness={SLOWNESS['times']}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait(patience: float, older: Reading | None) -> Reading | None:
    """The next reading after `older` as soon as there is one; None when patience (seconds) runs out."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        time.sleep(0.05)
        reading = kept()
        if reading is not None and (older is None or reading["read_at"] > older["read_at"]):
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
        begin = time.time()  # what changes while nodetool runs must count as later
        reading = ask_nodetool() | {"read_at": begin}
        new = CACHE.with_suffix(".new")
        new.write_text(json.dumps(reading), encoding="utf-8")
        new.replace(CACHE)


def ask_nodetool() -> Reading:
    """What «nodetool status» says, as a reading without its time."""
    try:
        done = subprocess.run(
            ["nodetool", "status"], capture_output=True, text=True, timeout=longer(DEADLINE), check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"nodetool did not answer within {longer(DEADLINE):g} s"}
    except OSError as error:
        return {"error": f"nodetool: {error.strerror}"}
    nodes = parse(done.stdout)
    said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no output"]
    return {"nodes": nodes} if nodes else {"error": f"nodetool lists no node: {said[-1]}"}


def parse(listing: str) -> list[Reading]:
    """The nodes of «nodetool status»: two letters, address, load, …, rack."""
    return [{"state": state, "address": address, "rack": rack} for state, address, rack in LINE.findall(listing)]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Print the ring as this node sees it, as JSON.")
    parser.add_argument("--refresh", action="store_true", help="make a new reading, and print nothing")
    parser.add_argument("--slowness", type=int, default=1, help="how many times as long as usual everything may take")
    options = parser.parse_args()
    SLOWNESS["times"] = options.slowness
    if options.refresh:
        refresh()
    else:
        print(json.dumps(read(), separators=(",", ":")))


if __name__ == "__main__":
    main()
