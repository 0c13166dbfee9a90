"""What is wrong with a stack, in words: pure functions from the hosts' reports to problems.

A problem is `grave` when users or the stack's redundancy suffer from it; the others are worth a look. What follows from
a host that does not answer (its node down, its slot without traffic) is not said a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from scripts.cli import release_judgement
from scripts.cli.facts import Report, Slot
from scripts.cli.view import Problem, View
from scripts.inventory import Host, Inventory, Role
from scripts.ssh import DeadlineError, UnreachableError

SERVICES = {Role.LOAD_BALANCER: ("haproxy",), Role.DATABASE: ("cassandra",), Role.NAME_SERVER: ("named",)}
MEMORY_TIGHT = 0.95
RING_CURRENT = 30.0  # seconds for which a view of the ring counts; the table shows older ones with their age


def judge(inventory: Inventory, reports: Sequence[Report]) -> list[Problem]:
    """Everything that is wrong; grave problems first, then in the order of the hosts."""
    view = View(inventory, reports)
    rules: tuple[Callable[[View], Iterable[Problem]], ...] = (
        judge_reachable,
        judge_services,
        judge_unread,
        judge_slots,
        judge_agreement,
        judge_versions,
        *release_judgement.RULES,
        judge_database,
        judge_ring,
        judge_zones,
        judge_machines,
    )
    order = {host.name: number for number, host in enumerate(inventory.hosts)}
    problems = [problem for rule in rules for problem in rule(view)]
    return sorted(problems, key=lambda problem: (not problem.grave, order.get(problem.host, -1)))


def judge_reachable(view: View) -> Iterator[Problem]:
    """Every host answers, with facts."""
    for report in view.reports:
        if report.error is None:
            continue
        host, error = report.host, report.error
        if isinstance(error, UnreachableError):
            yield Problem(host.name, f"{host.name} does not answer ({error.reason})", f"evenkeel start {host.name}")
        elif isinstance(error, DeadlineError):
            yield Problem(host.name, f"{host.name} answers too slowly: {error.reason}", f"evenkeel ssh {host.name} top")
        else:
            yield Problem(host.name, f"{host.name} gives no facts: {error.reason}", error.hint or "make up")


def judge_services(view: View) -> Iterator[Problem]:
    """The service of every role runs."""
    for role, names in SERVICES.items():
        for host, facts in view.answering(role):
            for name in names:
                unit = facts.unit(name)
                if unit is None:
                    yield Problem(host.name, f"{host.name}: {name} is not set up", "make up")
                elif not unit.running:
                    word = "is still starting" if unit.state == "activating" else f"is {unit.state} ({unit.result})"
                    yield Problem(host.name, f"{host.name}: {name} {word}", f"evenkeel logs {host.name}")


def judge_unread(view: View) -> Iterator[Problem]:
    """Every part of the facts could be read, but for services that do not run, which are named already."""
    for report in view.reports:
        facts = report.facts
        stopped = facts is not None and any(not unit.running for unit in facts.units)
        for reason in () if facts is None or stopped else facts.unread:
            yield Problem(report.host.name, f"{report.host.name}: {reason}", f"evenkeel ssh {report.host.name}")


def judge_slots(view: View) -> Iterator[Problem]:
    """Every application server has a live slot, and what is live can serve."""
    if not any(facts.servers for _, facts in view.answering(Role.LOAD_BALANCER)):
        return  # nobody to ask: said of the load balancers already
    for host, facts in view.answering(Role.APP_SERVER):
        live = view.live_slots(host.site or "")
        if not live and host.site not in view.left_out():
            yield Problem(
                host.name, f"{host.name} takes no traffic: {no_traffic(view, host)}", f"evenkeel logs {host.name}"
            )
        for slot in facts.slots:
            if slot.slot in live and not slot.serves:
                text = f"{host.name}: the live slot {slot.slot} cannot serve ({slot_answers(slot)})"
                yield Problem(host.name, text, f"evenkeel logs {host.name}")


def no_traffic(view: View, host: Host) -> str:
    """Why no load balancer sends anything to an application server."""
    states = [
        f"{slot} is {', '.join(sorted({server.status for server in opinions.values()}))}"
        for slot in ("blue", "green")
        if (opinions := view.opinions(host.site or "", slot))
    ]
    return "to the load balancers, " + " and ".join(states) if states else "no load balancer knows it"


def slot_answers(slot: Slot) -> str:
    """What an instance answers, in a few words."""
    return slot.error or f"/health {slot.health}, /ready {slot.ready}"


def judge_agreement(view: View) -> Iterator[Problem]:
    """All load balancers send to the same slots."""
    astray = release_judgement.astray(view)  # named with all that they do
    known = {host.name for host, facts in view.answering(Role.LOAD_BALANCER) if facts.servers}
    balancers = [name for name in known if name not in astray]
    for host, _ in view.answering(Role.APP_SERVER):
        for slot, senders in view.live_slots(host.site or "").items():
            opinions = view.opinions(host.site or "", slot)
            for name in sorted(balancers):
                if name not in senders and not set(senders) <= set(astray):
                    status = opinions[name].status if name in opinions else "not known there"
                    text = f"{name} does not send to {host.name} {slot} ({status}), other load balancers do"
                    yield Problem(name, text, f"evenkeel logs {name}")


def judge_versions(view: View) -> Iterator[Problem]:
    """One version is live, the one the stack wants."""
    if release_judgement.is_running(view):
        return  # it is on its way to the one
    versions = view.live_versions()
    said = "; ".join(f"{version} at {', '.join(sites)}" for version, sites in sorted(versions.items()))
    if len(versions) > 1:
        yield Problem("", f"more than one version is live: {said}", "pulumi up finishes a release", grave=False)
    elif versions and view.inventory.version not in versions:
        text = f"the stack wants version {view.inventory.version}, live is {said}"
        yield Problem("", text, "pulumi up", grave=False)


def judge_database(view: View) -> Iterator[Problem]:
    """Every running node takes clients."""
    for host, facts in view.answering(Role.DATABASE):
        unit = facts.unit("cassandra")
        if unit is not None and unit.running and facts.takes_clients is False:
            yield Problem(host.name, f"{host.name}: Cassandra runs but takes no clients", f"evenkeel logs {host.name}")


def judge_ring(view: View) -> Iterator[Problem]:
    """Every node sees every node up and normal (UN)."""
    silent = {report.host.name for report in view.reports if report.facts is None}
    for host in view.inventory.with_role(Role.DATABASE):
        if host.name in silent:
            continue
        seen: dict[str, list[str]] = {}
        for observer, facts in view.answering(Role.DATABASE):
            if facts.ring is not None and facts.ring.age <= RING_CURRENT:
                states = {node.address: node.state for node in facts.ring.nodes}
                seen.setdefault(states.get(host.address, "missing"), []).append(observer.name)
        for state, observers in sorted(seen.items()):
            if state != "UN":
                text = f"{host.name} is {state} in the ring as {', '.join(observers)} sees it"
                yield Problem(host.name, text, f"evenkeel logs {host.name}")


def judge_zones(view: View) -> Iterator[Problem]:
    """All name servers have the same zone, and the service's name stands for all load balancers."""
    zones = [(host.name, facts.zone) for host, facts in view.answering(Role.NAME_SERVER) if facts.zone]
    if len({zone.serial for _, zone in zones}) > 1:
        said = ", ".join(f"{name} {zone.serial}" for name, zone in zones)
        yield Problem(zones[0][0], f"the name servers have different zones: {said}", f"evenkeel logs {zones[-1][0]}")
    wanted = {host.address for host in view.inventory.with_role(Role.LOAD_BALANCER)}
    for name, zone in zones:
        if set(zone.addresses) != wanted:
            text = f"{name} answers {', '.join(zone.addresses) or 'nothing'} for {view.inventory.service}"
            yield Problem(name, f"{text}, not the load balancers' {', '.join(sorted(wanted))}", "pulumi up")


def judge_machines(view: View) -> Iterator[Problem]:
    """Nothing else failed, and memory is enough."""
    for report in view.reports:
        facts, name = report.facts, report.host.name
        if facts is None:
            continue
        ours = {unit.name for unit in facts.units}
        if others := [unit for unit in facts.failed if unit not in ours]:
            yield Problem(name, f"{name}: failed units: {', '.join(others)}", f"evenkeel ssh {name}", grave=False)
        if facts.memory_used and facts.memory_limit and facts.memory_used > MEMORY_TIGHT * facts.memory_limit:
            share = 100 * facts.memory_used / facts.memory_limit
            yield Problem(
                name, f"{name}: {share:.0f} % of its memory is in use", "see `sizes` in the config", grave=False
            )
