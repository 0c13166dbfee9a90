#!/usr/bin/python3
"""Print what this machine is doing now, as one JSON object on standard output.

Runs on the hosts (standard library only) and changes nothing. Every machine reports its units, memory and load; the
rest depends on what is there:

- `app`:  both slots: installed version, unit, what /health, /ready and /version answer (HAProxy is not asked);
- `lb`:   HAProxy's servers as it sees them itself;
- `db`:   the ring as this node sees it, with its age in seconds;
- `ns`:   the serial and the addresses this name server answers with, when --zone and --name ask for them.

A part that cannot be read becomes {"error": sentence}; the exit status is 0 as long as there is something to print.
With --slowness=N, for hosts that are slow, every limit of time is N times as long.
Sizes are bytes, times seconds. "format" rises when a reader must know about a change.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.client import HTTPConnection

Facts = dict[str, Any]

FORMAT = 1
UNITS = ("haproxy", "named", "cassandra", "app@blue", "app@green", "ssh")
SLOT_PORTS = {"blue": 8001, "green": 8002}
SLOTS = Path("/srv/app")
SLOT_ENVIRONMENT = Path("/etc/evenkeel")
RING_DEADLINE = 14.0  # seconds; evenkeel-ring's own limit comes first
HTTP_DEADLINE = 1.5
SLOWNESS = {"times": 1}  # how many times as long as usual everything may take; main's to set


def longer(seconds: float) -> float:
    """A limit of time as it is on this host."""
    return seconds * SLOWNESS["times"]


def run(arguments: list[str], deadline: float = 5.0) -> str:
    """Run a program and return its standard output; OSError or ValueError says why not."""
    deadline = longer(deadline)
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=deadline, check=False)
    except FileNotFoundError:
        raise ValueError(f"{arguments[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"{arguments[0]} did not answer within {deadline:g} s") from None
    if done.returncode != 0 and not done.stdout:
        complaint = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"{arguments[0]}: {complaint[-1]}")
    return done.stdout


# --- every machine ------------------------------------------------------------------------------------------------


def read_units() -> list[Facts]:
    """The units that matter here: enabled, running or failed; the rest of the image's services are left out."""
    wanted = "Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,MemoryCurrent"
    blocks = run(["systemctl", "show", "--property", wanted, *UNITS]).strip().split("\n\n")
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return [
        {
            "name": unit["Id"].removesuffix(".service"),
            "state": unit["ActiveState"],
            "detail": unit["SubState"],
            "enabled": unit.get("UnitFileState") == "enabled",
            "result": unit.get("Result", ""),
            "restarts": as_number(unit.get("NRestarts")),
            "memory": as_number(unit.get("MemoryCurrent")),
        }
        for unit in units
        if unit.get("LoadState") == "loaded"
        and (unit.get("UnitFileState") == "enabled" or unit["ActiveState"] not in ("inactive",))
    ]


def read_failed_units() -> list[str]:
    """Names of all units systemd lists as failed, ours or not."""
    listing = run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend"])
    return [line.split()[0].removesuffix(".service") for line in listing.splitlines() if line.strip()]


def as_number(text: str | None) -> int | None:
    """A systemd or cgroup number; None for «[not set]», «max» and the like."""
    value = int(text) if text is not None and text.strip().isdigit() else None
    return None if value is None or value >= 1 << 60 else value


def first_text(*paths: str) -> str | None:
    """The content of the first of these files that can be read."""
    for path in paths:
        with contextlib.suppress(OSError):
            return Path(path).read_text(encoding="ascii")
    return None


def read_memory() -> Facts:
    """Memory in use and allowed, from this machine's cgroup (v2, then v1), else from the kernel's totals."""
    meminfo = {name: int(value.split()[0]) * 1024 for name, value in pairs(first_text("/proc/meminfo") or "", ":")}
    used = as_number(first_text("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"))
    limit = as_number(first_text("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    if used is None:
        return {"used": meminfo["MemTotal"] - meminfo["MemAvailable"], "limit": meminfo["MemTotal"]}
    statistics = dict(pairs(first_text("/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat") or "", " "))
    # Page cache that can be dropped at once is not «in use»; v1 counts descendants under total_*.
    droppable = int(statistics.get("total_inactive_file") or statistics.get("inactive_file") or 0)
    return {"used": max(used - droppable, 0), "limit": min(limit or meminfo["MemTotal"], meminfo["MemTotal"])}


def pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """The «name separator value» lines of a kernel file."""
    for line in text.splitlines():
        name, found, value = line.partition(separator)
        if found:
            yield name.strip(), value.strip()


def read_uptime() -> float:
    """Seconds since PID 1 of this machine started (a container's /proc/uptime is its host's)."""
    started = int(Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    now = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return round(now - started / os.sysconf("SC_CLK_TCK"), 1)


# --- application servers ------------------------------------------------------------------------------------------


def read_slots() -> list[Facts]:
    """Both slots: what is installed, and what the running instance says of itself."""
    return [read_slot(slot, port) for slot, port in SLOT_PORTS.items()]


def read_slot(slot: str, default_port: int) -> Facts:
    """One slot: its manifest tells the version and where to ask."""
    import http.client  # noqa: PLC0415  # only application servers pay for it: it doubles this program's start
    import tomllib  # noqa: PLC0415  # likewise

    facts: Facts = {"slot": slot, "port": slot_port(slot, default_port), "installed": None, "version": None}
    manifest: Facts = {}
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
        manifest = tomllib.loads((SLOTS / slot / "current" / "evenkeel.toml").read_text(encoding="utf-8"))
        facts["installed"] = manifest.get("version")
    paths = {name: manifest.get("http", {}).get(name, f"/{name}") for name in ("health", "ready", "version")}
    connection = http.client.HTTPConnection("127.0.0.1", facts["port"], timeout=longer(HTTP_DEADLINE))
    try:
        facts.update(ask_instance(connection, paths))
    except ConnectionRefusedError:
        facts["error"] = "nothing listens"
    except (OSError, http.client.HTTPException) as error:
        facts["error"] = f"no answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return facts


def slot_port(slot: str, default: int) -> int:
    """The port in the slot's environment file; the default where there is none."""
    text = first_text(str(SLOT_ENVIRONMENT / f"app-{slot}.env")) or ""
    return as_number(dict(pairs(text, "=")).get("PORT", "").strip("\"'")) or default


def ask_instance(connection: HTTPConnection, paths: dict[str, str]) -> Facts:
    """Status codes of /health and /ready and the version an instance reports."""
    facts: Facts = {}
    for name in ("health", "ready"):
        connection.request("GET", paths[name])
        answer = connection.getresponse()
        answer.read()
        facts[name] = answer.status
    connection.request("GET", paths["version"])
    answer = connection.getresponse()
    facts["version"] = version_in(answer.read(4096)) if answer.status == 200 else None
    return facts


def version_in(body: bytes) -> str | None:
    """The version in an answer: {"version": "1.0.0", ...} or the bare text."""
    text = body.decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        return str(value.get("version")) if isinstance(value, dict) else str(value)
    return text[:40] or None


# --- load balancers -----------------------------------------------------------------------------------------------


def read_haproxy() -> Facts:
    """Every application server with HAProxy's own opinion of it, and the frontends' totals.

    evenkeel-traffic is the one door to the admin socket; it prints «show stat» as a list of objects.
    """
    rows: list[dict[str, str]] = json.loads(run(["evenkeel-traffic", "stat"]))
    frontends = [row for row in rows if row["svname"] == "FRONTEND"]
    return {
        "requests": sum(as_number(row.get("req_tot")) or 0 for row in frontends),
        "errors": sum(as_number(row.get("hrsp_5xx")) or 0 for row in frontends),
        "sessions": sum(as_number(row.get("scur")) or 0 for row in frontends),
        "servers": read_servers(rows),
    }


def read_servers(rows: list[dict[str, str]]) -> list[Facts]:
    """The servers that users may get, in the backend «app»; the checks are made by their twins in «app_SLOT»."""
    checks = {row["svname"]: row.get("check_status") for row in rows if row["pxname"].startswith("app_")}
    servers = [read_server(row) for row in rows if row["pxname"] == "app" and row["svname"] != "BACKEND"]
    return [server | {"check": server["check"] or checks.get(server["server"])} for server in servers]


def read_server(row: dict[str, str]) -> Facts:
    """One line of «show stat»; `state` is its first word, as UP, DOWN, MAINT, DRAIN or «no»."""
    return {
        "backend": row["pxname"],
        "server": row["svname"],
        "address": row.get("addr"),
        "state": row["status"].split(" ")[0],
        "status": row["status"],
        "weight": as_number(row.get("weight")) or 0,
        "backup": row.get("bck") == "1",
        "check": row.get("check_status"),
        "sessions": as_number(row.get("scur")) or 0,
        "total": as_number(row.get("stot")) or 0,
        "since": as_number(row.get("lastchg")),
    }


# --- databases ----------------------------------------------------------------------------------------------------


def read_ring() -> Facts:
    """The ring as this node sees it; evenkeel-ring keeps a reading for a few seconds."""
    ring: Facts = json.loads(run(["evenkeel-ring", f"--slowness={SLOWNESS['times']}"], RING_DEADLINE))
    return ring


def read_database() -> Facts:
    """Whether this node takes clients, and its view of the ring."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as channel:
        channel.settimeout(longer(1.0))
        takes_clients = channel.connect_ex((own_address(), 9042)) == 0
    return {"takes_clients": takes_clients, "ring": read_ring()}


def own_address() -> str:
    """The address this machine's name stands for; Cassandra listens on that one."""
    addresses = run(["hostname", "-I"]).split()
    return addresses[0] if addresses else "127.0.0.1"


# --- name servers -------------------------------------------------------------------------------------------------


def read_zone(zone: str, name: str | None) -> Facts:
    """Serial of the zone and addresses of the name, asked of the name server on this machine."""
    questions = ["+norecurse", zone, "SOA", *([name, "A"] if name else [])]
    answer = run(["dig", "@127.0.0.1", f"+time={longer(1):.0f}", "+tries=1", "+noall", "+answer", *questions], 4.0)
    records = [line.split() for line in answer.splitlines() if line and not line.startswith(";")]
    serials = [int(record[6]) for record in records if record[3] == "SOA"]
    addresses = [record[4] for record in records if record[3] == "A"]
    if not serials:
        raise ValueError(f"no answer for {zone}")
    return {"zone": zone, "serial": serials[0], "name": name, "addresses": sorted(addresses)}


# --- all together -------------------------------------------------------------------------------------------------


def attempt(read: Callable[[], Any]) -> Any:
    """What `read` returns, or {"error": sentence}."""
    try:
        return read()
    except (OSError, ValueError, KeyError, IndexError) as error:
        return {"error": f"{error}" if isinstance(error, (OSError, ValueError)) else f"unexpected answer: {error!r}"}


def gather(zone: str | None, name: str | None) -> Facts:
    """All facts of this machine."""
    units = attempt(read_units)
    present = {unit["name"] for unit in units} if isinstance(units, list) else set()
    facts: Facts = {
        "format": FORMAT,
        "host": socket.gethostname(),
        "time": time.time(),
        "units": units,
        "failed": attempt(read_failed_units),
        "memory": attempt(read_memory),
        "load": attempt(lambda: list(os.getloadavg())),
        "uptime": attempt(read_uptime),
    }
    if any((SLOTS / slot / "current").exists() for slot in SLOT_PORTS) or present & {"app@blue", "app@green"}:
        facts["app"] = attempt(read_slots)
    if "haproxy" in present:
        facts["lb"] = attempt(read_haproxy)
    if "cassandra" in present:
        facts["db"] = attempt(read_database)
    if "named" in present and zone:
        facts["ns"] = attempt(lambda: read_zone(zone, name))
    return facts


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Print this machine's facts as JSON.")
    parser.add_argument("--zone", help="zone whose serial a name server reports")
    parser.add_argument("--name", help="name whose addresses a name server reports")
    parser.add_argument("--slowness", type=int, default=1, help="how many times as long as usual everything may take")
    options = parser.parse_args()
    SLOWNESS["times"] = options.slowness
    print(json.dumps(gather(options.zone, options.name), separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
