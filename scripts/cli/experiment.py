"""`evenkeel experiment`: releases under load, measured; goes on with what was interrupted; makes the report."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.experiment.errors import ExperimentError, FolderError

MOST_FAULTS = 5  # that the terminal names; the page has them all

experiment_app = typer.Typer(invoke_without_command=True)

StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="The stack; default: EVENKEEL_STACK, else the selected one."),
]


def register(app: typer.Typer) -> None:
    """Add the command to `evenkeel`."""
    app.add_typer(experiment_app, name="experiment", help="Measure what releases cost users, on the running stack.")


@experiment_app.callback()
def experiment(  # noqa: PLR0917  # typer: each option is an argument, none of them positional
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="A few short runs at the low level: minutes.")] = False,
    thesis: Annotated[bool, typer.Option("--thesis", help="3 scenarios, 3 levels, 10 runs of 5 min: a night.")] = False,
    soak: Annotated[
        int | None, typer.Option("--soak", metavar="N", min=1, help="N short releases one after another.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="FOLDER", help="Go on with this one; a path or its name.")
    ] = None,
    service: Annotated[
        Path | None, typer.Option("--service", metavar="FILE", help="Requests, versions and levels of your own.")
    ] = None,
    scenarios: Annotated[
        str | None, typer.Option(help="Of none, successful, failing, aa, unchanged; with commas.")
    ] = None,
    strategies: Annotated[str | None, typer.Option(help="Of bluegreen, halves, rolling, canary; with commas.")] = None,
    levels: Annotated[
        str | None, typer.Option(help="low, medium, high, 70% (of the knee), 50/100 (workers/rate); with commas.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="How many runs of each cell.")] = None,
    seconds: Annotated[float | None, typer.Option(min=5, help="The measured window of a run.")] = None,
    warmup: Annotated[float | None, typer.Option(min=0, help="Seconds of load before it.")] = None,
    requests: Annotated[
        str | None, typer.Option(help="mix (70 % read, 30 % write), get (reads) or thesis (GET /item).")
    ] = None,
    keepalive: Annotated[bool, typer.Option("--keepalive", help="Clients keep their connections.")] = False,
    knee: Annotated[bool | None, typer.Option(help="Whether to look for the most that this machine carries.")] = None,
    check: Annotated[
        int, typer.Option(metavar="RATE", min=0, help="Also follow up every write of clients that make RATE a second.")
    ] = 0,
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call its folder.")] = "",
    thesis_data: Annotated[
        bool, typer.Option("--thesis-data", help="Recompute the thesis's tables and p-values; needs no stack.")
    ] = False,
    stack: StackOption = None,
) -> None:
    """Measure what releases cost users: the same load with a release, without one, and by the thesis's way.

    Without options it goes on with the experiment that was interrupted last, or makes a quick one. Results, and a page
    that shows them, are in .evenkeel/experiments/NAME.
    """
    if context.invoked_subcommand is not None:
        return
    if thesis_data:
        from scripts.experiment.thesis import main as recompute  # noqa: PLC0415  # loads the statistics

        raise typer.Exit(recompute())
    changes = {
        "scenarios": words(scenarios),
        "strategies": words(strategies),
        "levels": words(levels),
        "runs": runs,
        "seconds": seconds,
        "warmup": warmup,
        "requests": requests,
        "keepalive": keepalive or None,
        "knee": knee,
        "check": check or None,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    with one_sentence():
        if sum((quick, thesis, bool(soak), resume is not None)) > 1:
            raise typer.BadParameter("give one of --quick, --thesis, --soak and --resume")
        if soak and runs:
            raise typer.BadParameter("--soak N says how many runs there are: leave out --runs")
        if resume is not None and (given or service or name):
            raise typer.BadParameter("an experiment is gone on with as it was begun: give --resume alone")
        is_new = quick or thesis or bool(soak) or bool(given) or service is not None or bool(name)
        kind = "thesis" if thesis else "soak" if soak else "quick" if quick or not is_new else "custom"
        raise typer.Exit(perform(resume, stack, settings_of(kind, soak, service, given) if is_new else None, name))


@experiment_app.command()
def report(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Its path or its name.")]) -> None:
    """Make an experiment's page again from what it measured."""
    from scripts.experiment.folder import Folder  # noqa: PLC0415  # see above

    with one_sentence():
        print(make_report(Folder.open(folder).path))


# --- parts --------------------------------------------------------------------------------------------------------


def perform(resume: str | None, stack: str | None, settings: Any, name: str) -> int:
    """Begin an experiment or go on with one, and make its report; the command's exit status."""
    from scripts.experiment import closing, conduct  # noqa: PLC0415  # load only when they are needed

    place, is_ours = folder_of(resume, stack, settings, name)
    say(f"results go to {place.path}")
    try:
        whole = conduct.conduct(place)
    except KeyboardInterrupt:
        say(f"interrupted; `evenkeel experiment --resume {place.name}` goes on")
        return 130
    except ExperimentError:
        if is_ours and place.is_empty:  # refused before anything was measured: there is nothing to go on with
            place.remove()
        raise
    for sentence in closing.sentences(place):
        say(sentence)
    if not whole:
        say(f"some runs could not be made; `evenkeel experiment --resume {place.name}` tries them again")
    faults = closing.faults(place)
    for sentence in faults[:MOST_FAULTS]:
        say(sentence)
    if len(faults) > MOST_FAULTS:
        say(f"and {len(faults) - MOST_FAULTS} more such: see the page")
    print(make_report(place.path))
    return 0 if whole and not faults else 1


def folder_of(resume: str | None, stack: str | None, settings: Any, name: str) -> tuple[Any, bool]:
    """The folder to work in, and whether it was made just now: another's is not ours to remove."""
    from scripts.experiment import conduct, folder, plan  # noqa: PLC0415  # see above
    from scripts.inventory import load  # noqa: PLC0415  # see above

    if resume is not None:
        place = folder.Folder.open(Path(resume))
        begun_on = place.document["stack"]
        asked = stack or os.environ.get("EVENKEEL_STACK") or begun_on
        if asked != begun_on:
            raise FolderError(
                f"{place.name} was begun on stack {begun_on}, not on {asked}", f"go on with `--stack {begun_on}`"
            )
        return place, False
    if settings is None and (unfinished := folder.newest_unfinished(load(stack).stack)):
        say(f"going on with {unfinished.name}; `--quick` begins another one")
        return unfinished, False
    settings = settings or plan.PRESETS["quick"]
    say(conduct.announce(settings))
    return conduct.begin(settings, stack, name), True


def make_report(folder: Path) -> Path:
    """Make the page of an experiment; where it is."""
    from scripts.experiment.report import make  # noqa: PLC0415  # loads the statistics

    return make(folder, say)


def settings_of(kind: str, soak: int | None, service: Path | None, given: dict[str, Any]) -> Any:
    """The settings that the options ask for."""
    from scripts.experiment import plan  # noqa: PLC0415  # see above
    from scripts.experiment.service import read_service  # noqa: PLC0415  # see above

    settings = replace(plan.PRESETS.get(kind, plan.PRESETS["quick"]), kind=kind)
    if soak:
        settings = replace(settings, runs=soak)
    if service is not None:
        own = read_service(service)
        settings = replace(
            settings, service=own.name, versions=own.versions, failing=own.failing, requests=own.requests,
            own_levels=own.levels, levels=tuple(own.levels) or settings.levels,
            scenarios=tuple(each for each in settings.scenarios if own.failing or each != "failing"),
        )  # fmt: skip
        if "requests" in given or "check" in given:
            raise typer.BadParameter("--requests and --check are for the sample service")
    return plan.check_settings(replace(settings, **given))


def words(text: str | None) -> tuple[str, ...] | None:
    """What is between commas."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


@contextmanager
def one_sentence() -> Iterator[None]:
    """An experiment's error ends the command with one sentence."""
    try:
        yield
    except ExperimentError as error:
        hint = f"; {error.hint}" if error.hint else ""
        print(f"evenkeel: {error}{hint}", file=sys.stderr)
        raise typer.Exit(1) from error


def say(sentence: str) -> None:
    """One line of progress, to standard error."""
    print(f"evenkeel: {sentence}", file=sys.stderr, flush=True)
