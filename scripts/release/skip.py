"""Whether a stage acts at all. Loads nothing that talks to machines: a stage that skips itself must cost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.stages import Kind, Stage, State, find, reason_to_pass, reason_to_skip
from scripts.release.documents import Verdict, now


def skipped(name: str, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the verdict of a stage that has nothing to do, None if it acts; loads nothing that talks to machines."""
    try:
        stage = stage_of(name, document)
    except KeyError:
        # The config asks for other stages than this release, which has ended, was made with.
        return plain(name, State.SKIPPED, f"{document['release']['id']} has no such stage")
    reason = reason_to_skip(stage, list(document.get("earlier") or ()))
    if reason:
        return plain(name, State.SKIPPED, reason)
    release = document["release"]
    is_open = stage.kind is Kind.GATE and reason_to_pass(release["plan"], is_revert=release["revert"])
    return plain(name, State.PASSED, is_open) if is_open else None


def plain(name: str, state: State, reason: str) -> dict[str, Any]:
    """Return a verdict without figures."""
    return Verdict(name, state, reason, {}, 0.0, now()).as_dict()


def stage_of(name: str, document: Mapping[str, Any]) -> Stage:
    """Return the stage of that name in the release's plan."""
    return find(name, len(document["release"]["plan"]["groups"]))
