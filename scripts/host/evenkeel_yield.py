#!/usr/bin/python3
"""Let a version that nobody uses yet have the processor time that nobody else wants; a module of evenkeel-slot.

A program that starts takes all of a processor for seconds, and users of the other slot, or of the other hosts on the
same machine, wait for it. Linux has a class for such work, SCHED_IDLE (sched(7)). To take a process out of it again
root needs CAP_SYS_NICE; where it does not have that, nothing yields. evenkeel-slot itself yields meanwhile, too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import evenkeel_memory

MARKER = "/run/evenkeel-app-{slot}.yields"
# Threads that are started while others are taken out of the class are met by the next look.
MOST_LOOKS = 5


def can_return() -> bool:
    """Tell whether a process that was put into the class could be taken out again, by trying it on one."""
    child = os.fork()
    if not child:
        try:
            enter(0, os.SCHED_IDLE)
            enter(0, os.SCHED_OTHER)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def enter(thread: int, policy: int) -> None:
    """Put a thread (0: this one) into a class; those that it starts from then on are in it, too."""
    os.sched_setscheduler(thread, policy, os.sched_param(0))


def join_if_asked(slot: str) -> None:
    """As the process that becomes the slot's program: yield, if `yielding` is under way for the slot."""
    with suppress(OSError, ValueError):
        with open(MARKER.format(slot=slot), encoding="utf-8") as file:
            asked = time.time() < float(file.read())
        if asked:
            enter(0, os.SCHED_IDLE)


def restore(user: int) -> None:
    """Take all threads of the user's processes out of the class, where that is allowed."""
    for _ in range(MOST_LOOKS):
        found = [thread for process in evenkeel_memory.processes(user) for thread in yielding_threads(process)]
        if not found:
            return
        for thread in found:
            with suppress(OSError):
                enter(thread, os.SCHED_OTHER)


def yielding_threads(process: int) -> list[int]:
    """Return the process's threads that are in the class."""
    found = []
    with suppress(OSError):
        for name in os.listdir(f"/proc/{process}/task"):
            with suppress(OSError):
                if os.sched_getscheduler(int(name)) == os.SCHED_IDLE:
                    found.append(int(name))
    return found


@contextmanager
def yielding(slot: str, user: int, seconds: float) -> Iterator[None]:
    """Let this process, and what starts in the slot within this block, yield until its end, for `seconds` at most.

    A limit, for on a machine without any time to spare the program would never come to be ready. `user` is the slot's
    own, whose processes are nothing but the slot's program.
    """
    if not can_return():
        yield
        return
    marker, lock, this = MARKER.format(slot=slot), threading.Lock(), threading.get_native_id()

    def end() -> None:
        with lock:
            enter(this, os.SCHED_OTHER)
            with suppress(FileNotFoundError):
                os.unlink(marker)
            restore(user)

    with open(marker, "w", encoding="utf-8") as file:
        file.write(str(time.time() + seconds))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that the block ends when whoever started this is gone
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()  # and only then, for a thread begins in the class of the one that starts it
    enter(0, os.SCHED_IDLE)
    try:
        yield
    finally:
        timer.cancel()
        end()
