"""The verb `job`: long work started, asked for, stopped. It outlives whoever started it.

    {"ring", "data", "do": "start" | "state" | "stop" | "outside", "kind": "backfill" | "compare" | "scan",
     "run"?, "paced"?, "slowest"?, "streams"?, "afresh"?, "by"?, "users"?: {"p99_ms", "p99_before_ms"}}
 -> {"job", "state": "running" | "done" | "failed" | "absent", "rows", "ranges", "ranges_done", "rate", "left_seconds",
     "reason", "figures", …}

`start` attaches to work that runs, leaves work alone that is done (unless "afresh"), and goes on with work that was
stopped or killed. `slowest` is the fewest rows a second that paced work comes down to, by which whoever waits for it
counts its time. `outside` ends work whose rest another program ("by") has done. `users` is what paced work is to hear
of them, told along with any of these: a verb of its own would cost them more. With systemd a job is the transient unit
of its name; elsewhere a process of its own session.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.tables.errors import MisuseError, TablesError
from scripts.tables.held import is_held, job_name
from scripts.tables.progress import Progress, Users
from scripts.tables.request import value

START_SECONDS, STOP_SECONDS = 45.0, 30.0
POLL_SECONDS = 0.05
OUTSIDE_TRIES = 5
RUNTIME = "/run/evenkeel"
SYSTEMD = Path("/run/systemd/system")
KILLED = "it ended in the middle, without a word; started again, it goes on from there"


def job(document: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the document says; return the job's state afterwards."""
    name, progress = job_name(document), Progress()
    do = document.get("do")
    if "users" in document:
        progress.tell_users(read_users(value(document, "users", dict), progress.clock()))
    if do == "start":
        start(name, document, progress)
    elif do == "stop":
        stop(name, progress)
    elif do == "outside":
        outside(name, str(document.get("by", "another program")), progress)
    elif do != "state":
        raise MisuseError("do must be start, state, stop or outside")
    return state(name, progress)


def read_users(told: Mapping[str, Any], at: float) -> Users:
    """Return how users fare, heard at the moment `at`."""
    figures: list[Any] = [told.get(key) for key in ("p99_ms", "p99_before_ms")]
    for figure in figures:
        if not isinstance(figure, int | float) or isinstance(figure, bool) or not 0 <= figure < 1e9:
            raise MisuseError("users must have p99_ms and p99_before_ms, in milliseconds")
    return Users(float(figures[0]), float(figures[1]), at)


def start(name: str, document: Mapping[str, Any], progress: Progress) -> None:
    """Start a job that neither runs nor is done; return once it works."""
    if is_held(progress, name):
        return
    known = progress.read(name)
    if known and document.get("afresh"):
        progress.forget(name)
        known = None
    if known and known["state"] == "done":
        return
    before = known["started"] if known else 0
    launched = launch(name, document)
    give_up = time.monotonic() + START_SECONDS
    while (known := progress.read(name)) is None or known["started"] == before:
        if time.monotonic() > give_up:
            raise TablesError(f"{name} did not start in {START_SECONDS:.0f} s; see `journalctl -u {name}`")
        time.sleep(POLL_SECONDS)
        launched = launched or launch(name, document)


def launch(name: str, document: Mapping[str, Any]) -> bool:
    """Start the process: a transient unit where there is systemd, else one that leaves this session.

    False: the unit is there already, started by another, or about to end, and then it is to be launched once more.
    """
    content = json.dumps(document)
    if not SYSTEMD.is_dir() or os.environ.get("EVENKEEL_JOBS") == "detached":
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.tables.work", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        with process.stdin as stdin:  # type: ignore[union-attr]
            stdin.write(content.encode())
        return True
    folder = Path(RUNTIME)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / f"{name}-{os.getpid()}.json"  # of this start alone: another may be under way
    place.touch(mode=0o600)
    place.write_text(content, "utf-8")
    started = subprocess.run(unit_command(name, place), capture_output=True, text=True, check=False)
    if started.returncode != 0:
        place.unlink(missing_ok=True)
        if subprocess.run(["systemctl", "is-active", "--quiet", name], check=False).returncode != 0:
            raise TablesError(f"systemd does not start {name}: {started.stderr.strip()}")
    return started.returncode == 0


def unit_command(name: str, place: Path) -> list[str]:
    """Return the command that starts a job as a transient unit, which leaves nothing behind when it ends."""
    passed = [f"--setenv={key}={os.environ[key]}" for key in ("PYTHONPATH", "EVENKEEL_JOURNAL") if key in os.environ]
    return [
        "systemd-run", "--collect", "--quiet", f"--unit={name}", f"--description=Evenkeel: {name}",
        f"--working-directory={Path.cwd()}", "--property=Nice=10", *passed,
        "/usr/bin/env", "python3", "-m", "scripts.tables.work", str(place),
    ]  # fmt: skip


def stop(name: str, progress: Progress) -> None:
    """Let a job end after the page it is at, or kill it after 30 seconds."""
    known = progress.read(name)
    if not is_held(progress, name) or known is None or known["pid"] is None:
        return
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        try:
            os.kill(known["pid"], number)
        except ProcessLookupError:
            return
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            if not is_held(progress, name):
                return
            time.sleep(POLL_SECONDS)
    raise TablesError(f"{name} cannot be stopped; look at process {known['pid']}")


def outside(name: str, who: str, progress: Progress) -> None:
    """End a job as done; whoever follows it may start it again meanwhile, so its end is looked for."""
    for _ in range(OUTSIDE_TRIES):
        stop(name, progress)
        progress.hand_over(name, who)
        if not is_held(progress, name):
            return
    raise TablesError(f"{name} is started again and again; try once more")


def state(name: str, progress: Progress) -> dict[str, Any]:
    """Return how a job is, as plain data."""
    runs = is_held(progress, name)
    known = progress.read(name)
    if known is None:
        return {"job": name, "state": "running" if runs else "absent", "rows": 0, "ranges": 0, "ranges_done": 0,
                "rate": 0.0, "left_seconds": None, "reason": "", "figures": {}}  # fmt: skip
    lost = known["state"] == "running" and not runs
    answer = {
        "job": name,
        "state": "failed" if lost else known["state"],
        "reason": KILLED if lost else known["reason"],
        "left_seconds": left_seconds(known) if runs else None,
        "rate": round(known["rate"], 1) if runs else 0.0,
    }
    kept = (
        "rows", "ranges", "ranges_done", "ranges_repeated", "started", "began", "updated", "ended", "pace", "figures",
    )  # fmt: skip
    told = {**answer, **{key: known[key] for key in kept}}
    # Large tables have large parts: who looks shall see rows before the first one is finished.
    open_rows = int(told["figures"].pop("open_rows", 0))
    if runs:
        told["rows"] += open_rows
    return told


def left_seconds(known: Mapping[str, Any]) -> float | None:
    """Return how long the rest takes at the present rate; None as long as nothing can be said.

    The part of the ring that is done stands for the part of the rows: partitions are spread evenly over it.
    """
    share = known["width_done"] / known["width"] if known["width"] else 0.0
    if not share or not known["rate"]:
        return None
    return round(float(known["rows"] / share * (1 - share) / known["rate"]), 1)
