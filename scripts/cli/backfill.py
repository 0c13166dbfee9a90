"""`evenkeel backfill`: how far the copy of a release is; or the same copy by a program for tables of any size."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.cli.releases import StackOption, ask
from scripts.cli.tables import stack_with_ring
from scripts.release.control_tables import ControlTables
from scripts.release.errors import StageError
from scripts.release.jobs import progress
from scripts.tables.errors import TablesError
from scripts.tables.external import DSBULK, SPARK, Engine, Step, shown, steps
from scripts.tables.migrator import require_whole
from scripts.tables.request import read_data, read_ring

PROGRAMS = {SPARK: "spark-submit", DSBULK: "dsbulk"}


def register(app: typer.Typer) -> None:
    """Add the command to `evenkeel`."""
    app.command()(backfill)


def backfill(
    *,
    engine: Annotated[
        str, typer.Option("--engine", metavar="spark|dsbulk", help="Copy with this program instead of looking.")
    ] = "",
    master: Annotated[str, typer.Option("--master", metavar="URL", help="Spark's master.")] = "local[*]",
    jar: Annotated[str, typer.Option("--jar", metavar="FILE", help="Cassandra Data Migrator's jar, for Spark.")] = "",
    program: Annotated[
        str, typer.Option("--program", metavar="FILE", help="Where spark-submit or dsbulk is; default: on PATH.")
    ] = "",
    whole_rows: Annotated[
        bool, typer.Option("--whole-rows", help="Every write of the service covers the whole row, or nobody writes.")
    ] = False,
    rows_per_second: Annotated[int, typer.Option("--rows-per-second", min=1, help="At most so many.")] = 20_000,
    again: Annotated[int, typer.Option("--run", metavar="ID", help="Go on with this run of the migrator's.")] = 0,
    print_only: Annotated[bool, typer.Option("--print", help="Show the commands and files, run nothing.")] = False,
    stack: StackOption = None,
) -> None:
    """Show how far the copy of the rows is; with --engine, do the rest of it on Spark or with DSBulk.

    The release's own copy goes on meanwhile at its pace, and ends as done when the other program has ended well. The
    release then compares both tables, as always.
    """
    data = data_being_made(stack)
    machines = stack_with_ring(stack)
    tables = ControlTables(machines, data)
    try:
        if not engine:
            print(progress("backfill", tables.job("state", "backfill")))
            return
        chosen = Engine(
            engine, program or PROGRAMS.get(engine, engine), master, jar, whole_rows, rows_per_second, again
        )
        copy(chosen, machines.ring, data, tables, print_only)
    except (StageError, TablesError) as error:
        print(f"evenkeel: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def data_being_made(stack: str | None) -> dict[str, Any]:
    """Return what the release in progress changes; ends the command where none changes the data."""
    known = ask(stack, lambda journal: journal.read(1))
    making = [pair for pair in known.get("pairs") or () if pair["state"] == "making"]
    if not making:
        print(
            "evenkeel: no release copies a table now; the stage «backfill» of one that does is the time",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    data: dict[str, Any] = making[0]["data"]
    return data


def copy(engine: Engine, ring: Any, data: dict[str, Any], tables: ControlTables, print_only: bool) -> None:
    """Write the files, run the programs one after the other, and say that the copy is done."""
    document = {"ring": ring, "data": data}
    rows = {name: int(count) for name, count in tables.count()["tables"].items()} if not print_only else {}
    reached, told = read_ring(document), read_data(document)
    with tempfile.TemporaryDirectory(prefix="evenkeel-backfill-") as folder:
        for step in steps(engine, reached, told, folder, rows):
            show(step)
            if not print_only:
                run(step, Path(folder))
    if print_only:
        return
    if engine.name == SPARK:
        require_whole(reached, told.keyspace, [change.target for change in told.tables])
    print(progress("backfill", tables.job("outside", "backfill", by=engine.name)))


def show(step: Step) -> None:
    """Print what is to be run; the files' passwords stay out of it."""
    for name, content in step.files.items():
        print(f"# {name}")
        print("".join(line + "\n" for line in content.splitlines() if "password" not in line), end="")
    print(shown(step.command), flush=True)


def run(step: Step, folder: Path) -> None:
    """Run one program to its end; its output is the person's to see."""
    for name, content in step.files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(content, "utf-8")
    try:
        status = subprocess.run(step.command, env=os.environ, check=False).returncode
    except OSError as error:
        raise TablesError(
            f"{step.command[0]} cannot be started ({error.strerror}); say where it is: --program"
        ) from error
    if status != 0:
        raise TablesError(f"{step.command[0]} ended with status {status}; the release's own copy goes on")
