"""Who is to blame for requests that were sent late: the service, while all users waited for it, or the generator."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from scripts.experiment.load.results import busy_share
from scripts.experiment.one_run import lateness

MS = 10**6


def play(workers: int, takes_ms: Callable[[int], int], pause_ms: tuple[int, int] = (0, 0)) -> list[list[int]]:
    """The table's rows of 4 s of 100 requests a second, one a millisecond at the most; none is sent in the pause.

    `takes_ms` is how long an answer takes, by when it was asked for.
    """
    rows: list[list[int]] = []
    free = [0] * workers
    for seq in range(400):
        due = seq * 10 * MS
        sent = max(due, heapq.heappop(free), rows[-1][2] + MS if rows else 0)
        if pause_ms[0] * MS <= sent < pause_ms[1] * MS:
            sent = pause_ms[1] * MS
        ended = sent + takes_ms(sent // MS) * MS
        heapq.heappush(free, ended)
        rows.append([seq, due, sent, ended - due])
    return rows


def late(rows: list[list[int]]) -> int:
    return sum(sent - due > 50 * MS for _, due, sent, _ in rows)


def test_a_service_that_stalls_has_users_wait_in_line() -> None:
    rows = play(20, lambda at: 2000 - at if 1000 <= at < 2000 else 5)
    assert late(rows) > 50
    share = busy_share(rows, 20)
    assert share is not None
    assert share > 0.95


def test_a_service_that_is_slow_all_the_time_does_so_too() -> None:
    rows = play(20, lambda _: 250)
    assert late(rows) > 300
    share = busy_share(rows, 20)
    assert share is not None
    assert share > 0.95


def test_a_generator_that_pauses_while_users_are_free_is_late_itself() -> None:
    rows = play(20, lambda _: 5, pause_ms=(1000, 1150))
    assert late(rows) > 10
    assert busy_share(rows, 20) == 0.0


def test_a_load_that_is_on_time_has_no_share() -> None:
    assert busy_share(play(20, lambda _: 5), 20) is None


def test_the_note_names_who_kept_the_requests() -> None:
    assert lateness(50, 120.0, 0.93) == [
        "users waited in line: all 50 were waiting for an answer while 93 % of the late requests were held back, "
        "1 % of all by more than 120 ms"
    ]
    assert lateness(50, 120.0, 0.2) == ["the generator was late: 1 % of the requests by more than 120 ms"]


def test_nothing_is_said_of_a_load_that_was_on_time() -> None:
    assert lateness(50, 49.0, 1.0) == lateness(50, None, None) == []
