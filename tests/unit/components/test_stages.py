"""Which stages a release has, in which order, when each may act and how long it may take."""

from __future__ import annotations

from typing import Any

import pytest

from components.stages import (
    Kind,
    Stage,
    State,
    bad,
    deadline,
    divide,
    find,
    last_look_seconds,
    order,
    reason_to_skip,
    turn,
)

PLAN = {
    "strategy": "bluegreen",
    "gate": "none",
    "gate_seconds": 3600,
    "bake_seconds": 45,
    "lock_wait_seconds": 7,
    "canary": {"steps": [5, 25, 50], "bake_seconds": 30},
}
KINDS = tuple(Kind)


def said(stage: str, state: State) -> dict[str, Any]:
    """A verdict, as far as guards read it."""
    return {"stage": stage, "state": str(state), "reason": "it was so"}


GOOD = [said("preflight", State.PASSED), said("install-1", State.PASSED), said("smoke-1", State.SKIPPED)]


@pytest.mark.parametrize(
    ("strategy", "sites", "groups"),
    [
        ("bluegreen", "abcd", ["ab", "cd"]),
        ("canary", "abcd", ["ab", "cd"]),
        ("halves", "abcd", ["ab", "cd"]),
        ("bluegreen", "abcde", ["abc", "de"]),
        ("bluegreen", "ab", ["a", "b"]),
        ("rolling", "abc", ["a", "b", "c"]),
    ],
)
def test_a_strategy_releases_halves_or_every_site_for_itself(strategy: str, sites: str, groups: list[str]) -> None:
    assert divide(strategy, list(sites)) == [tuple(group) for group in groups]


def test_two_groups_go_through_these_stages_in_this_order() -> None:
    assert [stage.name for stage in order(2)] == [
        "preflight",
        *("tables", "backfill", "verify"),
        *("install-1", "smoke-1", "gate", "freeze", "shift-1"),
        *("install-2", "smoke-2", "shift-2"),
        *("settle", "rollback", "outcome"),
    ]


@pytest.mark.parametrize("groups", [1, 2, 3, 50])
def test_every_group_is_installed_and_checked_before_users_meet_it(groups: int) -> None:
    names = [stage.name for stage in order(groups)]
    assert names.count("gate") == 1
    for group in range(1, groups + 1):
        places = [names.index(f"{kind}-{group}") for kind in ("install", "smoke", "shift")]
        assert places == sorted(places)
    assert names.index("smoke-1") < names.index("gate") < names.index("freeze") < names.index("shift-1")
    assert names[-3:] == ["settle", "rollback", "outcome"]


def test_a_later_stage_s_word_beats_an_earlier_one_s() -> None:
    turns = [turn(stage, 3) for stage in order(3)]
    assert turns == sorted(set(turns))


@pytest.mark.parametrize("stage", order(3))
def test_a_stage_is_found_by_its_name(stage: Stage) -> None:
    assert find(stage.name, 3) == stage


@pytest.mark.parametrize("name", ["install-4", "install", "preflight-1", "tables-1", ""])
def test_a_stage_that_the_release_does_not_have_is_not_found(name: str) -> None:
    with pytest.raises(KeyError):
        find(name, 3)


def test_passed_and_skipped_stop_nothing() -> None:
    assert bad(GOOD) is None
    assert bad([]) is None


@pytest.mark.parametrize("state", [State.FAILED, State.REFUSED, State.HELD])
def test_the_first_bad_verdict_is_the_one_that_counts(state: State) -> None:
    first = said("install-1", state)
    assert bad([*GOOD, first, said("smoke-1", State.SKIPPED), said("rollback", State.FAILED)]) is first


def stage_of(kind: Kind) -> Stage:
    return Stage(kind, 1 if kind in (Kind.INSTALL, Kind.SMOKE, Kind.SHIFT) else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_bad_verdict_all_act_but_the_rollback(kind: Kind) -> None:
    data = changing("scan")
    assert reason_to_skip(stage_of(kind), [data, *GOOD]) == ("nothing failed" if kind is Kind.ROLLBACK else "")


def changing(mirror: str, *tables: str) -> dict[str, Any]:
    """Preflight's verdict on a release that changes the data of these tables."""
    data = {"mirror": mirror, "tables": [{"name": name} for name in tables or ("item",)]}
    return {"stage": "preflight", "state": "passed", "figures": {"data": data}}


def test_writes_wait_only_where_rows_are_copied_and_nothing_mirrors_them() -> None:
    freeze = Stage(Kind.FREEZE)
    assert reason_to_skip(freeze, [changing("trigger")]) == "the mirror keeps the tables level"
    empty = {"figures": {"data": {"mirror": "scan", "tables": []}}, "state": "passed", "stage": "preflight"}
    assert reason_to_skip(freeze, [empty]) == "no rows are copied: the tables are new altogether"


@pytest.mark.parametrize("kind", [Kind.INSTALL, Kind.SMOKE, Kind.SHIFT])
def test_where_writes_wait_all_sites_go_with_the_first_group(kind: Kind) -> None:
    assert reason_to_skip(Stage(kind, 1), [changing("scan")]) == ""
    for group in (2, 3):
        reason = reason_to_skip(Stage(kind, group), [changing("scan")])
        assert reason == "all sites go together, so that writes wait once"
        assert reason_to_skip(Stage(kind, group), [changing("trigger")]) == ""


def test_a_freeze_may_take_as_long_as_writes_may_wait_and_what_is_done_before() -> None:
    assert deadline(Stage(Kind.FREEZE), {**PLAN, "freeze_seconds": 300}) == 420.0


@pytest.mark.parametrize("figures", [{}, {"data": None}])
@pytest.mark.parametrize("kind", [Kind.TABLES, Kind.BACKFILL, Kind.VERIFY, Kind.FREEZE])
def test_stages_that_change_the_data_have_nothing_to_do_where_it_stays(kind: Kind, figures: dict[str, Any]) -> None:
    earlier = [{"stage": "preflight", "state": "passed", "figures": figures}]
    assert reason_to_skip(Stage(kind), earlier) == "the data does not change"


def test_tables_that_are_new_altogether_are_made_but_nothing_is_copied() -> None:
    data = {"stage": "preflight", "state": "passed", "figures": {"data": {"tables": [], "created": [{"name": "tag"}]}}}
    assert reason_to_skip(Stage(Kind.TABLES), [data]) == ""
    for kind in (Kind.BACKFILL, Kind.VERIFY):
        assert reason_to_skip(Stage(kind), [data]) == "no rows are copied: the tables are new altogether"


@pytest.mark.parametrize("state", [State.FAILED, State.HELD, State.REFUSED])
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_bad_verdict_only_rollback_and_outcome_act(kind: Kind, state: State) -> None:
    reason = reason_to_skip(stage_of(kind), [*GOOD, said("smoke-2", state)])
    if kind is Kind.OUTCOME:
        assert reason == ""
    elif kind is Kind.ROLLBACK:
        assert reason == ("nothing was touched" if state is State.REFUSED else "")
    else:
        assert reason == f"smoke-2 {state}"


def test_the_outcome_is_told_even_when_the_rollback_is_bad() -> None:
    assert reason_to_skip(Stage(Kind.OUTCOME), [said("shift-1", State.FAILED), said("rollback", State.HELD)]) == ""


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        (Stage(Kind.PREFLIGHT), 127),
        (Stage(Kind.TABLES), 300),
        (Stage(Kind.BACKFILL), 600),
        (Stage(Kind.INSTALL, 1), 180),
        (Stage(Kind.SMOKE, 2), 90),
        (Stage(Kind.GATE), 30 + 3600 + 45),
        (Stage(Kind.SHIFT, 1), 90),
        (Stage(Kind.SHIFT, 2), 90),
        (Stage(Kind.SETTLE), 90),
        (Stage(Kind.ROLLBACK), 90),
        (Stage(Kind.OUTCOME), 30),
    ],
)
def test_every_stage_has_a_deadline(stage: Stage, seconds: float) -> None:
    assert deadline(stage, PLAN) == seconds


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(Kind.BACKFILL, 600 + 1000), (Kind.VERIFY, 600 + 1000), (Kind.SETTLE, 390 + 1000), (Kind.ROLLBACK, 390)],
)
def test_what_goes_through_all_rows_has_time_by_their_number(kind: Kind, seconds: float) -> None:
    assert deadline(Stage(kind), {**PLAN, "backfill_rows": 50}, 50_000) == seconds


@pytest.mark.parametrize(("group", "seconds"), [(1, 60 + 3 * 3 * 30), (2, 90)])
def test_only_the_first_shift_of_a_canary_may_watch_its_steps(group: int, seconds: float) -> None:
    assert deadline(Stage(Kind.SHIFT, group), {**PLAN, "strategy": "canary"}) == seconds


@pytest.mark.parametrize(
    ("stage", "rows", "seconds"),
    [
        (Stage(Kind.INSTALL, 1), None, 20 * 180),
        (Stage(Kind.OUTCOME), None, 20 * 30),
        (Stage(Kind.PREFLIGHT), None, 20 * 120 + 7),
        (Stage(Kind.GATE), None, 20 * 30 + 3600 + 45),
        (Stage(Kind.SHIFT, 1), None, 20 * 60 + 3 * 3 * 30),
        (Stage(Kind.FREEZE), None, 20 * 120 + 60),
        (Stage(Kind.BACKFILL), 10_000, 20 * 600 + 1000),
        (Stage(Kind.SETTLE), 10_000, 20 * 390 + 1000),
    ],
)
def test_on_slow_hosts_a_stage_has_longer_for_its_work_but_not_for_what_it_waits_for(
    stage: Stage, rows: int | None, seconds: float
) -> None:
    assert deadline(stage, {**PLAN, "strategy": "canary", "slowness": 20}, rows) == seconds


def test_on_slow_hosts_the_last_look_leaves_settle_its_time_for_all_else() -> None:
    plan = {**PLAN, "slowness": 20}
    assert deadline(Stage(Kind.SETTLE), plan, 500) - last_look_seconds(plan, 500) == 20 * 150
