"""The report of an experiment: report.html, one file with everything in it; report.md and pictures/ beside it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components.render import render
from scripts.experiment import report_machine
from scripts.experiment import report_tables as tables
from scripts.experiment.answer import Answer, Noticed, answers
from scripts.experiment.cells import Cell, Results, read_results
from scripts.experiment.folder import writing
from scripts.experiment.pictures.capacity import knee_picture, soak_picture
from scripts.experiment.pictures.spread import box_pictures, error_picture
from scripts.experiment.pictures.style import Picture
from scripts.experiment.pictures.thesis import thesis_pictures
from scripts.experiment.pictures.timelines import timeline_pictures
from scripts.experiment.records import Experiment
from scripts.experiment.report_words import runs_in_words, sentence
from scripts.experiment.soak import TABLE, verdict
from scripts.experiment.statistics.inferiority import Verdict
from scripts.journal.words import span

SAID = {
    Noticed.NO: "No",
    Noticed.YES: "Yes",
    Noticed.UNKNOWN: "Cannot be told",
    Noticed.NO_FAILURE: "No failed request",
}
TONES = {Noticed.NO: "good", Noticed.YES: "bad", Noticed.UNKNOWN: "open", Noticed.NO_FAILURE: "good"}
LABELS = {
    "bluegreen": "Blue-green (Evenkeel)",
    "halves": "Halves (the thesis's way)",
    "rolling": "Rolling",
    "canary": "Canary",
}
CONTROL_REMARKS = {
    "aa": "runs without a release, made again, are worse than those without one: this machine was not quiet enough for "
    "the verdicts of that level",
    "unchanged": "`pulumi up` that changes nothing is worse than none: part of what a release costs users here is the "
    "deployer's own work on the same processors, or this machine was not quiet enough",
}
BETTER = (
    "runs without a release, made again, are better than those without one, which were slow by chance: what is no "
    "worse there is so by a bar that is too low"
)
SHOWN_REASONS = 4


def make(folder: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Make the report of an experiment's folder; the page's path. Raises FolderError with one sentence.

    Runs that are not measured yet are named on the page; `say` is told what is worked on.
    """
    samples, place, page = folder / TABLE, folder / "pictures", folder / "report.html"
    with writing(folder):
        results = read_results(folder, say)
        pictures = draw(results, samples)
        context = content(results, pictures) | {"soak": verdict(samples) if samples.exists() else []}
        place.mkdir(exist_ok=True)
        for picture in all_of(pictures):
            write(place / f"{picture.name}.svg", picture.svg)
        write(folder / "report.md", render("experiment/report.md.j2", **context))
        write(page, render("experiment/report.html.j2", **context))
    return page


def draw(results: Results, samples: Path) -> dict[str, list[Picture]]:
    """All pictures by the section they belong to."""
    knee = knee_picture(results.experiment)
    return {
        "timelines": timeline_pictures(results),
        "errors": [error_picture(results)],
        "runs": box_pictures(results),
        "thesis": thesis_pictures(results),
        "knee": [knee] if knee else [],
        "soak": [soak_picture(samples)] if samples.exists() else [],
    }


def all_of(pictures: Mapping[str, list[Picture]]) -> list[Picture]:
    """The pictures in their order."""
    return [picture for section in pictures.values() for picture in section]


def content(results: Results, pictures: Mapping[str, list[Picture]]) -> dict[str, Any]:
    """What the templates show."""
    return {
        "name": results.experiment.name,
        "answers": [answer_content(answer) for answer in answers(results)],
        "glance": tables.glance(results),
        "pictures": pictures,
        "sources": {picture.name: as_source(picture) for picture in all_of(pictures)},
        "tables": {
            "verdicts": tables.verdicts(results),
            "comparisons": tables.comparisons(results),
            "failures": tables.failed(results),
            "times": tables.times(results),
            "halves": tables.against_halves(results),
            "levels": tables.levels(results),
            "runs": tables.runs(results),
        },
        "facts": facts(results),
        "remarks": remarks(results),
    }


def answer_content(answer: Answer) -> dict[str, Any]:
    """An answer in words."""
    hidden = len(answer.reasons) - SHOWN_REASONS
    more = [f"and {hidden} more: see the verdicts"] if hidden > 0 else []
    return {
        "strategy": LABELS.get(answer.strategy, answer.strategy),
        "said": SAID[answer.noticed],
        "tone": TONES[answer.noticed],
        "requests": sentence(answer.requests, "requests failed"),
        "releases": sentence(answer.releases, "releases had a failed request"),
        "reasons": [*answer.reasons[:SHOWN_REASONS], *more],
    }


def facts(results: Results) -> list[tuple[str, str]]:
    """The experiment and its machine, as name and value."""
    experiment = results.experiment
    machine, settings = experiment.machine, experiment.settings
    made = sum(len(cell.measured) for cell in results.cells)
    found = [
        ("made", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(experiment.created))),
        ("runs", f"{made} of {len(experiment.runs)} ({experiment.kind}), order by seed {experiment.seed}"),
        ("a run", f"{span(float(settings['seconds']))} measured after {span(float(settings['warmup']))} of warm-up"
                  if {"seconds", "warmup"} <= settings.keys() else ""),
        ("requests", requests_in_words(experiment)),
        ("processor", f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} cores"),
        ("memory", f"{machine.get('memory_mb', 0):,} MB"),
        ("system", f"{machine.get('os', 'unknown')}, {machine.get('kernel', '')}"),
        ("stack", experiment.stack),
        ("knee", f"{experiment.knee:g} requests/s" if experiment.knee is not None else "not looked for"),
        ("writes followed up", followed_up(results)),
    ]  # fmt: skip
    return [(name, value) for name, value in found if value]


def requests_in_words(experiment: Experiment) -> str:
    """What was asked of the service, and over which connections."""
    settings = experiment.settings
    kinds = {
        "mix": "a mix of reads and writes of /item",
        "get": "reads of /item",
        "thesis": "GET /item as in the thesis, which here gets a page of 100 rows at most",
    }
    asked = settings.get("requests", "mix")
    words = kinds.get(asked, "those of the service's file") if isinstance(asked, str) else "those of the service's file"
    rows = f", {experiment.rows:,} rows" if experiment.rows is not None else ""
    return f"{words}{rows}; {'kept-alive connections' if settings.get('keepalive') else 'a connection each'}"


def followed_up(results: Results) -> str:
    """In how many runs every write was followed up, and what came of it; empty where in none."""
    checked = [m for cell in results.cells for m in cell.measured if m.run.check_passed is not None]
    lost = sum(not measured.run.check_passed for measured in checked)
    return f"in {runs_in_words(len(checked))}; acknowledged ones missing after {lost}" if checked else ""


def remarks(results: Results) -> list[str]:
    """What a reader should know before taking the figures as they are, what weighs most first."""
    found = [
        f"{measured.run.id}: the checker found acknowledged writes that are not there"
        for cell in results.cells for measured in cell.lost_writes
    ]  # fmt: skip
    for cell in results.cells:
        for measured in cell.unexpected:
            ended = measured.run.release.verdict if measured.run.release else "made no release"
            found.append(f"{measured.run.id}: the release ended otherwise than its scenario has it: {ended}")
    found += report_machine.remarks(results)
    if results.missing:
        some = ", ".join(results.missing[:5]) + (", …" if len(results.missing) > 5 else "")
        found.append(f"planned and not measured: {len(results.missing)}, {some}")
    for cell in results.cells:
        found += control_remarks(cell)
        for measured in cell.measured:
            if measured.summary.unsent:
                found.append(f"{measured.run.id}: {measured.summary.unsent:,} requests were due and never begun")
            found += [f"{measured.run.id}: {note}" for note in measured.run.notes]
    return found


def control_remarks(cell: Cell) -> list[str]:
    """What a control says of its level; of one above what the machine carries nothing."""
    if cell.scenario not in CONTROL_REMARKS or cell.level.saturated:
        return []
    found = list(cell.against.values())
    if any(against.verdict is Verdict.WORSE for against in found):
        return [f"level {cell.level.label}: {CONTROL_REMARKS[cell.scenario]}"]
    better = cell.scenario == "aa" and any(
        against.inferiority.high < 1 / against.inferiority.margin for against in found
    )
    return [f"level {cell.level.label}: {BETTER}"] if better else []


def as_source(picture: Picture) -> str:
    """A picture as the source of an image: in the page itself."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg.encode()).decode()}"


def write(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old or the new one whole."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, "utf-8")
    new.replace(path)
