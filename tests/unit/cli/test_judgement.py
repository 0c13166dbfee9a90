"""scripts/cli/judgement.py: recorded facts, one thing spoilt, the sentence that names it."""

import pytest

from scripts.cli.facts import Report, parse
from scripts.cli.judgement import View, judge
from scripts.ssh import CommandError, HostKeyError, Result, UnreachableError

from .stack import ADDRESSES, SITES, find_server, healthy, unit


def reports(inventory, facts, errors=()):
    errors = dict(errors)
    return tuple(
        Report(host, None if host.name in errors else parse(facts[host.name]), errors.get(host.name), 0.1)
        for host in inventory.hosts
    )


def silent(name):
    return name, UnreachableError(name, f"no SSH at {ADDRESSES[name]}: connection refused")


def texts(inventory, facts, errors=()):
    return [problem.text for problem in judge(inventory, reports(inventory, facts, errors))]


def test_a_stack_that_serves_has_no_problems(inventory):
    assert texts(inventory, healthy()) == []


@pytest.mark.parametrize("name", list(ADDRESSES))
def test_a_host_that_does_not_answer_is_the_one_problem_its_consequences_are_not(inventory, name):
    facts = healthy()
    role, _, site = name.partition("-")
    for balancer in (f"lb-{letter}" for letter in SITES):
        if role == "app":
            find_server(facts, balancer, f"{site}-blue").update(state="DOWN", status="DOWN")
    for node in (f"db-{letter}" for letter in SITES):
        for entry in facts[node]["db"]["ring"]["nodes"]:
            if entry["address"] == ADDRESSES[name]:
                entry["state"] = "DN"
    problems = judge(inventory, reports(inventory, facts, [silent(name)]))
    assert [problem.text for problem in problems] == [
        f"{name} does not answer (no SSH at {ADDRESSES[name]}: connection refused)"
    ]
    assert problems[0].grave
    assert problems[0].remedy == f"evenkeel start {name}"


def test_a_host_key_that_changed_is_not_called_a_host_that_is_down(inventory):
    error = HostKeyError("lb-a", "another key answers", "find out who")
    problem = judge(inventory, reports(inventory, healthy(), [("lb-a", error)]))[0]
    assert problem.text == "lb-a gives no facts: another key answers"
    assert problem.remedy == "find out who"


def test_a_host_without_the_facts_tool_is_reachable_but_wrong(inventory):
    error = CommandError("lb-a", "evenkeel-facts", Result("", "sh: 1: evenkeel-facts: not found", 127))
    seen = reports(inventory, healthy(), [("lb-a", error)])
    assert seen[0].reachable
    assert "not found" in judge(inventory, seen)[0].text


@pytest.mark.parametrize(("name", "service"), [("lb-b", "haproxy"), ("db-c", "cassandra"), ("ns-2", "named")])
def test_a_failed_service_is_named_with_its_host(inventory, name, service):
    facts = healthy()
    facts[name]["units"] = [unit(service, "failed", "failed", "exit-code")]
    assert f"{name}: {service} is failed (exit-code)" in texts(inventory, facts)
    facts[name]["units"] = [unit(service, "activating", "start", "success")]
    assert f"{name}: {service} is still starting" in texts(inventory, facts)
    facts[name]["units"] = []
    assert f"{name}: {service} is not set up" in texts(inventory, facts)


def test_a_live_slot_that_is_not_ready_is_wrong(inventory):
    facts = healthy()
    facts["app-b"]["app"][0]["ready"] = 503
    assert texts(inventory, facts) == ["app-b: the live slot blue cannot serve (/health 200, /ready 503)"]


def test_an_idle_slot_that_is_not_ready_is_nobody_s_problem(inventory):
    facts = healthy()
    facts["app-b"]["app"][1].update(installed="2.0.0", version="2.0.0", health=200, ready=503)
    assert texts(inventory, facts) == []


def test_an_application_server_nobody_sends_to_is_wrong(inventory):
    facts = healthy()
    for letter in SITES:
        find_server(facts, f"lb-{letter}", "c-blue").update(state="DOWN", status="DOWN")
    assert texts(inventory, facts) == ["app-c takes no traffic: to the load balancers, blue is DOWN and green is MAINT"]


def test_load_balancers_that_disagree_are_named(inventory):
    facts = healthy()
    find_server(facts, "lb-d", "a-blue").update(state="MAINT", status="MAINT")
    find_server(facts, "lb-d", "a-green").update(state="UP", status="UP")
    said = texts(inventory, facts)
    assert "lb-d does not send to app-a blue (MAINT), other load balancers do" in said
    assert "lb-a does not send to app-a green (MAINT), other load balancers do" in said
    assert "app-a: the live slot green cannot serve (nothing listens)" in said


def test_two_live_versions_are_noted_but_not_grave(inventory):
    facts = healthy()
    facts["app-a"]["app"][0]["version"] = "2.0.0"
    problems = judge(inventory, reports(inventory, facts))
    assert [problem.text for problem in problems] == ["more than one version is live: 1.0.0 at b, c, d; 2.0.0 at a"]
    assert not problems[0].grave


def test_a_live_version_other_than_the_wanted_one_is_noted(inventory):
    facts = healthy()
    for letter in SITES:
        facts[f"app-{letter}"]["app"][0]["version"] = "0.9.0"
    assert texts(inventory, facts) == ["the stack wants version 1.0.0, live is 0.9.0 at a, b, c, d"]


def test_a_node_that_is_down_says_who_sees_it_so(inventory):
    facts = healthy()
    for observer in ("db-a", "db-b"):
        facts[observer]["db"]["ring"]["nodes"][2]["state"] = "DN"
    facts["db-d"]["db"]["ring"]["nodes"].pop(2)
    assert texts(inventory, facts) == [
        "db-c is DN in the ring as db-a, db-b sees it",
        "db-c is missing in the ring as db-d sees it",
    ]


def test_an_old_view_of_the_ring_accuses_nobody(inventory):
    facts = healthy()
    facts["db-a"]["db"]["ring"]["nodes"].pop()
    facts["db-a"]["db"]["ring"]["age"] = 40.0
    assert texts(inventory, facts) == []


def test_a_node_that_takes_no_clients_is_wrong(inventory):
    facts = healthy()
    facts["db-a"]["db"]["takes_clients"] = False
    assert texts(inventory, facts) == ["db-a: Cassandra runs but takes no clients"]


def test_name_servers_with_different_serials_are_wrong(inventory):
    facts = healthy()
    facts["ns-2"]["ns"]["serial"] -= 1
    assert texts(inventory, facts) == ["the name servers have different zones: ns-1 2026112401, ns-2 2026112400"]


def test_a_name_that_stands_for_other_addresses_is_wrong(inventory):
    facts = healthy()
    facts["ns-1"]["ns"]["addresses"] = ["10.77.0.11"]
    assert texts(inventory, facts)[0].startswith(
        "ns-1 answers 10.77.0.11 for test.evenkeel.test, not the load balancers'"
    )


def test_a_part_that_could_not_be_read_is_said_in_the_host_s_words(inventory):
    facts = healthy()
    facts["db-a"]["db"]["ring"] = {"error": "nodetool did not answer within 20 s"}
    facts["lb-a"]["lb"] = {"error": "evenkeel-traffic: HAProxy does not answer"}
    assert texts(inventory, facts) == [
        "lb-a: lb: evenkeel-traffic: HAProxy does not answer",
        "db-a: ring: nodetool did not answer within 20 s",
    ]


def test_other_failed_units_and_tight_memory_are_noted(inventory):
    facts = healthy()
    facts["runner"]["failed"] = ["cron"]
    facts["db-b"]["memory"] = {"used": 1020 << 20, "limit": 1024 << 20}
    problems = judge(inventory, reports(inventory, facts))
    assert [problem.text for problem in problems] == [
        "db-b: 100 % of its memory is in use",
        "runner: failed units: cron",
    ]
    assert not any(problem.grave for problem in problems)


def test_grave_problems_come_first(inventory):
    facts = healthy()
    facts["lb-a"]["failed"] = ["cron"]
    facts["ns-2"]["units"] = [unit("named", "failed", "failed", "exit-code")]
    assert [problem.grave for problem in judge(inventory, reports(inventory, facts))] == [True, False]


def test_no_load_balancer_answering_is_not_blamed_on_the_application_servers(inventory):
    errors = [silent(f"lb-{letter}") for letter in SITES]
    said = texts(inventory, healthy(), errors)
    assert len(said) == 4
    assert all("does not answer" in text for text in said)


def test_the_live_slot_is_where_the_load_balancers_send(inventory):
    view = View(inventory, reports(inventory, healthy()))
    assert view.live_slots("a") == {"blue": ["lb-a", "lb-b", "lb-c", "lb-d"]}
    assert view.live_versions() == {"1.0.0": ["a", "b", "c", "d"]}
