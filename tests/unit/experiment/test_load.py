"""What counts as a failed request, when it was due, and what the figures of a load are."""

from __future__ import annotations

import base64
import math
import random
from typing import Any

import pytest

from scripts.experiment.load.figures import Report, Request, percentile, read_report
from scripts.experiment.load.results import BODY_READ, as_table, judge, parse_time, reduce, start_of
from scripts.experiment.load.retries import Retries, summed, unlogged
from scripts.experiment.load.retry_log import count
from scripts.experiment.load.targets import (
    EXPECTED,
    SHARES,
    Entrance,
    Items,
    Wanted,
    item_requests,
    kinds,
    own_requests,
)

RIGHT = {
    "GET http://a/item?load=0": [200, "item"],
    "GET http://a/item?load=1": [404, None],
    "GET http://a/item?load=2": [201, None],
}


def result(number: int = 0, code: int = 200, *, error: str = "", seq: int = 0, **headers: list[str]) -> dict[str, Any]:
    found = {"X-Version": ["1.0.0"]} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "seq": seq, "code": code, "error": error, "latency": 5_000_000, "method": "GET",
        "body": base64.b64encode(b"an item").decode(), "timestamp": f"2026-11-24T08:00:0{seq}.250000001+01:00",
        "url": f"http://a/item?load={number}", "headers": found,
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
        (result() | {"body": base64.b64encode(b"another").decode()}, "GET: the body is not the right one"),
        (result() | {"body": None}, "GET: the body is not the right one"),
        (result(7), "GET: a request that nobody planned"),
    ],
)  # fmt: skip
def test_everything_else_is_a_failure_with_its_reason(seen: dict[str, Any], reason: str) -> None:
    assert judge(seen, RIGHT) == reason


def test_a_right_text_beyond_what_is_read_of_a_body_is_told_apart() -> None:
    long = result() | {"body": base64.b64encode(b"x" * BODY_READ).decode()}
    assert judge(long, RIGHT) == "GET: the body is not the right one in its first 64 KiB"
    found = result() | {"body": base64.b64encode(b"x" * (BODY_READ - 4) + b"item").decode()}
    assert judge(found, RIGHT) is None


def test_a_redirect_is_right_where_it_is_asked_for() -> None:
    right = {"GET http://a/item?load=0": [301, None]}
    assert judge(result(0, 301), right) is None
    assert judge(result(0, 301), RIGHT) == "GET: status 301, expected 200"


def test_times_have_all_their_digits_and_their_zone() -> None:
    assert parse_time("1970-01-01T01:00:01.250000001+01:00") == 1_250_000_001
    assert parse_time("1970-01-01T00:00:02Z") == 2 * 10**9
    assert parse_time("1970-01-01T00:00:02.5Z") == 2_500_000_000


def test_results_are_put_in_order_and_those_that_are_missing_counted() -> None:
    results = [result(seq=3), result(0, 0, error="EOF", seq=0), result(seq=1, X_Version=["2.0.0"])]
    summary, rows, _ = reduce(results, RIGHT, rate=1, workers=9, ahead_ns=2 * 10**9)
    assert [row[0] for row in rows] == [0, 1, 3]
    assert (summary.sent, summary.missing, summary.failed) == (4, 1, 2)
    assert [failure["reason"] for failure in summary.failures] == ["GET: no answer: EOF"]
    report = read_report(as_table(rows), vars(summary))
    assert (report.requests, report.failed) == (4, 2)
    assert report.reasons() == {"no result": 1, "GET: no answer: EOF": 1}
    assert report.by_version == {"1.0.0": 2, "2.0.0": 1}
    there = parse_time("2026-11-24T08:00:00.250000001+01:00") / 1e9
    assert report.failures[0].at == report.all[0].at == pytest.approx(there - 2)


def test_latency_counts_from_when_a_request_was_due() -> None:
    on_time, late = result(seq=0), result(seq=1) | {"timestamp": "2026-11-24T08:00:04.250000001+01:00"}
    _, rows, _ = reduce([on_time, late], RIGHT, rate=1, workers=9)
    assert [row[3] for row in rows] == [5_000_000, 3_005_000_000]
    assert rows[1][1] - rows[0][1] == 10**9


def test_the_schedule_is_the_latest_by_which_nothing_was_sent_too_early() -> None:
    assert start_of([(0, 1_500_000_000), (1, 2_000_000_000), (2, 3_100_000_000)], rate=1) == 1_000_000_000


def test_the_ids_of_created_items_are_kept() -> None:
    assert reduce([result(2, 201, Location=["/item/x-1"])], RIGHT, 1, 9)[2] == ["x-1"]


def test_no_results_are_an_empty_report() -> None:
    summary, rows, _ = reduce([], RIGHT, 1, 9)
    report = read_report(as_table(rows), vars(summary))
    assert (report.requests, report.failed, report.seconds()) == (0, 0, [])
    assert math.isnan(report.between(0, 1).p99)


def test_a_window_has_the_requests_begun_in_it() -> None:
    requests = [Request(number / 10, number, "1.0.0", "bad" if number == 12 else None) for number in range(100)]
    report = Report(requests, [], 0)
    window = report.between(1.0, 2.0)
    assert (window.requests, window.failed, window.p50, window.p99, window.max) == (10, 1, 14, 19, 19)
    assert [second.requests for second in report.seconds()] == [10] * 10


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile(list(range(1, 101)), 50) == 50
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([7.0], 99) == 7.0


def test_seven_of_ten_requests_read_and_nothing_is_deleted_twice_or_read_after() -> None:
    order = kinds(1000, random.Random(1), SHARES["mix"])  # noqa: S311
    doomed = [f"doomed-{number}" for number in range(order.count("delete"))]
    entrances = [Entrance("http://10.0.0.1", "s"), Entrance("http://10.0.0.2", "s")]
    wanted = list(item_requests(order, Items(["kept"], ["gone"], doomed), entrances, random.Random(2)))  # noqa: S311
    methods = [str(request.target["method"]) for request in wanted]
    assert methods.count("GET") == 700
    urls = [str(request.target["url"]) for request in wanted]
    assert len({request.key for request in wanted}) == 1000
    assert sum("doomed" in url for url in urls) == len(doomed) == methods.count("DELETE")
    assert all(("gone" in url) == (EXPECTED[kind] == 404) for url, kind in zip(urls, order, strict=True))
    assert sum(url.startswith("http://10.0.0.2/") for url in urls) == 500
    assert all(request.target["header"]["Host"] == ["s"] for request in wanted)


def test_a_get_load_only_reads() -> None:
    assert set(kinds(200, random.Random(1), SHARES["get"])) == {"list", "read"}  # noqa: S311


def test_the_thesis_load_is_one_request_without_a_query() -> None:
    order = kinds(30, random.Random(1), SHARES["thesis"])  # noqa: S311
    entrances = [Entrance("http://a", "")]
    found = list(item_requests(order, Items(["kept"], ["gone"], []), entrances, random.Random(2)))  # noqa: S311
    assert {(request.key, request.status, request.contains) for request in found} == {
        ("GET http://a/item", 200, '"items"')
    }


def test_the_right_answer_to_a_read_names_the_item() -> None:
    order = ["read", "list", "create", "delete"]
    items = Items(["kept"], ["gone"], ["doomed"])
    found = list(item_requests(order, items, [Entrance("http://a", "")], random.Random(2)))  # noqa: S311
    assert [request.contains for request in found] == ["kept", '"items"', '"load 2"', None]


def test_requests_of_ones_own_have_their_shares_and_their_numbers() -> None:
    described = [
        {"share": 3, "method": "GET", "path": "/x/{number}", "status": 200, "contains": "n{number}"},
        {"share": 1, "method": "POST", "path": "/x", "status": 201, "contains": None, "body": {"n": ["{number}"]}},
    ]
    found: list[Wanted] = list(own_requests(described, 8, [Entrance("http://a", "")], random.Random(1)))  # noqa: S311
    posts = [request for request in found if request.target["method"] == "POST"]
    assert len(posts) == 2
    number = next(place for place, request in enumerate(found) if request is posts[0])
    assert base64.b64decode(posts[0].target["body"]) == f'{{"n": ["{number}"]}}'.encode()
    first = next(request for request in found if request.target["method"] == "GET")
    assert first.contains == "n" + first.target["url"].removeprefix("http://a/x/")


def test_a_request_that_came_to_two_load_balancers_came_twice() -> None:
    lines = [
        '{"load":"mine","seq":"1","retries":"0"}', '{"load":"mine","seq":"2","retries":"+2"}',
        '{"load":"other","seq":"1","retries":"1"}', "Proxy web started.", "{not json",
    ]  # fmt: skip
    one = count(lines, "mine")
    assert one == {"seen": {"1": 1, "2": 1}, "retries": 2, "known": True}
    assert summed([one, {"seen": {"2": 1, "3": 1}, "retries": 0}]) == Retries(duplicates=1, by_proxy=2)


def test_requests_that_no_log_has_are_counted() -> None:
    logs = [{"seen": {"1": 1, "2": 1}}, {"seen": {"2": 1, "3": 1}}]
    assert [unlogged(logs, right) for right in (2, 3, 5)] == [0, 0, 2]


def test_a_log_that_names_no_loads_is_told_apart_from_one_without_duplicates() -> None:
    assert count(['{"client":"10.0.0.1","retries":"0"}'], "mine")["known"] is False
    assert count([], "mine")["known"] is True, "a load balancer that had no request is no reason for doubt"
