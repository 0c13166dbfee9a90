#!/usr/bin/python3
"""HAProxy's admin socket and its server-state file, for evenkeel-traffic; a module, not a command.

Every server is declared twice (templates/haproxy): in the backend `app`, which users get, and as a twin that is never
closed in `app_blue` or `app_green`, which health checks and requests that name a version go to. Tried on HAProxy 2.6:
- a server that is itself checked is not checked while in maint; leaving maint it is down until `rise` checks have
  passed. In drain it is checked, gets no new requests, and gets them at once when it is ready again;
- a server that tracks another is up at once on leaving maint if its twin is up: so opening one takes no time;
- a keep-alive connection of a user is no obstacle: each request is balanced anew, those in flight end where they are;
- in the state file and in «show servers state», 0x04 only says that the configuration starts the server disabled; it
  stays when the socket opens the server. 0x01 is what closes it.

Source of the format and the commands: HAProxy 2.6 management guide, 9.3.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import socket
from collections.abc import Mapping
from typing import Any

SOCKET = "/run/haproxy/admin.sock"
FOLDER = "/var/lib/haproxy/state"
BACKEND = "app"
SLOTS = ("blue", "green")
STATES = ("ready", "drain", "maint")
ADMIN_BITS = {"ready": "4", "drain": "12", "maint": "5"}
CLOSED, DRAINING = 0x01 | 0x02 | 0x20, 0x08  # by the socket, inherited, by DNS
RUNNING = "2"
NAME = re.compile(r"^[a-z0-9]+-(blue|green)$")
GONE = 7  # exit status when HAProxy does not answer

Servers = dict[str, dict[str, Any]]


class RefusedError(Exception):
    """A sentence for the caller, and the program's exit status."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


def ask(command: str) -> str:
    """Send one command to HAProxy and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(SOCKET)
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError as error:
            reason = error.strerror or str(error)
            raise RefusedError(f"HAProxy does not answer at {SOCKET} ({reason}); is it running?", GONE) from None
    return answer.decode().strip()


def tell(command: str) -> None:
    """Send a command that HAProxy carries out in silence; what it says is its refusal."""
    if answer := ask(command):
        raise RefusedError(f"HAProxy refuses: {answer}")


def rows() -> list[dict[str, str]]:
    """Return «show servers state» of all backends as {field: text}."""
    lines = ask("show servers state").splitlines()
    return parse_rows(lines)


def parse_rows(lines: list[str]) -> list[dict[str, str]]:
    """Return the servers of a state file's lines: its version, a comment with the fields' names, then a server each."""
    if len(lines) < 2:
        return []
    fields = lines[1].lstrip("# ").split()
    return [dict(zip(fields, line.split(), strict=False)) for line in lines[2:] if line.strip()]


def state_of(admin_state: int) -> str:
    """Return HAProxy's administrative bits as one of STATES."""
    if admin_state & CLOSED:
        return "maint"
    return "drain" if admin_state & DRAINING else "ready"


def twin_of(server: str) -> tuple[str, str]:
    """Return (backend, server) of the one that is checked in a server's stead."""
    return f"{BACKEND}_{server.rpartition('-')[2]}", server


def servers() -> Servers:
    """Return {server: {"state", "weight", "up"}}; `up` is the health, of a closed server too."""
    present = rows()
    health = {(row["be_name"], row["srv_name"]): row["srv_op_state"] == RUNNING for row in present}
    return {
        row["srv_name"]: {
            "state": state_of(int(row["srv_admin_state"])),
            "weight": int(row["srv_uweight"]),
            "up": health.get(twin_of(row["srv_name"]), row["srv_op_state"] == RUNNING),
        }
        for row in present
        if row["be_name"] == BACKEND
    }


def counters() -> list[dict[str, str]]:
    """Return HAProxy's statistics as a list of {field: text}, without empty fields."""
    table = csv.DictReader(io.StringIO(ask("show stat").lstrip("# ")))
    return [{key: value for key, value in row.items() if key and value} for row in table]


def details() -> Servers:
    """Return `servers()` with each one's last check and its sessions."""
    found = servers()
    statistics = {(row["pxname"], row["svname"]): row for row in counters()}
    for name, facts in found.items():
        twin = statistics.get(twin_of(name), {})
        facts["check"] = twin.get("check_status", "")
        facts["sessions"] = int(statistics.get((BACKEND, name), {}).get("scur", 0))
    return found


def set_server(server: str, wanted: Mapping[str, Any]) -> None:
    """Give a server of `app` a state and a weight."""
    if NAME.match(server) is None or wanted["state"] not in STATES:
        raise RefusedError(f"server {server!r} cannot be set to {wanted['state']!r}")
    tell(f"set server {BACKEND}/{server} weight {int(wanted['weight'])}")
    tell(f"set server {BACKEND}/{server} state {wanted['state']}")


def write(name: str, content: str) -> None:
    """Write a file of FOLDER so that a reader, or a start after a power cut, finds the old or the new one whole."""
    os.makedirs(FOLDER, exist_ok=True)
    path = f"{FOLDER}/{name}"
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(name: str) -> str | None:
    """Return the content of a file of FOLDER, or None where there is none."""
    try:
        with open(f"{FOLDER}/{name}", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def save(wanted: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Write the state file that HAProxy's next start reads: its own facts, with `wanted` (None: as it is) as routing.

    Without HAProxy, its last facts are taken from the file as it is.
    """
    try:
        content = ask("show servers state")
        fresh = True
    except RefusedError:
        content = read("servers") or ""
        fresh = False
    write("servers", routed(content.splitlines(), wanted, fresh=fresh))


def routed(lines: list[str], wanted: Mapping[str, Mapping[str, Any]] | None, *, fresh: bool) -> str:
    """Return a state file's lines with the routing put in; a server that `wanted` does not name is closed."""
    present = parse_rows(lines)
    health = {(row["be_name"], row["srv_name"]): row["srv_op_state"] for row in present}
    opened = {name for name, facts in (wanted or {}).items() if facts["state"] == "ready"}
    # What a killed HAProxy knew last may be old: when it knew of no open server that is up, let them be tried.
    hopeful = not fresh and not any(health.get(twin_of(name)) == RUNNING for name in opened)
    for row in present:
        name = row["srv_name"]
        if row["be_name"] != BACKEND:
            if hopeful and name in opened and row["be_name"] == twin_of(name)[0]:
                row |= {"srv_op_state": RUNNING, "srv_check_health": "2"}
            continue
        state = state_of(int(row["srv_admin_state"])) if wanted is None else wanted.get(name, {}).get("state", "maint")
        row["srv_admin_state"] = ADMIN_BITS[state]
        if wanted is not None and name in wanted:
            row["srv_uweight"] = str(wanted[name]["weight"])
        up = hopeful or health.get(twin_of(name), RUNNING) == RUNNING
        row["srv_op_state"] = RUNNING if up and state != "maint" else "0"
    return "\n".join([*lines[:2], *(" ".join(row.values()) for row in present), ""])


def save_versions(versions: Mapping[str, str]) -> None:
    """Write the map of versions to slots, and put it into a running HAProxy that knows it."""
    with contextlib.suppress(RefusedError):
        save_map("versions.map", {version: f"{BACKEND}_{slot}" for version, slot in versions.items()})


def save_map(name: str, entries: Mapping[str, str]) -> bool:
    """Write a map, and put it into a running HAProxy all at once; return whether its configuration knows the map.

    The file is written whatever HAProxy says: its next start reads it.
    """
    content = "".join(f"{key} {value}\n" for key, value in entries.items())
    if read(name) != content:
        write(name, content)
    path = f"{FOLDER}/{name}"
    if path not in ask("show map"):
        return False
    number = ask(f"prepare map {path}").rpartition(":")[2].strip()
    for key, value in entries.items():
        tell(f"add map @{number} {path} {key} {value}")
    tell(f"commit map @{number} {path}")
    return True
