"""What was sent twice, unseen by the one who sent it: from the access logs of all load balancers.

Go's HTTP client, as browsers do, sends an idempotent request again by itself when a kept connection turns out to be
closed, and reports one request. Each request says its number, so the second one is seen where it arrives.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Any

from scripts.inventory import Inventory, Role
from scripts.ssh import Login, SshError, map_hosts, run

PROGRAM = Path(__file__).with_name("retry_log.py")
FLUSH_SECONDS = 1.0
SECONDS = 120.0


@dataclass(frozen=True)
class Retries:
    """How many requests came a second time or more, and how often HAProxy tried again by itself."""

    duplicates: int
    by_proxy: int


def find_retries(inventory: Inventory, attack: str, since: float, right: int) -> tuple[Retries | None, str]:
    """Ask every load balancer's log of a load that began at `since`; None and the reason where they do not tell.

    `right` is how many of its requests were answered well, and so must be in the logs: these may leave entries out.
    """
    time.sleep(FLUSH_SECONDS)
    program = PROGRAM.read_text("utf-8")

    def ask(login: Login) -> Any:
        command = ["python3", "-", attack, f"{since - 5:.3f}"]
        return loads(run(login, command, program, timeout=SECONDS, connect_timeout=20).stdout)

    answers = map_hosts([inventory.login(host) for host in inventory.with_role(Role.LOAD_BALANCER)], ask)
    lost = [str(answer) for answer in answers.values() if isinstance(answer, SshError)]
    if lost:
        return None, f"what was sent twice is not known: {lost[0]}"
    found = [answer for answer in answers.values() if isinstance(answer, dict)]
    if not all(answer["known"] for answer in found):
        return None, "what was sent twice is not known: the load balancers' log does not name loads; run `pulumi up`"
    if missed := unlogged(found, right):
        return None, f"what was sent twice is not known: {missed:,} of {right:,} requests are in no load balancer's log"
    return summed(found), ""


def unlogged(found: Iterable[Mapping[str, Any]], right: int) -> int:
    """How many of so many requests none of the logs has."""
    return max(0, right - len({number for counts in found for number in counts["seen"]}))


def summed(found: Iterable[Mapping[str, Any]]) -> Retries:
    """The load balancers' counts as one: a request that came to two of them came twice."""
    seen: Counter[str] = Counter()
    by_proxy = 0
    for counts in found:
        seen.update(counts["seen"])
        by_proxy += int(counts["retries"])
    return Retries(sum(times - 1 for times in seen.values()), by_proxy)
