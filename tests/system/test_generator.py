"""The generator is honest: real vegeta, and a real server on loopback that stalls or has requests sent twice."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.experiment.load.attack import Load, LoadTest
from scripts.experiment.load.results import COLUMNS
from scripts.experiment.load.retries import Retries, summed
from scripts.experiment.load.retry_log import count
from scripts.inventory import Host, Inventory, Role
from tests.system.loopback import LocalPlace, StallingService, find_vegeta

RIGHT = {"share": 1, "method": "GET", "path": "/", "status": 200, "contains": "hello"}


@pytest.fixture
def place(tmp_path: Path) -> LocalPlace:
    return LocalPlace(tmp_path, find_vegeta())


def inventory_of(service: StallingService) -> Inventory:
    """A stack whose service is this one, with as much of an inventory as a load asks for."""
    runner = Host("runner", Role.TEST_RUNNER, None, "127.0.0.1", "")
    balancer = Host("lb-a", Role.LOAD_BALANCER, "a", service.name.partition(":")[0], "")
    return Inventory("test", "", service.name, "", "1.0.0", ("a",), (), (runner, balancer), Path(), "")


@pytest.fixture
def stalling() -> Iterator[StallingService]:
    service = StallingService(stall=2.0, period=20.0)
    yield service
    service.close()


def test_a_stall_of_two_seconds_is_seen_from_when_requests_were_due(
    place: LocalPlace, stalling: StallingService
) -> None:
    load = Load(rate=50, workers=20, seconds=21, longest=40, requests=[RIGHT])
    with LoadTest(inventory_of(stalling), load, place) as test:
        time.sleep(21)
    whole, report = test.report.whole(), test.report
    assert report.failed == 0, report.reasons()
    # 20 requests at most are on their way: those behind them were sent late, and had waited all the same.
    assert 1800 < whole.max < 2600
    assert test.summary["lag_workers_busy"] > 0.5
    times = sorted(request.ms for request in report.all)
    sent = sorted(request.ms - request.lag_ms for request in report.all)
    assert times[int(len(times) * 0.999)] > 1700
    slow, slow_if_counted_from_sending = (sum(ms > 300 for ms in each) for each in (times, sent))
    assert slow > 60
    assert slow_if_counted_from_sending < slow / 2
    assert whole.p50 < 100


def test_what_a_client_sends_twice_unseen_is_counted_where_it_arrives(place: LocalPlace) -> None:
    service = StallingService(closing=10)
    try:
        load = Load(rate=100, keepalive=True, seconds=2, longest=20, requests=[RIGHT])
        with LoadTest(inventory_of(service), load, place) as kept:
            time.sleep(2)
        sent_again = summed([count(service.log, kept.name)]).duplicates
        with LoadTest(inventory_of(service), replace(load, keepalive=False), place) as new:
            time.sleep(2)
    finally:
        service.close()
    # On kept connections the client hides what went wrong from its user; with one of its own for each request, the
    # user sees it, and nothing is sent twice.
    assert sent_again > 10
    assert kept.report.failed < sent_again
    assert service.served > len(kept.report.all) + len(new.report.all)
    assert summed([count(service.log, new.name)]).duplicates == 0
    assert new.report.failed > 10


def test_the_table_has_a_line_for_each_request_with_the_time_it_was_due(place: LocalPlace) -> None:
    service = StallingService()
    try:
        load = Load(rate=50, seconds=2, longest=20, warmup=1, requests=[RIGHT])
        with LoadTest(inventory_of(service), load, place) as test:
            time.sleep(2)
    finally:
        service.close()
    rows = list(csv.DictReader(gzip.decompress(test.table).decode().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    due = [int(row["scheduled_ns"]) for row in rows]
    assert {later - earlier for earlier, later in pairwise(due)} == {20_000_000}
    assert all(int(row["sent_ns"]) >= moment for row, moment in zip(rows, due, strict=True))
    assert {(row["status"], row["right"], row["error"], row["path"], row["version"]) for row in rows} == {
        ("200", "1", "", "/", "1.0.0")
    }
    assert service.served > len(rows) + 30  # the warm-up is not in the table
    assert summed([count(service.log, test.name)]) == Retries(0, 0)  # nor taken for requests that came twice
