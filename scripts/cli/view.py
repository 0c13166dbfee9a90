"""The hosts' reports as the rules and tables read them: who says what of whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.cli.facts import Facts, Report, Server
from scripts.cli.traffic import Traffic
from scripts.inventory import Host, Inventory, Role


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong at `host` (or at the stack, ""), and what a person can do."""

    host: str
    text: str
    remedy: str
    grave: bool = True


@dataclass(frozen=True)
class View:
    """The reports as the rules below read them."""

    inventory: Inventory
    reports: Sequence[Report]

    def answering(self, role: Role) -> list[tuple[Host, Facts]]:
        """The hosts of a role that gave facts."""
        return [(r.host, r.facts) for r in self.reports if r.host.role is role and r.facts is not None]

    def opinions(self, site: str, slot: str) -> dict[str, Server]:
        """What each load balancer says of one slot: host name -> server."""
        return {
            host.name: server
            for host, facts in self.answering(Role.LOAD_BALANCER)
            for server in facts.servers
            if (server.site, server.slot) == (site, slot)
        }

    def live_slots(self, site: str) -> dict[str, list[str]]:
        """The slots of a site that take traffic: slot -> load balancers that send it there."""
        senders = {
            slot: [name for name, server in self.opinions(site, slot).items() if server.takes_traffic]
            for slot in ("blue", "green")
        }
        return {slot: names for slot, names in senders.items() if names}

    def live_versions(self) -> dict[str, list[str]]:
        """The versions that take traffic: version -> sites."""
        versions: dict[str, list[str]] = {}
        for host, facts in self.answering(Role.APP_SERVER):
            for slot in facts.slots:
                if slot.slot in self.live_slots(host.site or ""):
                    versions.setdefault(slot.version or slot.installed or "unknown", []).append(host.site or "")
        return versions

    @property
    def journal(self) -> Mapping[str, Any] | None:
        """What the journal says, None when it could not be asked."""
        return next((report.journal for report in self.reports if report.journal is not None), None)

    @property
    def release(self) -> Mapping[str, Any] | None:
        """The release in progress, as far as the journal is known."""
        return self.journal["current"] if self.journal else None

    @property
    def traffic(self) -> dict[str, Traffic]:
        """Each load balancer's own record of where users go."""
        return {report.host.name: report.traffic for report in self.reports if report.traffic is not None}

    def version_in(self, server: str) -> str:
        """The version behind a load balancer's server, by the application server itself, else by the journal."""
        site, _, slot = server.rpartition("-")
        for host, facts in self.answering(Role.APP_SERVER):
            for held in facts.slots:
                if (host.site, held.slot) == (site, slot) and (held.version or held.installed):
                    return str(held.version or held.installed)
        live = (self.journal or {}).get("live") or {}
        return str(live["version"]) if live.get("slot") == slot else "unknown"

    def users_on(self, traffic: Traffic) -> str:
        """Where a load balancer sends users, in words: «2.0.0 (green) on a b, 1.0.0 (blue) on c d»."""
        found: dict[str, list[str]] = {}
        for name in traffic.routing.ready():
            site, _, slot = name.rpartition("-")
            found.setdefault(f"{self.version_in(name)} ({slot})", []).append(site)
        return ", ".join(f"{version} on {' '.join(sites)}" for version, sites in found.items()) or "nothing"

    def left_out(self) -> dict[str, str]:
        """Sites that no load balancer opens for users, once a release has gone through: {site: why, or ""}."""
        if self.release or not self.traffic or not any(one.routing.release for one in self.traffic.values()):
            return {}
        opened = {name.rpartition("-")[0] for one in self.traffic.values() for name in one.routing.ready()}
        records = self.journal["releases"] if self.journal else []
        stages: list[Mapping[str, Any]] = next((record["stages"] for record in records if record["live"]), [])
        reasons: dict[str, str] = {}
        for stage in stages:
            reasons |= stage.get("figures", {}).get("left_out") or {}
        return {site: reasons.get(site, "") for site in self.inventory.sites if site not in opened} if opened else {}
