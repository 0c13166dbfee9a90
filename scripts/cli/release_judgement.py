"""What is wrong with where users go: rules over the load balancers' own records and the journal's.

What is only true for a moment while a release with a live lock moves users is not grave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from scripts.cli.traffic import Traffic
from scripts.cli.view import Problem, View
from scripts.inventory import Role
from scripts.journal.words import span
from scripts.release.data import qualified

Opened = tuple[tuple[str, int], ...]


def judge_lacks(view: View) -> Iterator[Problem]:
    """The control host's journal and the load balancers' records can be read; stopped services are named elsewhere."""
    for report in view.reports:
        if not report.lacks or (report.facts and any(not unit.running for unit in report.facts.units)):
            continue
        name = report.host.name
        what = "the journal" if report.host.role is Role.CONTROL else "its routing"
        yield Problem(name, f"{name}: {what} cannot be read: {report.lacks}", "pulumi up")


def judge_routing(view: View) -> Iterator[Problem]:
    """Every load balancer sends users to the version that is live by the journal, and all to the same servers."""
    found = astray(view)
    live = (view.journal or {}).get("live")
    is_grave = not is_running(view)
    if live and found and not view.release and len(found) == len(view.traffic):
        everywhere = set(found.values())
        if len(everywhere) == 1:
            words = everywhere.pop()
            text = f"users are on {words}, but by the journal {live['version']} ({live['slot']}) is live"
            yield Problem("", text, f"evenkeel undo {words.partition(' ')[0]} (records it), or pulumi up")
            return
    for name, words in found.items():
        yield Problem(name, f"{name} sends users to {words}, not {expected(view, found)}", "pulumi up", is_grave)


def expected(view: View, found: Mapping[str, str]) -> str:
    """Where users should go, in words."""
    live = (view.journal or {}).get("live")
    others = [view.users_on(traffic) for name, traffic in view.traffic.items() if name not in found]
    if others:
        return f"to {others[0]} as the other load balancers do"
    return f"to {live['version']} ({live['slot']}), which is live by the journal" if live else "where the others do"


def astray(view: View) -> dict[str, str]:
    """Load balancers that route differently from the journal's live version or from the others: {name: where to}."""
    live = (view.journal or {}).get("live")
    opened = {name: open_servers(traffic) for name, traffic in view.traffic.items()}
    wrong = set()
    if live and not view.release:
        wrong = {
            name for name, servers in opened.items() if {slot_of(server) for server, _ in servers} != {live["slot"]}
        }
    counted = Counter(servers for name, servers in opened.items() if name not in wrong)
    usual = counted.most_common(1)[0][0] if counted else None
    wrong |= {name for name, servers in opened.items() if usual is not None and servers != usual}
    return {name: in_words(view, opened[name], name) for name in view.traffic if name in wrong}


def in_words(view: View, servers: Opened, name: str) -> str:
    """Where a load balancer sends users, with the weights where they are not all the same."""
    words = view.users_on(view.traffic[name])
    weights = {weight for _, weight in servers}
    said = " ".join(f"{server} {weight}" for server, weight in servers)
    return words if len(weights) <= 1 else f"{words} (weights {said})"


def open_servers(traffic: Traffic) -> Opened:
    """The servers that users may go to, and their weights."""
    return tuple((name, traffic.routing.servers[name].weight) for name in traffic.routing.ready())


def slot_of(server: str) -> str:
    """The slot in a server's name."""
    return server.rpartition("-")[2]


def judge_left_out(view: View) -> Iterator[Problem]:
    """Every site is in the pool."""
    for site, why in view.left_out().items():
        text = f"site {site} is left out of the pool" + (f": {why}" if why else "")
        yield Problem(f"app-{site}", text, "put that right, then pulumi up")


def judge_timers(view: View) -> Iterator[Problem]:
    """No dead-man timer had to act, and none is kept from it."""
    said: dict[tuple[str, str], list[str]] = {}
    for name, traffic in view.traffic.items():
        timer = traffic.timer
        if timer and timer.held:
            said.setdefault((timer.release, f"should take users back, but {timer.held}"), []).append(name)
        elif timer and timer.fired:
            what = f"has fired: nobody renewed it, users are back on {view.users_on(traffic)}"
            said.setdefault((timer.release, what), []).append(name)
    for (release, what), names in said.items():
        yield Problem(names[0], f"{', '.join(names)}: the dead-man timer of {release} {what}", "pulumi up")


def judge_freeze(view: View) -> Iterator[Problem]:
    """No writes wait but for a release that goes on; HAProxy and its load balancer's record agree on it."""
    frozen = {name: traffic.raw["routing"] or {} for name, traffic in view.traffic.items() if traffic.routing.is_frozen}
    if not frozen or is_running(view):
        return
    held = [routing["frozen"] for routing in frozen.values() if routing.get("frozen")]
    whose = f" for {held[0]['release']}, which nobody carries out" if held else ", which its record does not know of"
    yield Problem(next(iter(frozen)), f"{', '.join(frozen)}: writes wait (503){whose}", "pulumi up")


def judge_lease(view: View) -> Iterator[Problem]:
    """A release in progress has somebody who carries it out."""
    release = view.release
    if not release or not view.journal or is_running(view):
        return
    lock, now = view.journal["lock"], view.journal["now"]
    where = f" in stage {release['stage']}" if release["stage"] else ""
    why = "nobody holds the lock"
    if lock:
        why = f"the lock of {lock['who']} expired {span(now - lock['expires'])} ago: nobody carries it out"
    remedy = "evenkeel undo" if release.get("origin") == "undo" else "pulumi up (goes on from there)"
    yield Problem("", f"release {release['id']} is in progress{where}, but {why}", remedy)


def is_running(view: View) -> bool:
    """Whether a release is in progress under a lock that is renewed."""
    journal: Mapping[str, Any] = view.journal or {}
    lock = journal.get("lock")
    return bool(view.release and lock and lock["expires"] > journal["now"])


def judge_mirror(view: View) -> Iterator[Problem]:
    """While tables live in pairs every database node mirrors them, and they are level."""
    pairs = [pair for pair in (view.journal or {}).get("pairs") or [] if pair["data"].get("mirror") != "scan"]
    needed = {name for pair in pairs if pair["state"] in ("level", "apart") for name in qualified(pair["data"])}
    for report in view.reports if needed else ():
        if report.host.role is not Role.DATABASE or report.facts is None:
            continue
        name, has = report.host.name, report.mirror or {}
        without = sorted(needed - set(has.get("pairs") or ()))
        if not has.get("jar_sha256"):
            yield Problem(name, f"{name} has no mirror program: writes through it fail", "pulumi up")
        elif without:
            yield Problem(name, f"{name} is not told to mirror {', '.join(without)}: such writes fail", "pulumi up")
    for pair in pairs:
        if pair["state"] == "apart":
            yield Problem(
                "", f"the tables of {pair['release']} differ: no undo without loss", "evenkeel compare", False
            )


RULES: tuple[Callable[[View], Iterable[Problem]], ...] = (
    judge_lacks,
    judge_routing,
    judge_left_out,
    judge_timers,
    judge_freeze,
    judge_lease,
    judge_mirror,
)
