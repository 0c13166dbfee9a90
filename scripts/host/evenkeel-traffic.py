#!/usr/bin/python3
"""Read and change where this load balancer sends requests; the only door to HAProxy's admin socket.

    evenkeel-traffic show                       every server's state and weight, as JSON
    evenkeel-traffic stat                       HAProxy's own counters, as JSON
    evenkeel-traffic set SERVER STATE [WEIGHT]  STATE is ready, drain or maint; WEIGHT 0 to 256
    evenkeel-traffic save                       write the state file that a start or reload reads back

Nothing else is passed on: the socket is root's alone, and this allow-list is all that Evenkeel needs of it.
Every change is saved before the command returns, in HAProxy's own server-state format, so a reload, restart or
reboot routes as before. Source of the format and of the commands: HAProxy 2.6 management guide, 9.3.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import sys
from typing import Any

SOCKET = "/run/haproxy/admin.sock"
STATE_FILE = "/var/lib/haproxy/state/servers"
BACKEND = "app"
STATES = ("ready", "drain", "maint")
NAME = re.compile(r"^[a-z0-9]+-(blue|green)$")
MAINTENANCE = 0x01 | 0x04 | 0x20  # forced by the socket, by the configuration, by DNS
DRAIN = 0x08


def ask(command: str) -> str:
    """Send one command to HAProxy and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(SOCKET)
        except OSError as error:
            sys.exit(f"evenkeel-traffic: HAProxy does not answer at {SOCKET} ({error.strerror}); is it running?")
        connection.sendall(command.encode() + b"\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode().strip()


def state_of(admin_state: int) -> str:
    """Return HAProxy's administrative bits as one of STATES."""
    if admin_state & MAINTENANCE:
        return "maint"
    return "drain" if admin_state & DRAIN else "ready"


def servers() -> dict[str, dict[str, Any]]:
    """Return {server: {"state", "weight", "up"}} of the application backend."""
    lines = ask(f"show servers state {BACKEND}").splitlines()
    fields = lines[1].lstrip("# ").split()
    rows = [dict(zip(fields, line.split(), strict=False)) for line in lines[2:] if line]
    return {
        row["srv_name"]: {
            "state": state_of(int(row["srv_admin_state"])),
            "weight": int(row["srv_uweight"]),
            "up": row["srv_op_state"] == "2",
        }
        for row in rows
    }


def counters() -> list[dict[str, str]]:
    """Return HAProxy's statistics as a list of {field: text}, without empty fields."""
    table = csv.DictReader(io.StringIO(ask("show stat").lstrip("# ")))
    return [{key: value for key, value in row.items() if key and value} for row in table]


def save() -> None:
    """Write the state file: beside it first, then renamed over it."""
    content = ask("show servers state") + "\n"
    os.makedirs(os.path.dirname(STATE_FILE), exist_ok=True)
    with open(STATE_FILE + ".new", "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(STATE_FILE + ".new", STATE_FILE)


def change(server: str, state: str, weight: str | None) -> None:
    """Set a server's state, and its weight if given, then save."""
    if not NAME.match(server) or server not in servers():
        sys.exit(f"evenkeel-traffic: no server {server!r} here; there are: {', '.join(sorted(servers()))}")
    if state not in STATES:
        sys.exit(f"evenkeel-traffic: state {state!r} is not one of {', '.join(STATES)}")
    if weight is not None:
        if not weight.isdigit() or int(weight) > 256:
            sys.exit(f"evenkeel-traffic: weight {weight!r} is not a whole number from 0 to 256")
        refuse(ask(f"set server {BACKEND}/{server} weight {int(weight)}"))
    refuse(ask(f"set server {BACKEND}/{server} state {state}"))
    save()


def refuse(answer: str) -> None:
    """End the program with HAProxy's words if it said anything: it is silent when it agrees."""
    if answer:
        sys.exit(f"evenkeel-traffic: HAProxy refuses: {answer}")


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    match arguments:
        case ["show"]:
            print(json.dumps(servers()))
        case ["stat"]:
            print(json.dumps(counters()))
        case ["save"]:
            save()
        case ["set", server, state]:
            change(server, state, None)
        case ["set", server, state, weight]:
            change(server, state, weight)
        case _:
            sys.exit("evenkeel-traffic: use show, stat, save, or set SERVER ready|drain|maint [WEIGHT]")


if __name__ == "__main__":
    main(sys.argv[1:])
