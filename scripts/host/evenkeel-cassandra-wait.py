#!/usr/bin/python3
"""Wait until this host's Cassandra node is in the ring: it answers clients, and calls itself up and normal (UN).

    evenkeel-cassandra-wait [SECONDS]      300 by default

Leaves the mark /var/lib/cassandra/joined, by which the node's launcher knows that it may name itself as a seed.
Says every ten seconds what it waits for. Ends with 1 and the node's last words when the unit failed, keeps restarting
(where SECONDS are more than 900, a slow host, it may), or the time is over. The client port is asked first: it costs
nothing, while nodetool starts a JVM. Standard library only.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from typing import NoReturn

CONFIG = "/etc/cassandra/cassandra.yaml"
JOINED = "/var/lib/cassandra/joined"
UNIT = "cassandra.service"
CQL_PORT = 9042
RESTARTS_ALLOWED = 2
PATIENT_SECONDS = 900.0  # who waits longer does so for a slow host, where a start may fail by its own limits of time
SECONDS = 300.0


def fail(sentence: str) -> NoReturn:
    """End with one sentence and the node's last words."""
    command = ["journalctl", "-u", UNIT, "-n", "6", "-o", "cat", "--no-pager"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    sys.exit(
        f"evenkeel-cassandra-wait on {os.uname().nodename}: {sentence}; it said: {' | '.join(said.splitlines())[-900:]}"
    )


def read_address() -> str:
    """Return the address at which the node listens for clients."""
    with open(CONFIG, encoding="utf-8") as file:
        match = re.search(r"^rpc_address:\s*\"?([0-9.]+)", file.read(), re.MULTILINE)
    if not match:
        fail(f"{CONFIG} has no rpc_address")
    return match.group(1)


def unit_state() -> tuple[str, int]:
    """Return the unit's state and how often systemd restarted it by itself."""
    command = ["systemctl", "show", UNIT, "-p", "ActiveState", "-p", "NRestarts"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("ActiveState", "unknown"), int(values.get("NRestarts") or 0)


def answers_clients(address: str) -> bool:
    """Tell whether the node's client port is open."""
    try:
        socket.create_connection((address, CQL_PORT), 1).close()
    except OSError:
        return False
    return True


def ring_state(address: str) -> str:
    """Return the node's own state in the ring, such as UN (up, normal) or UJ (joining); "" if it cannot be told."""
    done = subprocess.run(["nodetool", "status"], capture_output=True, text=True, check=False)
    match = re.search(rf"^([UD][NLJM]) +{re.escape(address)} ", done.stdout, re.MULTILINE)
    return match.group(1) if match else ""


def look(address: str) -> str:
    """Return "" when the node is in the ring, else what is still missing."""
    if not answers_clients(address):
        return f"no answer at {address}:{CQL_PORT} yet"
    state = ring_state(address)
    return "" if state == "UN" else f"the node is {state or 'not listed'} in the ring, not UN"


def leave_mark() -> None:
    """Note that the node has joined once."""
    if not os.path.exists(JOINED):
        with open(JOINED, "w", encoding="utf-8"):
            shutil.chown(JOINED, "cassandra", "cassandra")


def main(limit: float) -> None:
    """Poll until the node is in the ring."""
    address = read_address()
    begin = said = time.monotonic()
    _, restarts_before = unit_state()
    allowed = math.inf if limit > PATIENT_SECONDS else RESTARTS_ALLOWED
    while missing := look(address):
        now = time.monotonic()
        state, restarts = unit_state()
        if state == "failed" or restarts - restarts_before > allowed:
            fail(f"Cassandra does not start (unit {state}, {restarts - restarts_before} restarts)")
        if now - begin > limit:
            fail(f"after {limit:g} s still not in the ring: {missing}")
        if now - said > 10:
            said = now
            print(f"waiting for Cassandra on {os.uname().nodename}, {now - begin:.0f} s: {missing}", file=sys.stderr)
        time.sleep(0.5)
    leave_mark()
    print(json.dumps({"state": "UN", "seconds": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
