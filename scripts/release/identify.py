"""Which release is this `pulumi up`? Read from the journal, before anything is decided; changes nothing.

In progress towards the wanted version, and its lock not expired: the same release goes on. Live already: nothing
changes, whatever was tried in between. Otherwise a new one, with the next number, so that preview and update name it
alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.release.documents import Stack, Version
from scripts.release.errors import StageError
from scripts.release.fleet import CONNECT_SECONDS, login
from scripts.release.journal import Journal, JournalError, whoami
from scripts.release.load_balancers import LoadBalancers
from scripts.ssh import Session, SshError

OTHER = {"blue": "green", "green": "blue"}
FIRST_SLOT = "blue"
RECORDED = ("state", "reason", "began", "ended", "stage", "waiting", "live", "stages", "signals", "data")


@dataclass(frozen=True)
class Wanted:
    """What the config asks for: a version, its artifact, and the plan to release it by."""

    version: str
    sha256: str
    artifact: str
    plan: Mapping[str, Any]

    @property
    def sites(self) -> set[str]:
        """The sites that the version is wanted on."""
        return {site for group in self.plan["groups"] for site in group}


def identify(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"stages": DOC, "outcome": DOC, "earlier": verdicts or None} for the stages' and the outcome's inputs.

    The two differ after a failed release when the version that serves is set again: the stages stay those of the
    failed one and the outcome that of the one before, so that nothing changes. `earlier` is then what it was told.
    """
    stack = Stack.parse(document["stack"])
    wanted = Wanted(**{key: document["wanted"][key] for key in ("version", "sha256", "artifact", "plan")})
    try:
        with Session(login(stack, stack.of("control")[0]), CONNECT_SECONDS) as session:
            known = Journal(session).read()
    except (SshError, JournalError):
        return without_journal(stack, wanted)
    return decide(known, wanted)


def decide(known: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Return the release's identity from what the journal knows."""
    releases, current = known["releases"], known["current"]
    ours = [release for release in releases if is_ours(release)]
    going_on = current if current and is_ours(current) else None
    if going_on and going_on["sha256"] == wanted.sha256 and is_fresh(known):
        return both(plain(going_on))
    live = Version.parse(known["live"])
    done = next((release for release in ours if release["state"] == "succeeded"), None)
    is_whole = next((r["state"] for r in releases if r["live"]), None) == "succeeded" and not is_astray(ours)
    if done and live and live.sha256 == wanted.sha256 and is_whole and not going_on and sites_of(done) == wanted.sites:
        if ours[0]["id"] == done["id"]:
            return both(plain(done))
        return {"stages": plain(ours[0]), "outcome": plain(done), "earlier": verdicts_before_outcome(done)}
    number = max((release["number"] for release in releases), default=0) + 1
    return both(compose(number, wanted, live, is_way_back(releases, wanted), known.get("pairs") or ()))


def is_astray(ours: list[dict[str, Any]]) -> bool:
    """Tell whether the last release may have left users elsewhere: then even the live version is released anew."""
    return bool(ours) and ours[0]["state"] in ("held", "failed")


def sites_of(release: Mapping[str, Any]) -> set[str]:
    """Return the sites that a release was for; a site that is added is opened by a release to all of them."""
    return {site for group in release["plan"]["groups"] for site in group}


def is_ours(release: Mapping[str, Any]) -> bool:
    """Tell whether a release is one that Pulumi knows; `evenkeel undo` makes others, with stages of their own."""
    return bool(release.get("origin", "pulumi") == "pulumi")


def is_fresh(known: Mapping[str, Any]) -> bool:
    """Tell whether the release in progress was at work a moment ago; one that was left lying is begun anew."""
    lock = known["lock"]
    return lock is not None and bool(lock["expires"] > known["now"])


def both(document: dict[str, Any]) -> dict[str, Any]:
    """Return the identity where stages and outcome belong to the same release."""
    return {"stages": document, "outcome": document, "earlier": None}


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a release's document without what the journal added to it."""
    return {key: value for key, value in record.items() if key not in RECORDED}


def verdicts_before_outcome(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the verdicts that a release's outcome was told, as the stages printed them."""
    return [
        {key: value for key, value in verdict.items() if key not in ("began", "ended")}
        for verdict in record["stages"]
        if verdict["stage"] != "outcome"
    ]


def is_way_back(releases: Sequence[Mapping[str, Any]], wanted: Wanted) -> bool:
    """Tell whether the wanted version served before: going back needs no gate.

    The version that the last way back came from is no way back: there was a reason to leave it.
    """
    served = [release for release in releases if release["live"]]
    if served and served[0]["revert"] and (served[0]["previous"] or {}).get("sha256") == wanted.sha256:
        return False
    return any(release["live"]["sha256"] == wanted.sha256 for release in served)


def compose(
    number: int, wanted: Wanted, live: Version | None, is_revert: bool, pairs: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return a new release's document; `pairs` are the tables that live in pairs when it begins."""
    same = live is not None and live.sha256 == wanted.sha256
    slot = FIRST_SLOT if live is None else live.slot if same else OTHER[live.slot]
    return {
        "id": f"r{number}-{wanted.version}-{wanted.sha256[:12]}",
        "number": number,
        "version": wanted.version,
        "sha256": wanted.sha256,
        "artifact": wanted.artifact,
        "slot": slot,
        "previous": live.as_dict() if live else None,
        "plan": dict(wanted.plan),
        "revert": is_revert,
        "origin": "pulumi",
        "who": whoami(),
        **({"pairs": list(pairs)} if pairs else {}),
    }


def without_journal(stack: Stack, wanted: Wanted) -> dict[str, Any]:
    """Return the identity where the control host is away: from the load balancers if they know, else a placeholder.

    A preview then still shows the stages; an update is refused by preflight, which needs the journal.
    """
    try:
        routings = LoadBalancers(stack, 0, 0).state()
    except StageError:
        routings = {}
    live = next((routing.live for routing in routings.values() if routing.live), None)
    document = compose(0, wanted, live, False)
    return both(document | {"id": f"unknown-{wanted.version}-{wanted.sha256[:12]}"})
