"""Smoke: the manifest's checks against every new instance itself, before any user meets it."""

from __future__ import annotations

from functools import partial

from scripts.release.app_servers import smoke
from scripts.release.documents import listed
from scripts.release.work import Work


def act(work: Work) -> str:
    """Run the checks on every site of the group at once."""
    answers = work.app_servers.on_sites(work.group, partial(smoke, slot=work.told.release.slot))
    sites = work.sort_out(answers)
    work.figures["smoke"] = {site: answers[site] for site in sites}
    work.measure(work.load_balancers.state())
    work.require_capacity()
    return f"all checks passed on {listed(sites)}"
