"""The stack's hosts, as the running program exported them, and how to log in to them.

There is one way to know them: `load` asks `pulumi stack output` and keeps the answer in `.evenkeel/ssh/<stack>/`
(deploy key, known_hosts, inventory.json; files 0600), because asking takes seconds. The kept answer is used while the
stack's checkpoint in the local file backend is the very one it came from; with any other backend, every time is new.

Errors, all below `InventoryError`, one sentence each: no such stack, not up yet, Pulumi's own complaint, and
`UnknownHostError` with the nearest names.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from scripts.ssh import Login

PROJECT = "evenkeel"
DEFAULT_STACK = "dev"
ROOT = Path(__file__).resolve().parents[1]
STACK_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,100}")
PULUMI_SECONDS = 60.0


class Role(StrEnum):
    """What a host is for."""

    LOAD_BALANCER = "lb"
    APP_SERVER = "app"
    DATABASE = "db"
    NAME_SERVER = "ns"
    CONTROL = "control"
    TEST_RUNNER = "runner"


class InventoryError(Exception):
    """The hosts cannot be known; the message is one sentence, `hint` says what to do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class UnknownHostError(InventoryError):
    """The stack has no host of that name."""


@dataclass(frozen=True)
class Host:
    """One machine. `site` is None where it serves all sites.

    `on` and `off` are what starts and stops it from here: a module of this project and its arguments.
    """

    name: str
    role: Role
    site: str | None
    address: str
    host_key: str
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """All hosts of a stack, and what else commands need to know of it. `directory` holds the key and known_hosts.

    `slowness` is how many times longer than usual the hosts may take.
    """

    stack: str
    zone: str
    service: str
    url: str
    version: str
    sites: tuple[str, ...]
    name_servers: tuple[str, ...]
    hosts: tuple[Host, ...]
    directory: Path
    deploy_key: str = field(repr=False)
    ring: Mapping[str, Any] = field(default_factory=dict, repr=False)  # how programs there reach the database
    slowness: int = 1

    def host(self, name: str) -> Host:
        """The host of this name; UnknownHostError, with near matches, when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = [host.name for host in self.hosts]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        raise UnknownHostError(f"stack {self.stack} has no host «{name}»", hint)

    def with_role(self, role: Role) -> tuple[Host, ...]:
        """The hosts of one role, in the order of the stack."""
        return tuple(host for host in self.hosts if host.role is role)

    def login(self, host: Host) -> Login:
        """How to reach a host."""
        return Login(host.name, host.address, host.host_key, self.deploy_key, slowness=self.slowness)

    @property
    def key_file(self) -> Path:
        """The deploy key, for programs that want a file."""
        return self.directory / "deploy_key"

    @property
    def known_hosts_file(self) -> Path:
        """The pinned host keys, for programs that want a file."""
        return self.directory / "known_hosts"


def load(stack: str | None = None, refresh: bool = False) -> Inventory:
    """The inventory of a stack: the named one, else EVENKEEL_STACK, else the selected one."""
    name = stack or os.environ.get("EVENKEEL_STACK") or selected_stack()
    if not STACK_NAME.fullmatch(name):
        raise InventoryError(f"«{name}» is no name of a stack", "letters, digits, «.», «_» and «-» make one")
    directory = ROOT / ".evenkeel" / "ssh" / name
    stamp = checkpoint_stamp(name)
    if stamp == "absent":
        raise InventoryError(f"there is no stack {name}", "`make up` makes it")
    if not refresh and stamp is not None and (kept := read_kept(directory, stamp)):
        return kept
    outputs = read_outputs(name)
    inventory = parse_outputs(outputs, name, directory)
    keep(inventory, outputs, stamp)
    return inventory


# --- which stack, and whether the kept answer still holds ---------------------------------------------------------


def selected_stack() -> str:
    """The stack `pulumi stack select` chose for this project, as the CLI keeps it; «dev» when none was chosen."""
    if from_environment := os.environ.get("PULUMI_STACK"):
        return from_environment.rsplit("/", 1)[-1]
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    digest = hashlib.sha1(str(ROOT / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        workspace = json.loads((home / "workspaces" / f"{PROJECT}-{digest}-workspace.json").read_text("utf-8"))
        # One choice a backend; older CLIs knew a single one.
        chosen = workspace.get("stacks", {}).get(backend_url()) or workspace.get("stack")
        return str(chosen or DEFAULT_STACK).rsplit("/", 1)[-1]
    return DEFAULT_STACK


def backend_url() -> str:
    """Where the state is: as the environment says, or in the project's directory (so does scripts/pulumi)."""
    return os.environ.get("PULUMI_BACKEND_URL") or f"file://{ROOT / '.evenkeel' / 'state'}"


def checkpoint_stamp(stack: str) -> str | None:
    """What changes with the stack's checkpoint: «absent» without one, None when the backend is not a directory."""
    backend = backend_url()
    directory = backend_directory(backend)
    if directory is None:
        return None
    folder = directory / "stacks" / PROJECT
    for name in (f"{stack}.json", f"{stack}.json.gz"):
        with contextlib.suppress(OSError):
            status = (folder / name).stat()
            return f"{backend} {status.st_mtime_ns} {status.st_size}"
    return "absent"


def is_updating(stack: str) -> bool:
    """Whether an update of the stack runs, by its lock in the state directory.

    Its checkpoint changes all the time, but the outputs only at its end: asking again and again would tell nothing new,
    and a person who aborts a release should not have to wait for it.
    """
    folder = backend_directory(backend_url())
    return folder is not None and any((folder / "locks" / "organization" / PROJECT / stack).glob("*.json"))


def backend_directory(backend: str) -> Path | None:
    """The directory of a local backend's state, None for any other."""
    url = urlparse(backend)
    return Path(unquote(url.netloc + url.path)).expanduser() / ".pulumi" if url.scheme == "file" else None


def read_kept(directory: Path, stamp: str) -> Inventory | None:
    """The kept answer if it is whole and came from this checkpoint, or from the one before the update that runs."""
    try:
        kept = json.loads((directory / "inventory.json").read_text("utf-8"))
        if kept["stamp"] != stamp and not (stamp and is_updating(directory.name)):
            return None
        outputs = kept["outputs"] | {"deploy_key": (directory / "deploy_key").read_text("utf-8")}
        return parse_outputs(outputs, directory.name, directory)
    except (OSError, ValueError, KeyError, TypeError, InventoryError):
        return None


def keep(inventory: Inventory, outputs: Mapping[str, Any], stamp: str | None) -> None:
    """Write the three files; inventory.json, which makes the others valid, last."""
    inventory.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    inventory.directory.chmod(0o700)
    known_hosts = "".join(f"{host.address} {host.host_key}\n" for host in inventory.hosts)
    public = {name: outputs.get(name) for name in ("inventory", "version", "url")}
    write_private(inventory.known_hosts_file, known_hosts)
    write_private(inventory.key_file, inventory.deploy_key)
    write_private(inventory.directory / "inventory.json", json.dumps({"stamp": stamp, "outputs": public}, indent=1))


def write_private(path: Path, content: str) -> None:
    """Replace a file by one that only its owner can read; never half written, never open for a moment."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    new.replace(path)


# --- what Pulumi says ---------------------------------------------------------------------------------------------


def pulumi_command() -> str:
    """The project's `pulumi`: the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("pulumi")
    found = str(beside) if beside.exists() else shutil.which("pulumi")
    if not found:
        raise InventoryError("there is no `pulumi` command in the project's environment", "run `make bootstrap`")
    return found


def read_outputs(stack: str) -> Mapping[str, Any]:
    """The stack's outputs, secrets in clear."""
    command = [pulumi_command(), "stack", "output", "--json", "--show-secrets", "--stack", stack]
    try:
        done = subprocess.run(
            [*command, "--non-interactive"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PULUMI_SECONDS,
            check=False,
        )
        outputs = json.loads(done.stdout) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        raise InventoryError(f"`pulumi stack output` did not answer within {PULUMI_SECONDS:g} s") from None
    except (OSError, ValueError) as error:
        raise InventoryError(f"`pulumi stack output` cannot be read: {error}") from error
    if done.returncode != 0:
        raise refusal(stack, done.stderr)
    return outputs if isinstance(outputs, dict) else {}


def refusal(stack: str, said: str) -> InventoryError:
    """Pulumi's complaint as one of ours."""
    if "no stack named" in said:
        return InventoryError(f"there is no stack {stack}", "`make up` makes it")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return InventoryError(f"Pulumi does not show stack {stack}: {(errors or lines or ['no reason given'])[-1]}")


def parse_outputs(outputs: Mapping[str, Any], stack: str, directory: Path) -> Inventory:
    """The stack's outputs as an Inventory."""
    if not outputs.get("inventory") or not outputs.get("deploy_key"):
        raise InventoryError(f"stack {stack} is not up yet: it has no hosts", "`make up` brings it up")
    try:
        seen = outputs["inventory"]
        return Inventory(
            stack=stack,
            zone=str(seen["zone"]),
            service=str(seen["service"]),
            url=str(outputs.get("url") or seen["url"]),
            version=str(outputs["version"]),
            sites=tuple(seen["sites"]),
            name_servers=tuple(seen["name_servers"]),
            hosts=tuple(parse_host(host) for host in seen["hosts"]),
            directory=directory,
            deploy_key=str(outputs["deploy_key"]).strip() + "\n",
            ring=seen.get("ring") or {},
            slowness=int(seen.get("slowness", 1)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InventoryError(
            f"stack {stack} was made by another version of Evenkeel: its outputs have no usable {error}",
            "run `pulumi up`",
        ) from error


def parse_host(host: Mapping[str, Any]) -> Host:
    """One host of the «inventory» output."""
    return Host(
        name=str(host["name"]),
        role=Role(host["role"]),
        site=host.get("site"),
        address=str(host["address"]),
        host_key=str(host["host_key"]).strip(),
        on=tuple(host["power"]["on"]),
        off=tuple(host["power"]["off"]),
    )
