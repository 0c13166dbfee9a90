"""Rules over where users go: the load balancers' own records and the journal, one thing spoilt, the sentence."""

from dataclasses import replace

import pytest

from scripts.cli.judgement import judge

from .routed import LIVE, NOW, journal, lock, record, routed, state, with_both_versions
from .stack import SITES, find_server, unit

GREEN = {f"{site}_{slot}": ("ready" if slot == "green" else "drain") for site in SITES for slot in ("blue", "green")}
RUNNING = {"current": record(), "lock": lock()}


def problems(view):
    return judge(view.inventory, view.reports)


def texts(view):
    return [problem.text for problem in problems(view)]


def test_load_balancers_that_follow_the_journal_are_no_problem(inventory):
    assert texts(routed(inventory)) == []


def test_one_that_routes_to_another_version_is_named_once_with_both(inventory):
    facts = with_both_versions()
    for site in SITES:
        find_server(facts, "lb-d", f"{site}-blue").update(state="DRAIN", status="DRAIN")
        find_server(facts, "lb-d", f"{site}-green").update(state="UP", status="UP")
    said = [
        text for text in texts(routed(inventory, {"lb-d": state(**GREEN)}, facts=facts)) if "more than one" not in text
    ]
    assert said == [
        "lb-d sends users to 2.0.0 (green) on a b c d, not to 1.0.0 (blue) on a b c d as the other load balancers do"
    ]


def test_one_that_lacks_a_server_or_has_other_weights_is_named(inventory):
    heavy = state()
    heavy["servers"]["c-blue"]["weight"] = 10
    said = texts(routed(inventory, {"lb-a": state(b_blue="drain"), "lb-b": heavy}))
    assert said[0].startswith("lb-a sends users to 1.0.0 (blue) on a c d, not to 1.0.0 (blue) on a b c d")
    assert said[1].startswith("lb-b sends users to 1.0.0 (blue) on a b c d (weights a-blue 100 b-blue 100 c-blue 10")


def test_users_on_another_version_than_the_journal_s_everywhere_is_one_problem_that_an_undo_records(inventory):
    view = routed(inventory, {f"lb-{site}": state(**GREEN) for site in SITES})
    said = [problem for problem in problems(view) if problem.host == ""]
    assert [problem.text for problem in said] == [
        "users are on 2.0.0 (green) on a b c d, but by the journal 1.0.0 (blue) is live"
    ]
    assert said[0].remedy.startswith("evenkeel undo 2.0.0")


def test_while_a_release_with_a_live_lock_moves_users_a_difference_is_a_note(inventory):
    view = routed(inventory, {"lb-d": state(**GREEN)}, journal(**RUNNING))
    assert [problem.grave for problem in problems(view)] == [False]
    both = {f"lb-{site}": state(a_green="ready", a_blue="drain") for site in SITES}
    assert texts(routed(inventory, both, journal(**RUNNING))) == []


def test_a_site_left_out_of_the_pool_is_named_with_the_reason_of_the_release(inventory):
    stage = {"stage": "install-2", "figures": {"left_out": {"c": "no room"}}}
    part = record(id="r1", state="partial", ended=NOW - 5, live=LIVE, stages=[stage])
    without = {f"lb-{site}": state(c_blue="drain") for site in SITES}
    facts = with_both_versions()
    for site in SITES:
        find_server(facts, f"lb-{site}", "c-blue").update(state="DRAIN", status="DRAIN")
    assert texts(routed(inventory, without, journal(releases=[part]), facts=facts)) == [
        "site c is left out of the pool: no room"
    ]
    assert texts(routed(inventory, without, facts=facts)) == ["site c is left out of the pool"]


def test_a_stack_without_a_release_has_no_site_left_out(inventory):
    empty = state() | {"routing": None}
    assert "left out" not in str(texts(routed(inventory, {f"lb-{site}": empty for site in SITES}, journal(live=None))))


@pytest.mark.parametrize(
    ("timer", "said"),
    [
        (
            {"release": "r2", "remaining": -3, "fired": True, "held": None},
            "lb-a, lb-b: the dead-man timer of r2 has fired: nobody renewed it, "
            "users are back on 1.0.0 (blue) on a b c d",
        ),
        (
            {"release": "r2", "remaining": -3, "fired": False, "held": "none of the servers is up"},
            "lb-a, lb-b: the dead-man timer of r2 should take users back, but none of the servers is up",
        ),
    ],
)
def test_a_timer_that_fired_or_is_kept_from_it_is_named(inventory, timer, said):
    late = state() | {"deadman": timer}
    assert texts(routed(inventory, {"lb-a": late, "lb-b": late})) == [said]


def test_a_timer_that_waits_is_no_problem(inventory):
    armed = state() | {"deadman": {"release": "r2", "remaining": 20.0, "fired": False, "held": None}}
    assert texts(routed(inventory, {"lb-a": armed})) == []


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (lock(expires=NOW - 65), "the lock of root@ci expired 1 min 5 s ago: nobody carries it out"),
        (None, "nobody holds the lock"),
    ],
)
def test_a_release_in_progress_that_nobody_carries_out_is_named(inventory, held, said):
    view = routed(inventory, known=journal(current=record(), lock=held))
    assert texts(view) == [f"release r2-2.0.0 is in progress in stage shift-1, but {said}"]
    assert problems(view)[0].remedy == "pulumi up (goes on from there)"


def test_an_undo_that_nobody_carries_out_is_undone_again_not_left_to_pulumi(inventory):
    view = routed(inventory, known=journal(current=record(origin="undo"), lock=None))
    assert problems(view)[0].remedy == "evenkeel undo"


def test_a_release_that_is_carried_out_and_a_hold_are_no_problems(inventory):
    hold = {"who": "ada", "reason": "sale", "at": NOW}
    assert texts(routed(inventory, known=journal(**RUNNING, hold=hold))) == []


def test_a_journal_that_cannot_be_read_is_named_a_stopped_haproxy_only_once(inventory):
    facts = with_both_versions()
    facts["lb-a"]["units"] = [unit("haproxy", "failed", "failed", "exit-code")]
    view = routed(inventory, facts=facts)
    lacking = {"lb-a": "HAProxy does not answer", "control": "disk full"}
    reports = tuple(
        replace(report, traffic=None, journal=None, lacks=lacking[report.host.name])
        if report.host.name in lacking
        else report
        for report in view.reports
    )
    assert texts(replace(view, reports=reports)) == [
        "lb-a: haproxy is failed (exit-code)",
        "control: the journal cannot be read: disk full",
    ]


def waiting(routing=True):
    """A load balancer on which writes wait, by its own record or only by its HAProxy."""
    held = state() | {"writes": {"frozen": True, "under_way": 0}}
    if routing:
        held["routing"] |= {"frozen": {"release": "r2-4.0.0", "seconds": 12, "at": NOW - 40}}
    return held


def test_writes_that_wait_for_nobody_are_grave_and_for_a_release_none(inventory):
    (problem,) = problems(routed(inventory, {"lb-a": waiting(), "lb-c": waiting()}))
    assert problem.text == "lb-a, lb-c: writes wait (503) for r2-4.0.0, which nobody carries out"
    assert problem.grave and problem.remedy == "pulumi up"
    assert problems(routed(inventory, {"lb-a": waiting()}, journal(**RUNNING))) == []


def test_a_haproxy_that_freezes_without_a_record_is_named(inventory):
    assert texts(routed(inventory, {"lb-a": waiting(routing=False)})) == [
        "lb-a: writes wait (503), which its record does not know of"
    ]
