#!/usr/bin/python3
"""What a slot's processes use, and a guard where the kernel does not hold their limit; a module of evenkeel-slot.

MemoryMax is the limit. A container whose cgroups are of the old kind leaves systemd no say over memory: there a second
process watches the slot's user and does what the kernel would. It is slower, and looks at what cannot be given back
only (anonymous and shared memory), but a version that leaks ends before it takes the other slot's host with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

# Seconds between two looks: the longer, the more is left. Looking four times a second, four such
# processes took half a percent of a machine of two cores that serves.
SHORTEST, LONGEST = 0.25, 0.5


def is_limited() -> bool:
    """Tell whether the kernel holds this unit's own limit."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        groups = {controllers: path for _, controllers, path in (line.strip().split(":", 2) for line in file)}
    for controllers, path in groups.items():
        if "memory" in controllers.split(","):
            return path.endswith(".service")
    return os.path.exists(f"/sys/fs/cgroup{groups.get('', '')}/memory.max")


def processes(user: int) -> list[int]:
    """Return the user's processes, but for this one."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(name) != os.getpid() and os.stat(f"/proc/{name}").st_uid == user:
                found.append(int(name))
        except FileNotFoundError:
            continue
    return found


def used_mb(watched: list[int]) -> float:
    """Return the memory of these processes that cannot be given back, in MiB."""
    total = 0
    for process in watched:
        try:
            with open(f"/proc/{process}/status", encoding="utf-8") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith(("RssAnon:", "RssShmem:")))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1024


def pause(used: float, limit_mb: float) -> float:
    """Return the seconds until the next look: the share of the limit that is left, within bounds."""
    return min(max(1 - used / limit_mb, SHORTEST), LONGEST)


def guard(limit_mb: float) -> None:
    """Leave a process behind that ends this user's processes when they use more; nobody's child but init's."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    user = os.getuid()
    while watched := processes(user):
        used = used_mb(watched)
        if used > limit_mb:
            print(f"out of memory: {used:.0f} MiB are used, {limit_mb:g} MiB is the limit; killed", flush=True)
            for process in processes(user):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            os._exit(0)
        time.sleep(pause(used, limit_mb))
    os._exit(0)
