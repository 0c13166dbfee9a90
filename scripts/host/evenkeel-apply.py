#!/usr/bin/python3
"""Bring this host's configuration to the state described by a JSON document on standard input.

The document lists a role's files, directories and commands:

    {"role": "haproxy",
     "directories": [{"path": "/var/lib/haproxy/state", "mode": "0700", "owner": "root:root"}],
     "files": [{"path": "/etc/haproxy/haproxy.cfg", "content": "...", "mode": "0644", "owner": "root:root"}],
     "validate": [["haproxy", "-c", "-f", "{/etc/haproxy/haproxy.cfg}"]],
     "enable": ["haproxy"],
     "reload": ["systemctl", "reload-or-restart", "haproxy"],
     "restart": ["systemctl", "restart", "haproxy"],
     "restart_on": ["/etc/systemd/system/haproxy.service.d/evenkeel.conf"],
     "wait": [["evenkeel-cassandra-wait"]]}

New content is written beside its target, the validators see it there ({PATH} stands for the staged copy of
PATH), and only when all of them agree does it take the old one's place. Services are reloaded, or restarted
when a file of "restart_on" changed, only if something changed. "@SERIAL@" in a file becomes a DNS zone serial:
seconds since 1970, and never lower than the one it replaces; the file counts as changed only if it differs
otherwise.

Prints {"changed": [paths], "action": "none" | "reload" | "restart" | "start"}. Exits 1 with one sentence when
a validator refuses, in which case nothing was changed. Uses the standard library only: it runs on every host.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

SERIAL = "@SERIAL@"
SERIAL_NUMBER = re.compile(r"\d{9,10}(?=\s*; serial)")
STAGED = ".evenkeel-new"  # a directory beside each target: its name stays, which some validators insist on
PENDING = "/var/lib/evenkeel/pending"


class RefusedError(Exception):
    """The document cannot be applied; the message is one sentence for the person who wrote it."""


def read(path: str) -> str | None:
    """Return the text at `path`, or None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def with_serial(content: str, old: str | None) -> str:
    """Return `content` with its serial filled in: the old one's if nothing else differs, else a newer one."""
    if SERIAL not in content:
        return content
    match = SERIAL_NUMBER.search(old or "")
    number = int(match.group()) if match else 0
    if match and old == content.replace(SERIAL, match.group()):
        return old
    return content.replace(SERIAL, str(max(number + 1, int(time.time()))))


def owner_ids(owner: str) -> tuple[int, int]:
    """Return (uid, gid) of "user:group"."""
    user, _, group = owner.partition(":")
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group or user).gr_gid
    except KeyError as error:
        raise RefusedError(f"owner {owner} does not exist on this host: {error.args[0]}") from None


def write(path: str, content: str, mode: str, owner: str) -> None:
    """Write `content` to `path` with the given rights, on disk before the function returns."""
    uid, gid = owner_ids(owner)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fchown(file.fileno(), uid, gid)
        os.fchmod(file.fileno(), int(mode, 8))
        os.fsync(file.fileno())


def rights_differ(path: str, mode: str, owner: str) -> bool:
    """Tell whether the file at `path` has other rights than it should."""
    status = os.stat(path)
    return (status.st_uid, status.st_gid) != owner_ids(owner) or status.st_mode & 0o7777 != int(mode, 8)


def make_directories(directories: list[dict[str, str]]) -> None:
    """Create the directories that are missing, parents included, and set their rights."""
    for directory in directories:
        os.makedirs(directory["path"], exist_ok=True)
        os.chown(directory["path"], *owner_ids(directory.get("owner", "root:root")))
        os.chmod(directory["path"], int(directory.get("mode", "0755"), 8))


def stage(files: list[dict[str, str]]) -> dict[str, str]:
    """Write every file that differs beside its target; return {path: staged path}."""
    staged = {}
    for file in files:
        path, mode, owner = file["path"], file.get("mode", "0644"), file.get("owner", "root:root")
        old = read(path)
        content = with_serial(file["content"], old)
        if content == old and not rights_differ(path, mode, owner):
            continue
        staged[path] = os.path.join(os.path.dirname(path), STAGED, os.path.basename(path))
        os.makedirs(os.path.dirname(staged[path]), exist_ok=True)
        write(staged[path], content, mode, owner)
    return staged


def fill_in(argument: str, staged: dict[str, str]) -> str:
    """Replace {PATH} in a command's argument by the staged copy of PATH, or PATH itself if unchanged."""
    return re.sub(r"\{(/[^}]*)\}", lambda match: staged.get(match.group(1), match.group(1)), argument)


def validate(commands: list[list[str]], staged: dict[str, str]) -> None:
    """Run the validators on the staged files; the first that refuses raises RefusedError with its words."""
    for command in commands:
        done = execute([fill_in(part, staged) for part in command])
        if done.returncode != 0:
            said = " ".join((done.stderr + done.stdout).split())[-800:].replace(f"{STAGED}/", "")
            raise RefusedError(f"{command[0]} refuses the new configuration, the old one stays: {said}")


def move_into_place(staged: dict[str, str]) -> None:
    """Rename every staged file over its target, so that a reader sees the old or the new one, never half."""
    for path, new in staged.items():
        os.replace(new, path)
    discard(staged)


def discard(staged: dict[str, str]) -> None:
    """Remove what staging left: the directories, and after a refusal the files in them."""
    for directory in {os.path.dirname(new) for new in staged.values()}:
        shutil.rmtree(directory, ignore_errors=True)


def execute(command: list[str], quiet: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; where not `quiet`, what it says goes to standard error as it comes."""
    streams: dict[str, Any] = {"capture_output": True} if quiet else {"stdout": sys.stderr}
    try:
        return subprocess.run(command, text=True, check=False, **streams)
    except FileNotFoundError:
        raise RefusedError(f"this host has no program {command[0]}; its image is older than this project") from None


def run(command: list[str]) -> None:
    """Run a command that must succeed."""
    done = execute(command)
    if done.returncode != 0:
        raise RefusedError(f"`{' '.join(command)}` failed: {' '.join((done.stderr + done.stdout).split())[-800:]}")


def is_active(unit: str) -> bool:
    """Tell whether systemd has the unit running."""
    return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def is_enabled(unit: str) -> bool:
    """Tell whether systemd starts the unit when the host boots."""
    command = ["systemctl", "is-enabled", "--quiet", unit]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def choose_action(document: dict[str, Any], changed: list[str]) -> str:
    """Decide what has to happen to the services: none, start, reload or restart."""
    units = document.get("enable", [])
    if units and not all(is_active(unit) for unit in units):
        return "start"
    if not changed:
        return "none"
    if any(path in changed for path in document.get("restart_on", [])):
        return "restart"
    return "reload" if document.get("reload") else "none"


def act(document: dict[str, Any], action: str) -> None:
    """Do `action`: bring the role's services to the new configuration."""
    units = document.get("enable", [])
    # Enabling one again has systemd read all units anew, several times: most of what an unchanged host would cost.
    if disabled := [unit for unit in units if not is_enabled(unit)]:
        run(["systemctl", "enable", "--quiet", *disabled])
    if action == "start":
        subprocess.run(["systemctl", "reset-failed", *units], check=False, capture_output=True)
        run(["systemctl", "restart", *units])
    elif action == "restart":
        run(document.get("restart") or ["systemctl", "restart", *units])
    elif action == "reload":
        run(document["reload"])


def pending_path(role: str) -> str:
    """Return the note that says which of the role's changed files no service has taken up yet."""
    return f"{PENDING}-{role}.json"


def remember(role: str, changed: Iterable[str]) -> list[str]:
    """Write down what changed before the services are told, so that a kill in between is made good next time."""
    os.makedirs(os.path.dirname(PENDING), exist_ok=True)
    earlier = json.loads(read(pending_path(role)) or "[]")
    together = sorted(set(earlier) | set(changed))
    if together:
        write(pending_path(role), json.dumps(together), "0600", "root:root")
    return together


def apply(document: dict[str, Any]) -> dict[str, Any]:
    """Apply the whole document; return what was done."""
    role = document["role"]
    make_directories(document.get("directories", []))
    staged = stage(document.get("files", []))
    try:
        if staged:
            validate(document.get("validate", []), staged)
    except RefusedError:
        discard(staged)
        raise
    changed = remember(role, staged)
    move_into_place(staged)
    if any(path.startswith("/etc/systemd/") for path in changed):
        run(["systemctl", "daemon-reload"])
    action = choose_action(document, changed)
    act(document, action)
    for command in document.get("wait", []):
        # The waiter speaks for itself on standard error; its last line is the reason if it gives up.
        if execute(command, quiet=False).returncode != 0:
            raise RefusedError(f"role {role}: `{' '.join(command)}` gave up waiting; its lines above say for what")
    if os.path.exists(pending_path(role)):
        os.unlink(pending_path(role))
    return {"changed": sorted(staged), "action": action}


def main() -> None:
    """Read the document, apply it, print the result."""
    try:
        print(json.dumps(apply(json.load(sys.stdin))))
    except json.JSONDecodeError as error:
        sys.exit(f"evenkeel-apply: standard input is not JSON: {error}")
    except KeyError as error:
        sys.exit(f"evenkeel-apply: the document lacks {error}")
    except RefusedError as refusal:
        sys.exit(f"evenkeel-apply on {os.uname().nodename}: {refusal}")


if __name__ == "__main__":
    shutil.which("systemctl") or sys.exit("evenkeel-apply: this host has no systemd")
    main()
