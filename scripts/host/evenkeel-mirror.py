#!/usr/bin/python3
"""What this database node has of the mirror: Cassandra's trigger that keeps two tables equal, and its mappings.

    evenkeel-mirror state                {"jar_sha256": hex or null, "pairs": {"keyspace.table": twin}}
    evenkeel-mirror install SHA256       the jar on standard input; a running node takes it up at once. With
                                         --slowness=N it has N times as long for that as usual
    evenkeel-mirror configure            a list of mappings on standard input, one a direction; others stay
    evenkeel-mirror remove               {"tables": ["keyspace.table"]} on standard input

Files are replaced as a whole, so Cassandra never reads half of one. A mapping must be there before its trigger is, and
go after it: without it writes to its table fail. JSON on standard output. Standard library only.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from typing import Any, NoReturn

CONFIG = "/etc/cassandra"
GROUP = "cassandra"
JAR = "triggers/evenkeel-mirror.jar"
PAIRS = "mirror"
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
SLOWNESS = re.compile(r"--slowness=([1-9][0-9]?)")
RELOAD_SECONDS = 90.0  # a node that starts takes no orders for a while


def fail(sentence: str) -> NoReturn:
    """End with one sentence."""
    sys.exit(f"evenkeel-mirror on {os.uname().nodename}: {sentence}")


def place(relative: str) -> str:
    """Return where something lies."""
    return os.path.join(CONFIG, relative)


def state() -> dict[str, Any]:
    """Return what there is; the probe's mapping, which every node has, is not among the pairs."""
    try:
        with open(place(JAR), "rb") as file:
            jar: str | None = hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        jar = None
    pairs = [mapping for mapping in map(read, files()) if not mapping.get("check")]
    return {"jar_sha256": jar, "pairs": {f"{each['keyspace']}.{each['table']}": each["twin"] for each in pairs}}


def files() -> list[str]:
    """Return the names of the mappings' files."""
    folder = place(PAIRS)
    return sorted(name for name in os.listdir(folder) if name.endswith(".json")) if os.path.isdir(folder) else []


def read(name: str) -> dict[str, Any]:
    """Return a mapping that was configured."""
    with open(place(os.path.join(PAIRS, name)), encoding="utf-8") as file:
        mapping: dict[str, Any] = json.load(file)
    return mapping


def install(expected: str, content: bytes, slowness: int = 1) -> dict[str, Any]:
    """Put the jar into place and have a running node load it.

    Also where the jar is there: whoever put it there may have been killed before the node loaded it.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        fail(f"the jar came with the sha256 {found}, not {expected}; nothing was changed")
    return {"installed": write(place(JAR), content), "reloaded": reload_triggers(slowness)}


def reload_triggers(slowness: int) -> bool:
    """Have the node load its triggers again, if it runs; one that has not started yet does so by itself."""
    seconds = RELOAD_SECONDS * slowness
    give_up = time.monotonic() + seconds
    while subprocess.run(["systemctl", "is-active", "--quiet", "cassandra"], check=False).returncode == 0:
        done = subprocess.run(["nodetool", "reloadtriggers"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return True
        if time.monotonic() > give_up:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["nothing"]
            fail(f"the node did not load its triggers again in {seconds:.0f} s; nodetool said: {said[-1]}")
        time.sleep(2)
    return False


def configure(mappings: Any) -> dict[str, Any]:
    """Put mappings into place, all of them checked before the first is written."""
    if not isinstance(mappings, list) or not all(isinstance(mapping, dict) for mapping in mappings):
        fail("standard input must be a list of mappings")
    for mapping in mappings:
        for key in ("keyspace", "table", "twin"):
            if not NAME.fullmatch(str(mapping.get(key))):
                fail(f"a mapping has the {key} {mapping.get(key)!r}, which is no name; nothing was changed")
    changed = []
    for mapping in mappings:
        table = f"{mapping['keyspace']}.{mapping['table']}"
        content = json.dumps(mapping, sort_keys=True, indent=1).encode()
        if write(place(f"{PAIRS}/{table}.json"), content):
            changed.append(table)
    return {"configured": changed}


def remove(document: Any) -> dict[str, Any]:
    """Take mappings away; those that are not there are no error."""
    tables = document.get("tables") if isinstance(document, dict) else None
    if not isinstance(tables, list):
        fail('standard input must be {"tables": ["keyspace.table"]}')
    removed = []
    for table in map(str, tables):
        if not all(NAME.fullmatch(part) for part in table.split(".")) or table.count(".") != 1:
            fail(f"{table!r} is not KEYSPACE.TABLE; nothing more was removed")
        path = place(f"{PAIRS}/{table}.json")
        if os.path.exists(path):
            os.unlink(path)
            removed.append(table)
    return {"removed": removed}


def write(path: str, content: bytes) -> bool:
    """Replace a file that only root may write and Cassandra may read; return whether it was another one."""
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return False
    except FileNotFoundError:
        pass
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    own(folder, 0o750)
    new = f"{path}.new"
    with open(new, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    own(new, 0o640)
    os.replace(new, path)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return True


def own(path: str, mode: int) -> None:
    """Give a file or folder to root and Cassandra's group."""
    os.chown(path, os.getuid(), grp.getgrnam(GROUP).gr_gid)
    os.chmod(path, mode)


def document() -> Any:
    """Return the JSON on standard input."""
    try:
        return json.load(sys.stdin)
    except ValueError as error:
        fail(f"standard input is not JSON ({error}); nothing was changed")


def main(arguments: list[str]) -> None:
    """Do what is asked for."""
    match arguments:
        case ["state"]:
            done = state()
        case ["install", sha256]:
            done = install(sha256, sys.stdin.buffer.read())
        case ["install", sha256, slowness] if told := SLOWNESS.fullmatch(slowness):
            done = install(sha256, sys.stdin.buffer.read(), int(told[1]))
        case ["configure"]:
            done = configure(document())
        case ["remove"]:
            done = remove(document())
        case _:
            fail("use state, install SHA256 [--slowness=N], configure or remove")
    print(json.dumps(done))


if __name__ == "__main__":
    main(sys.argv[1:])
