#!/usr/bin/python3
"""Whether requests that may write wait, for evenkeel-traffic; a module, not a command.

`freeze.map` says so (templates/haproxy): with its one entry HAProxy answers such requests with 503 and Retry-After, the
entry's value in seconds. HAProxy reads the file when it starts; a running one is told over its socket, so that nothing
is reloaded. Tried on HAProxy 2.6: from the moment when the entry is there no further write is let through, and
`conn_cur` of the stick-table `writes` counts those that were let through before until each has been answered.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import evenkeel_haproxy as haproxy
from evenkeel_haproxy import RefusedError

NAME, KEY = "freeze.map", "writes"
COUNT = re.compile(r"\bconn_cur=(\d+)")
PID = re.compile(r"^Pid: (\d+)$", re.MULTILINE)


def freeze(seconds: int) -> None:
    """Let writes wait, in HAProxy as it runs; refused where its configuration does not know how."""
    if not haproxy.save_map(NAME, {KEY: str(seconds)}):
        raise RefusedError("this HAProxy's configuration cannot let writes wait; `pulumi up` gives it one that can")


def thaw() -> None:
    """Let writes through again."""
    haproxy.save_map(NAME, {})


def frozen() -> bool:
    """Tell whether HAProxy itself lets writes wait now."""
    return any(line.split()[1:2] == [KEY] for line in haproxy.ask(f"show map {haproxy.FOLDER}/{NAME}").splitlines())


def under_way() -> int:
    """Return how many writes were let through and are not answered yet, and processes that a freeze does not reach.

    Those are HAProxy's own from before a reload: for some seconds they serve the connections that they have.
    """
    found = COUNT.search(haproxy.ask("show table writes"))
    return (int(found[1]) if found else 0) + len(older_processes())


def older_processes() -> list[int]:
    """Return the process ids of HAProxy's workers other than the one that answers the socket."""
    answered = PID.search(haproxy.ask("show info"))
    if answered is None:
        return []
    worker = int(answered[1])
    known = dict(processes())
    return [pid for pid, (name, parent) in known.items() if pid != worker and (name, parent) == known.get(worker)]


def processes() -> Iterator[tuple[int, tuple[str, int]]]:
    """Give (pid, (name, parent's pid)) of every process (proc(5), /proc/PID/stat, fields 2 and 4)."""
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(entry)}/stat", encoding="utf-8", errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
            yield int(entry), (name, int(rest.split()[1]))
