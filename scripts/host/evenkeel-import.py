#!/usr/bin/python3
"""Take the files of one table over into another, on this node; both have columns that one file fits.

    evenkeel-import        {"keyspace", "source", "target", "tag"} as JSON on standard input

A snapshot of the source is made under the name `tag`, its files are linked (not copied) into a directory of their own,
`nodetool import` checks them and moves the links into the target, and the snapshot is cleared. Prints {"sstables",
"bytes", "seconds"}. May be run again at any time: rows that are there already are there once. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NoReturn

DATA = os.environ.get("EVENKEEL_CASSANDRA", "/var/lib/cassandra")
NODETOOL = os.environ.get("EVENKEEL_NODETOOL", "/usr/local/bin/nodetool")
NODETOOL_SECONDS = 1_800
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
TAG = re.compile(r"[a-z0-9-]{1,64}")


def fail(sentence: str) -> NoReturn:
    """End with one sentence."""
    sys.exit(f"evenkeel-import on {os.uname().nodename}: {sentence}")


def read_request(content: str) -> tuple[str, str, str, str]:
    """Return keyspace, source, target and tag; each may stand in a path and in a command as it is."""
    try:
        document = json.loads(content)
        keyspace, source, target, tag = (document[key] for key in ("keyspace", "source", "target", "tag"))
    except (ValueError, KeyError, TypeError):
        fail('give {"keyspace", "source", "target", "tag"} as JSON')
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in (keyspace, source, target)):
        fail("keyspace, source and target must be names of lower-case letters, digits and _")
    if not (isinstance(tag, str) and TAG.fullmatch(tag)) or source == target:
        fail("tag must be a word of lower-case letters, digits and -, and source another table than target")
    return keyspace, source, target, tag


def nodetool(*arguments: str) -> str:
    """Run nodetool; return what it printed."""
    try:
        done = subprocess.run(
            [NODETOOL, *arguments], capture_output=True, text=True, timeout=NODETOOL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        fail(f"nodetool {arguments[0]} took longer than {NODETOOL_SECONDS} s")
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        fail(f"nodetool {arguments[0]} failed: {said[-1] if said else done.returncode}")
    return done.stdout


def snapshot_files(keyspace: str, source: str, tag: str) -> list[str]:
    """Return the files of a snapshot. A table's directory is its name, - and its id; only the living one has it."""
    folder = os.path.join(DATA, "data", keyspace)
    found: list[str] = []
    for name in sorted(os.listdir(folder)):
        snapshot = os.path.join(folder, name, "snapshots", tag)
        if name.rpartition("-")[0] == source and os.path.isdir(snapshot):
            found += [os.path.join(snapshot, file) for file in sorted(os.listdir(snapshot)) if is_component(file)]
    return found


def is_component(file: str) -> bool:
    """Whether a file of a snapshot belongs to an sstable; the others are its list of files and the schema."""
    return file not in ("manifest.json", "schema.cql") and "-" in file


def link(files: list[str], folder: str) -> Iterator[int]:
    """Link the files into a folder that belongs to whom they belong to; give their sizes."""
    owner = os.stat(os.path.join(DATA, "data"))
    os.makedirs(folder, mode=0o700)
    for path in (os.path.dirname(os.path.dirname(folder)), os.path.dirname(folder), folder):
        os.chown(path, owner.st_uid, owner.st_gid)
    for file in files:
        os.link(file, os.path.join(folder, os.path.basename(file)))
        yield os.stat(file).st_size


def take_over(keyspace: str, source: str, target: str, tag: str) -> dict[str, object]:
    """Do it; return the figures."""
    begin = time.monotonic()
    staging = os.path.join(DATA, "import", tag)
    folder = os.path.join(staging, keyspace, target)
    shutil.rmtree(folder, ignore_errors=True)
    nodetool("clearsnapshot", "-t", tag, keyspace)
    nodetool("snapshot", "-t", tag, "-cf", source, keyspace)
    try:
        files = snapshot_files(keyspace, source, tag)
        size = sum(link(files, folder))
        if files:
            # Tokens are not checked: the files are this node's own, with whatever it is still to clean up.
            nodetool("import", "--no-tokens", keyspace, target, folder)
            if left := [name for name in os.listdir(folder) if name.endswith("-Data.db")]:
                fail(f"{len(left)} files were not taken over, such as {left[0]}; see the node's log")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        nodetool("clearsnapshot", "-t", tag, keyspace)
    tables = sum(1 for file in files if file.endswith("-Data.db"))
    return {"sstables": tables, "bytes": size, "seconds": round(time.monotonic() - begin, 1)}


if __name__ == "__main__":
    print(json.dumps(take_over(*read_request(sys.stdin.read()))))
