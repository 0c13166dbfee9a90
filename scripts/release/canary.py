"""The canary: a growing share of users on the new version, compared with the old one over the same minutes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.release.analysis import Judgement, Limits, Sample, compare
from scripts.release.errors import StageFailedError
from scripts.release.load_balancers import WEIGHT
from scripts.release.work import Work

MOST_WEIGHT = 256
LOOK_SECONDS = 2.0
PATIENCE = 3  # how many bakes a step may take until there are requests enough


def walk(work: Work, new: list[str]) -> None:
    """Go through the plan's steps; raises StageFailedError at the first step that does not pass."""
    plan = work.told.release.plan["canary"]
    work.figures["canary"] = {}
    for percent in plan["steps"]:
        set_share(work, new, percent)
        judgement = watch(work, percent, plan)
        work.figures["canary"][str(percent)] = judgement.figures
        work.say(f"{percent} %: {judgement.state}, {judgement.reason}")
        if judgement.state != "pass":
            raise StageFailedError(f"canary at {percent} %: {judgement.reason}", work.figures)


def set_share(work: Work, new: list[str], percent: int) -> None:
    """Give the new instances that share of all traffic; the old ones all stay ready."""
    release = work.told.release
    old = list(work.told.figure("routing_before", release.old(release.sites)))
    high, low = weights(percent, len(new), len(old))
    change = {name: {"state": "ready", "weight": high} for name in new}
    change |= {name: {"state": "ready", "weight": low} for name in old}
    seconds = int(release.plan["deadman_seconds"])
    work.measure(work.load_balancers.apply(release.id, change, deadman_seconds=seconds))


def weights(percent: int, new: int, old: int) -> tuple[int, int]:
    """Return the weights of each new and each old server that give the new ones together `percent` of the traffic."""
    wanted = percent / (100 - percent) * old / new * WEIGHT
    scale = min(1.0, MOST_WEIGHT / wanted)
    return max(1, round(wanted * scale)), max(1, round(WEIGHT * scale))


def watch(work: Work, percent: int, plan: Mapping[str, Any]) -> Judgement:
    """Compare again and again: a failure ends the step at once, a pass counts only when the bake is over."""
    bake = float(plan["bake_seconds"])
    limits = Limits(int(plan["min_requests"]), float(plan["max_error_increase"]), float(plan["max_latency_ratio"]))
    work.say(f"{percent} % of the traffic for {bake:.0f} s")
    begin = time.monotonic()
    while True:
        work.pause(LOOK_SECONDS)
        passed = time.monotonic() - begin
        judgement = look(work, passed, limits)
        if judgement.state == "fail" or (judgement.state == "pass" and passed >= bake) or passed >= PATIENCE * bake:
            return judgement


def look(work: Work, seconds: float, limits: Limits) -> Judgement:
    """Compare new with old by what all load balancers logged in the last seconds."""
    release = work.told.release
    logged = list(work.load_balancers.samples(seconds).values())
    new = gather(logged, f"-{release.slot}")
    old = gather(logged, f"-{release.previous.slot}") if release.previous else Sample(0, 0, ())
    return compare(old, new, limits)


def gather(logged: Iterable[Mapping[str, Any]], ending: str) -> Sample:
    """Return all load balancers' accounts of the servers in one slot as one sample."""
    parts = [part for servers in logged for name, part in servers.items() if name.endswith(ending)]
    times = [time_ms for part in parts for time_ms in part["times_ms"]]
    return Sample(sum(part["requests"] for part in parts), sum(part["errors"] for part in parts), tuple(times))
