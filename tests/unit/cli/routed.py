"""What evenkeel-traffic and the journal say of a stack that serves 1.0.0 in blue, with 2.0.0 warm in green."""

from dataclasses import replace

from scripts.cli.facts import Report, parse
from scripts.cli.traffic import parse_traffic
from scripts.cli.view import View
from scripts.inventory import Role

from .stack import SITES, healthy

LIVE = {"version": "1.0.0", "slot": "blue", "sha256": "ab"}
NOW = 1000.0


def state(**opened):
    """One load balancer's `state`; `opened` names the servers that are not as usual: a_blue="drain"."""
    servers = {
        f"{site}-{slot}": ("ready" if slot == "blue" else "drain") for site in SITES for slot in ("blue", "green")
    }
    servers |= {name.replace("_", "-"): said for name, said in opened.items()}
    return {
        "servers": {
            name: {"state": said, "weight": 100, "up": True, "check": "L7OK", "sessions": 0}
            for name, said in servers.items()
        },
        "routing": {"release": "r1", "token": 1, "turn": 16, "live": LIVE},
        "deadman": None,
    }


def record(**changes):
    """A release in progress from 1.0.0 to 2.0.0."""
    return {
        "id": "r2-2.0.0", "number": 2, "version": "2.0.0", "previous": LIVE, "who": "root@ci", "origin": "pulumi",
        "plan": {"strategy": "bluegreen", "groups": [["a", "b"], ["c", "d"]]}, "state": "in-progress", "reason": "",
        "began": NOW - 30, "ended": None, "stage": "shift-1", "waiting": None, "live": None,
        "stages": [], "signals": [],
    } | changes  # fmt: skip


def lock(**changes):
    return {
        "token": 2, "who": "root@ci", "purpose": "release r2-2.0.0", "version": "2.0.0", "since": NOW - 30,
        "renewed": NOW - 1, "expires": NOW + 19, "age_seconds": 30.0,
    } | changes  # fmt: skip


def journal(**changes):
    done = record(id="r1", number=1, version="1.0.0", state="succeeded", ended=NOW - 500, live=LIVE, stage=None)
    return {"releases": [done], "current": None, "live": LIVE, "lock": None, "hold": None, "now": NOW} | changes


def routed(inventory, states=None, known=None, *, statistics=(), at=0.0, facts=None):
    """The reports of all hosts: `states` by load balancer, others as usual."""
    facts = facts or with_both_versions()
    reports = []
    for host in inventory.hosts:
        report = Report(host, parse(facts[host.name]), None, 0.1)
        if host.role is Role.LOAD_BALANCER:
            said = (states or {}).get(host.name) or state()
            report = replace(report, traffic=parse_traffic(said, statistics, at))
        if host.role is Role.CONTROL:
            report = replace(report, journal=known or journal())
        reports.append(report)
    return View(inventory, tuple(reports))


def with_both_versions():
    facts = healthy()
    for site in SITES:
        facts[f"app-{site}"]["app"][1] = {
            "slot": "green", "port": 8002, "installed": "2.0.0", "version": "2.0.0", "health": 200, "ready": 200,
        }  # fmt: skip
    return facts
