"""One stage from its input to its verdict."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any

from components.stages import Kind, State
from scripts.release.documents import StageInput
from scripts.release.journal import JournalError
from scripts.release.skip import plain, stage_of
from scripts.release.supervisor import supervise
from scripts.release.work import Work
from scripts.ssh import SshError, end_sharing


def run(name: str, document: Mapping[str, Any], began: float | None = None) -> dict[str, Any]:
    """Run a stage under its supervisor, record its verdict in the journal, and return it.

    `began`, in seconds since 1970, is when the stage's process was started; now, if it is not given.
    """
    began = time.time() if began is None else began
    told = StageInput.parse(document)
    stage = stage_of(name, document)
    work = Work(stage, told, int(told.figure("token", 0)))
    ended = already_ended(work)
    if ended is not None:
        return ended
    action = importlib.import_module(f"scripts.release.stages.{stage.kind}").act
    verdict = supervise(work, action).as_dict() | {"seconds": round(time.time() - began, 2)}
    if stage.kind is not Kind.OUTCOME and verdict["state"] != State.REFUSED:
        record(work, verdict, began)
    if stage.kind is Kind.OUTCOME:
        end_sharing(told.stack.deploy_key)
    return verdict


def already_ended(work: Work) -> dict[str, Any] | None:
    """Return the recorded verdict of a stage whose release has ended: it may be run again, and must change nothing."""
    release = work.told.release.id
    if holds_lock(work):
        return None
    try:
        known = next((entry for entry in work.journal.open.read()["releases"] if entry["id"] == release), None)
    except (SshError, JournalError):
        return None  # the stage itself finds out whether it can do without
    if known is None or known["state"] in ("in-progress", "held"):
        return None
    recorded = next((verdict for verdict in known["stages"] if verdict["stage"] == work.stage.name), None)
    is_good = known["state"] == "succeeded" or work.stage.kind is not Kind.OUTCOME
    reason = f"{release} has ended already: {known['state']}"
    blank = plain(work.stage.name, State.SKIPPED if is_good else State.FAILED, reason)
    if not blank["ok"]:
        work.say(reason)
    return {key: recorded[key] for key in blank} if recorded else blank


def holds_lock(work: Work) -> bool:
    """Tell whether the release still has its lock, and so goes on; this is the heartbeat's first beat as well."""
    if not work.token:
        return False
    try:
        work.heard = work.journal.beat(work.token, work.told.release.id, work.stage.name)
    except (SshError, JournalError):
        return False
    return True


def record(work: Work, verdict: Mapping[str, Any], began: float) -> None:
    """Write the verdict into the journal; a control host that is away has its own consequences elsewhere."""
    try:
        work.journal.open.verdict(work.told.release.id, verdict, began)
    except (SshError, JournalError) as error:
        work.say(f"the verdict could not be recorded: {error}")
