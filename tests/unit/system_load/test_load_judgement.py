"""What counts as a failed request, and what the figures of a load are."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from tests.system.load import Report, Request, percentile, read_report
from tests.system.load_reduce import judge, parse_time, reduce
from tests.system.load_targets import EXPECTED, Entrance, Items, kinds, make_targets
from tests.system.measure_release import busy_seconds, in_markdown, lowest_capacity

RIGHT = [200, 404, 201]


def result(number: int = 0, code: int = 200, *, error: str = "", seq: int = 0, **headers: list[str]) -> dict[str, Any]:
    found = {"X-Version": ["1.0.0"]} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "seq": seq, "code": code, "error": error, "latency": 5_000_000, "method": "GET", "body": None,
        "timestamp": f"2026-11-24T08:00:0{seq}.250000001+01:00",
        "url": f"http://a/item?limit=5&load={number}", "headers": found,
    }  # fmt: skip


def test_the_right_status_with_one_version_is_no_failure() -> None:
    assert judge(result(), RIGHT) is None
    assert judge(result(1, 404, error="404 Not Found"), RIGHT) is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (result(0, 404, error="404 Not Found"), "GET: status 404, expected 200"),
        (result(1, 200), "GET: status 200, expected 404"),
        (result(2, 200), "GET: status 200, expected 201"),
        (result(0, 0, error='Get "http://a/item": EOF'), "GET: no answer: EOF"),
        (result(0, 0, error='Get "http://a/": dial tcp 0.0.0.0:0->10.0.0.1:80: connect: refused'),
         "GET: no answer: dial tcp 10.0.0.1:80: connect: refused"),
        (result(0, 0), "GET: no answer: no reason given"),
        (result(0, 200, error="unexpected EOF"), "GET: unexpected EOF"),
        (result(X_Version=["1.0.0", "2.0.0"]), "GET: 2 versions in one answer"),
        (result(X_Version=["1.0.0, 2.0.0"]), "GET: 2 versions in one answer"),
        (result(X_Version=[]), "GET: no version in the answer"),
    ],
)  # fmt: skip
def test_everything_else_is_a_failure_with_its_reason(seen: dict[str, Any], reason: str) -> None:
    assert judge(seen, RIGHT) == reason


def test_times_have_all_their_digits_and_their_zone() -> None:
    assert parse_time("1970-01-01T01:00:01.250000000+01:00") == pytest.approx(1.25)
    assert parse_time("1970-01-01T00:00:02Z") == 2
    assert parse_time("1970-01-01T00:00:02.5Z") == 2.5


def test_results_are_put_in_order_and_those_that_are_missing_counted() -> None:
    reduced = reduce([result(seq=3), result(0, 0, error="EOF", seq=0), result(seq=1, X_Version=["2.0.0"])], RIGHT)
    assert reduced.begun == [0, 1_000_000, 3_000_000]
    assert reduced.missing == 1
    assert [failure["reason"] for failure in reduced.failures] == ["GET: no answer: EOF"]
    report = read_report(vars(reduced), rate=1, ahead=2.0)
    assert (report.requests, report.failed) == (4, 2)
    assert report.reasons() == {"no result": 1, "GET: no answer: EOF": 1}
    assert report.by_version == {"1.0.0": 2, "2.0.0": 1}
    assert report.failures[0].at == report.all[0].at == pytest.approx(reduced.start - 2)


def test_the_ids_of_created_items_are_kept() -> None:
    assert reduce([result(2, 201, Location=["/item/x-1"])], RIGHT).created == ["x-1"]


def test_no_results_are_an_empty_report() -> None:
    report = read_report(vars(reduce([], RIGHT)), rate=1, ahead=0)
    assert (report.requests, report.failed, report.seconds(), report.lags) == (0, 0, [], [])
    assert math.isnan(report.between(0, 1).p99)


def test_a_window_has_the_requests_begun_in_it() -> None:
    requests = [Request(number / 10, number, "1.0.0", "bad" if number == 12 else None) for number in range(100)]
    report = Report(requests, [], 10, 0)
    window = report.between(1.0, 2.0)
    assert (window.requests, window.failed, window.p50, window.p99, window.max) == (10, 1, 14, 19, 19)
    assert [second.requests for second in report.seconds()] == [10] * 10


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile(list(range(1, 101)), 50) == 50
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([7.0], 99) == 7.0


def test_lag_is_how_late_the_generator_was() -> None:
    on_time = [Request(number / 10, 1, "1.0.0", None) for number in range(20)]
    late = [*on_time[:10], Request(1.3, 1, "1.0.0", None), *on_time[11:]]
    assert Report(on_time, [], 10, 0).lag_max == pytest.approx(0, abs=1e-6)
    assert Report(late, [], 10, 0).lag_max == pytest.approx(300)


def test_seven_of_ten_requests_read_and_nothing_is_deleted_twice_or_read_after() -> None:
    order = kinds(1000, random.Random(1))  # noqa: S311
    doomed = [f"doomed-{number}" for number in range(order.count("delete"))]
    entrances = [Entrance("http://10.0.0.1", "s"), Entrance("http://10.0.0.2", "s")]
    targets = list(make_targets(order, Items(["kept"], ["gone"], doomed), entrances, random.Random(2)))  # noqa: S311
    methods = [str(target["method"]) for target in targets]
    assert methods.count("GET") == 700
    urls = [str(target["url"]) for target in targets]
    assert len(set(urls)) == 1000
    assert sum("doomed" in url for url in urls) == len(doomed) == methods.count("DELETE")
    assert all(("gone" in url) == (EXPECTED[kind] == 404) for url, kind in zip(urls, order, strict=True))
    assert sum(url.startswith("http://10.0.0.2/") for url in urls) == 500
    assert all(target["header"]["Host"] == ["s"] for target in targets)  # type: ignore[index]


def test_stages_at_the_same_time_are_counted_once() -> None:
    stages = [{"began": 0.0, "seconds": 4.0}, {"began": 1.0, "seconds": 2.0}, {"began": 10, "seconds": 1}, {"began": 3}]
    assert busy_seconds(stages) == 5
    assert busy_seconds([{"stage": "outcome"}]) is None


def test_the_table_is_markdown() -> None:
    head, line, row = in_markdown([["2.0.0"] * 13]).splitlines()
    assert head.count("|") == line.count("|") == row.count("|") == 14


def test_the_lowest_capacity_is_the_lowest_that_a_stage_has_seen() -> None:
    stages = [{"figures": {"capacity_before": 4}}, {"figures": {"lowest_capacity": 2}}, {"figures": None}]
    assert lowest_capacity([*stages, {"figures": {"lowest_capacity": 3}}]) == "4 -> 2"
    assert lowest_capacity([{"stage": "gate"}]) == "not known"
