"""Which run of Pulumi made, or found right, a host: so that a replacement's deletion spares what it just confirmed.

Pulumi replaces by creating first and deleting the old one afterwards. A replacement with an unchanged specification
(`--replace`) finds its host as it should be; the deletion that follows must not take it away. Both steps are started
by the same process, Pulumi's provider, which ends with the run: that process is the run's name.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".evenkeel" / "cache" / "confirmed"
# The CLI's provider of commands, and the embedded engine, which is its own.
PROVIDERS = ("pulumi-resource-command", "scripts.engine")


def current_run(parent: int | None = None) -> str:
    """The run we are part of: its process and start time, since numbers are used again; empty when run by hand."""
    process = Path("/proc") / str(parent or os.getppid())
    command = (process / "cmdline").read_bytes().decode(errors="replace")
    if not any(provider in command for provider in PROVIDERS):
        return ""
    return f"{process.name} {(process / 'stat').read_text().rpartition(')')[2].split()[19]}"


def confirm(container: str, run: str, folder: Path = FOLDER) -> None:
    """Note that a run has made this container, or found it right."""
    if run:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / container).write_text(run)


def is_confirmed(container: str, run: str, folder: Path = FOLDER) -> bool:
    """Whether this very run has made this container, or found it right."""
    note = folder / container
    return bool(run) and note.exists() and note.read_text() == run


def forget(container: str, folder: Path = FOLDER) -> None:
    """Drop the note of a container that is gone."""
    (folder / container).unlink(missing_ok=True)
