"""What a stage is told and what it answers, as frozen dataclasses: plain JSON in, plain JSON out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from components.stages import State, waits


@dataclass(frozen=True)
class Version:
    """A version that serves or served: its number, its artifact's sha256, and the slot it is in on every site.

    `tables` are the names that its tables have in the database, {name in its manifest: name there}; one that is not
    among them has its own name. They say nothing about which version it is.
    """

    version: str
    sha256: str
    slot: str
    tables: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, document: Mapping[str, Any] | None) -> Version | None:
        """Return the version that the JSON describes, None for none."""
        if not document:
            return None
        return cls(document["version"], document["sha256"], document["slot"], dict(document.get("tables") or {}))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        plain: dict[str, Any] = {"version": self.version, "sha256": self.sha256, "slot": self.slot}
        return plain | ({"tables": dict(self.tables)} if self.tables else {})


@dataclass(frozen=True)
class Release:
    """A release: towards which version, into which slot, from what, and by which plan.

    `document` is the JSON it came from, which is also what the journal keeps.
    """

    id: str
    version: str
    sha256: str
    artifact: str
    slot: str
    previous: Version | None
    plan: Mapping[str, Any]
    is_revert: bool
    document: Mapping[str, Any]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Release:
        """Return the release that the JSON describes."""
        return cls(
            id=document["id"],
            version=document["version"],
            sha256=document["sha256"],
            artifact=document["artifact"],
            slot=document["slot"],
            previous=Version.parse(document["previous"]),
            plan=document["plan"],
            is_revert=document["revert"],
            document=document,
        )

    @property
    def target(self) -> Version:
        """The version that serves once the release has succeeded; `StageInput.target` knows its tables' names too."""
        return Version(self.version, self.sha256, self.slot)

    @property
    def number(self) -> int:
        """The release's number."""
        return int(self.document["number"])

    @property
    def pairs(self) -> list[Mapping[str, Any]]:
        """Pairs of tables of earlier releases that were there when this one was named, the newest first."""
        return list(self.document.get("pairs") or ())

    @property
    def groups(self) -> list[list[str]]:
        """The sites, in the groups that are released one after another."""
        groups: list[list[str]] = self.plan["groups"]
        return groups

    @property
    def sites(self) -> list[str]:
        """All sites, in the order in which they are released."""
        return [site for group in self.groups for site in group]

    def new(self, sites: Iterable[str]) -> list[str]:
        """Return the load balancers' names for the new version's instances on these sites."""
        return [f"{site}-{self.slot}" for site in sites]

    def old(self, sites: Iterable[str]) -> list[str]:
        """Return the names of the previous version's instances on these sites; none for a first installation."""
        return [f"{site}-{self.previous.slot}" for site in sites] if self.previous else []

    def together(self) -> Release:
        """Return the same release with all sites in its first group, moved at once: for when writes wait meanwhile."""
        groups = [self.sites, *([] for _ in self.groups[1:])]
        return replace(self, plan={**self.plan, "groups": groups, "strategy": "bluegreen"})


@dataclass(frozen=True)
class StackHost:
    """A host as a stage needs to know it."""

    name: str
    role: str
    site: str | None
    address: str
    host_key: str


@dataclass(frozen=True)
class Stack:
    """The machines that a release works on, and the key to them.

    `ring` is what programs on the control host need to reach the database: contact points, datacenter, keyspace, and
    the administrator's password. `slowness` is how many times longer than usual the machines may take.
    """

    name: str
    service: str
    hosts: tuple[StackHost, ...]
    deploy_key: str = field(repr=False)
    ring: Mapping[str, Any] = field(default_factory=dict, repr=False)
    slowness: int = 1

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Stack:
        """Return the stack that the JSON describes."""
        hosts = tuple(
            StackHost(host["name"], host["role"], host["site"], host["address"], host["host_key"])
            for host in document["hosts"]
        )
        ring, slowness = dict(document.get("ring") or {}), int(document.get("slowness", 1))
        return cls(document["name"], document["service"], hosts, document["deploy_key"], ring, slowness)

    def of(self, role: str) -> list[StackHost]:
        """Return the hosts of a role, in the sites' order."""
        return [host for host in self.hosts if host.role == role]


@dataclass(frozen=True)
class Verdict:
    """How a stage ended: a state, why in one sentence, and the figures it measured."""

    stage: str
    state: State
    reason: str
    figures: Mapping[str, Any]
    seconds: float
    at: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as it is printed and kept in the journal."""
        return {
            "stage": self.stage,
            "state": str(self.state),
            "ok": self.state in (State.PASSED, State.SKIPPED),
            "reason": self.reason,
            "figures": dict(self.figures),
            "seconds": round(self.seconds, 2),
            "at": self.at,
        }


def now() -> str:
    """Return the time of day in UTC, ISO 8601; fine enough to tell the order of verdicts by."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class StageInput:
    """All that a stage is told: the release, the machines, and the verdicts of the stages before it."""

    release: Release
    stack: Stack
    earlier: tuple[Mapping[str, Any], ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> StageInput:
        """Return the input that the JSON on standard input describes."""
        told = cls(
            Release.parse(document["release"]), Stack.parse(document["stack"]), tuple(document.get("earlier") or ())
        )
        return replace(told, release=told.release.together()) if waits(told.data) else told

    def figure(self, name: str, default: Any = None) -> Any:
        """Return the newest figure of that name among the earlier verdicts."""
        found = [verdict["figures"][name] for verdict in self.earlier if name in verdict["figures"]]
        return found[-1] if found else default

    @property
    def data(self) -> Mapping[str, Any] | None:
        """What the release changes about the data, as preflight found; None where it does not change."""
        found: Mapping[str, Any] | None = self.figure("data")
        return found

    @property
    def tables(self) -> Mapping[str, str]:
        """The names of the new version's tables in the database: preflight's word, an undo's, or as they are."""
        previous = self.release.previous
        known = self.release.document.get("tables", previous.tables if previous else {})
        return dict(self.figure("tables", known))

    @property
    def target(self) -> Version:
        """The version that serves once the release has succeeded."""
        return replace(self.release.target, tables=self.tables)

    @property
    def left_out(self) -> dict[str, str]:
        """Sites that earlier stages left out of the pool: {site: why}."""
        return merged(verdict["figures"].get("left_out") for verdict in self.earlier)

    @property
    def lost(self) -> dict[str, str]:
        """Load balancers that earlier stages could not reach: {host: why}."""
        return merged(verdict["figures"].get("unreachable") for verdict in self.earlier)


def merged(parts: Iterable[Mapping[str, str] | None]) -> dict[str, str]:
    """Return all entries of some dictionaries."""
    return {key: value for part in parts if part for key, value in part.items()}


def listed(names: Sequence[str] | Iterable[str]) -> str:
    """Return names as people write them: a, b and c."""
    words = list(names)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
