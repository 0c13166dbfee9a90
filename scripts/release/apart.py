"""When settle has found that the old tables lack something: users stay where they have it, whatever fails afterwards.

Load balancers know (`alone`), so that no way leads back without the journal either, and so that the next release finds
out what became of this one.
"""

from __future__ import annotations

from collections.abc import Mapping

from scripts.release.documents import Version
from scripts.release.errors import HeldError, RefusedError, StageError
from scripts.release.load_balancers import Routing
from scripts.release.work import Work

NOT_LEVEL = "not_level"  # the figure that says in words what the old tables lack


def hold(work: Work) -> None:
    """Raise HeldError where the old tables lack what users have written; the timers, which would go back, end."""
    release, balancers, lacking = work.told.release, work.load_balancers, work.told.figure(NOT_LEVEL)
    if not lacking:
        return
    routings = balancers.state()
    work.measure(routings)
    if {name for routing in routings.values() for name in routing.ready()} & set(release.new(release.sites)):
        try:
            balancers.confirm(work.told.target, alone=True)
        except StageError as error:
            work.figures["timers"] = str(error)
    raise HeldError(
        f"the old tables lack what was written to those of {release.version} ({lacking}), so nobody is taken back and"
        " nothing is dropped; `pulumi up` again records that"
    )


def record_held(work: Work, routings: Mapping[str, Routing]) -> None:
    """Refuse to begin where a release was held like this and its version serves: record it instead.

    Else users would be taken back to the live version by the journal, whose tables lack what they wrote.
    """
    told = {routing.live.sha256: routing.live for routing in routings.values() if routing.live and routing.is_alone}
    known = work.journal.open.read() if told else {"releases": [], "pairs": [], "live": None}
    live = Version.parse(known["live"])
    apart = {pair["release"] for pair in known["pairs"] if pair["state"] == "apart"}
    for record in known["releases"]:
        version = told.get(record["sha256"])
        is_apart = (record.get("data") or {}).get("release") in apart
        if version is None or version == live or record["live"] or not is_apart:
            continue
        reason = "the old tables lack what was written to its own, so it was not taken back"
        work.journal.open.finish(record["id"], "partial", reason, version.as_dict(), [])
        raise RefusedError(
            f"{record['id']} was held with users on {version.version}, which serves, and is recorded as live now;"
            " run `pulumi up` again"
        )
