"""Outcome: the one stage that may fail `pulumi up`. Says what happened, what serves now, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from components.stages import Kind, State, bad, waits
from scripts.journal.words import span
from scripts.release.apart import NOT_LEVEL
from scripts.release.data import in_words
from scripts.release.documents import StageInput, listed
from scripts.release.errors import StageFailedError
from scripts.release.journal import Journal, JournalError
from scripts.release.work import Work
from scripts.ssh import SshError


@dataclass(frozen=True)
class Outcome:
    """How a release ended: the journal's word for it, one sentence, and the version that serves."""

    state: str
    reason: str
    serving: str
    advice: str

    def lines(self, release: str) -> list[str]:
        """Return what is printed at the end."""
        return [f"{release} {self.state.replace('-', ' ')}: {self.reason}", f"serving: {self.serving}. {self.advice}"]


def act(work: Work) -> str:
    """Conclude, record, let the lock go; raises StageFailedError for anything but a whole success."""
    outcome = conclude(work.told)
    for line in outcome.lines(work.told.release.id):
        work.say(line)  # first: a control host that hangs must not keep it from the person who waits
    record(work, outcome)
    if outcome.state != "succeeded":
        raise StageFailedError(outcome.reason)
    if "not_recorded" in work.figures:
        # The next release would start from what the journal says is live.
        why = work.figures["not_recorded"]
        raise StageFailedError(f"{outcome.reason}; but the journal could not be written ({why}): run `pulumi up` again")
    return outcome.reason


def conclude(told: StageInput) -> Outcome:
    """Return how the release ended, from the verdicts alone."""
    release, stopped = told.release, bad(told.earlier)
    if stopped is None:
        return success(told)
    why = f"{stopped['stage']}: {stopped['reason']}"
    before = release.previous.version if release.previous else "nothing"
    if stopped["state"] == State.REFUSED:
        return Outcome("refused", why, before, "Nothing was touched; put it right and run `pulumi up` again.")
    rollback = next(verdict for verdict in told.earlier if verdict["stage"] == Kind.ROLLBACK)
    match rollback["state"]:
        case State.PASSED:
            advice = "`pulumi up` tries again; the old version in the config leaves everything as it is."
            return Outcome("rolled-back", why, before, advice)
        case State.HELD:
            return Outcome(
                "held", f"{why}; {rollback['reason']}", "as `evenkeel status` shows", "Nothing was destroyed."
            )
    advice = "See `evenkeel status`; `pulumi up` goes on from there."
    return Outcome("failed", f"{why}; rollback: {rollback['reason']}", "as `evenkeel status` shows", advice)


def success(told: StageInput) -> Outcome:
    """Return the outcome of a release that went through, perhaps not everywhere."""
    release, left_out, lost = told.release, told.left_out, lost_at_last(told)
    missing = [f"site {site} is left out of the pool ({why})" for site, why in left_out.items()]
    missing += [f"{name} could not be reached ({why})" for name, why in lost.items()]
    behind = told.figure(NOT_LEVEL)
    missing += [f"the tables of the version before differ ({behind})"] if behind else []
    serving = f"{release.version} from {listed([site for site in release.sites if site not in left_out])}"
    if missing:
        advice = "Put that right and run `pulumi up` again: it finishes the rest."
        if behind:
            advice = "`evenkeel undo` would lose that; `evenkeel compare` looks again."
        return Outcome("partial", f"{release.version} serves, but {'; '.join(missing)}", serving, advice)
    was, waited = "", told.figure("frozen_seconds")
    if waits(told.data) and told.data:
        was = f"; writes waited {span(float(waited or 0.0))}"
        advice = f"Nothing mirrors {in_words(told.data)}: no `evenkeel undo`; `evenkeel retire` drops what was left."
        return Outcome("succeeded", f"{release.version} serves from every site{was}", serving, advice)
    if release.previous and release.previous.slot != release.slot:
        was = f"; {release.previous.version} stays warm, `evenkeel undo` is the way back"
    advice = ""
    if told.data and told.data["tables"]:
        advice = f"{in_words(told.data)} live at once and are kept level; `evenkeel retire` ends that."
    return Outcome("succeeded", f"{release.version} serves from every site{was}", serving, advice)


def lost_at_last(told: StageInput) -> dict[str, str]:
    """Return the load balancers that settle could not reach: one that was back by then has what it missed."""
    settled = next((verdict for verdict in told.earlier if verdict["stage"] == Kind.SETTLE), None)
    return dict(settled["figures"].get("unreachable", {})) if settled else told.lost


def record(work: Work, outcome: Outcome) -> None:
    """Write the end into the journal and release the lock; a control host that is away is told of, no more."""
    if outcome.state == "refused" or not work.token:
        return
    release = work.told.release
    is_live = outcome.state in ("succeeded", "partial")
    live = work.told.target.as_dict() if is_live else None

    def end(journal: Journal) -> None:
        journal.finish(release.id, outcome.state, outcome.reason, live, list(work.told.earlier))
        journal.release(work.token)

    try:
        work.journal.twice(end)
    except (SshError, JournalError) as error:
        work.figures["not_recorded"] = str(error)
        work.say(f"the journal could not be written: {error}")
