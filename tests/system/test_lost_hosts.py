"""Any one host may go, at once: the others serve, and it comes back by itself."""

from __future__ import annotations

import json

import pytest

from scripts.inventory import Role
from tests.system.running import RunningStack, wait_for

pytestmark = pytest.mark.system


def serves(stack: RunningStack, load_balancer: str) -> bool:
    """Tell whether a load balancer answers a list of items."""
    return stack.ask("GET", "/item?limit=1", stack.host(load_balancer).address).status == 200


def write_and_read(stack: RunningStack, write_through: str, read_through: str) -> None:
    """Write a row through one load balancer and read it through another."""
    created = stack.ask("POST", "/item", stack.host(write_through).address, {"name": "while one is lost"})
    assert created.status == 201
    assert stack.ask("GET", f"/item/{created.body['id']}", stack.host(read_through).address).status == 200


def ring_states(stack: RunningStack, seen_from: str) -> dict[str, str]:
    """Return {address: state} such as UN or DN, as one node sees the ring."""
    lines = stack.on(seen_from, "nodetool status").stdout.splitlines()
    return {line.split()[1]: line[:2] for line in lines if line[:2] in ("UN", "DN", "UJ", "UL")}


def server_is_up(stack: RunningStack, load_balancer: str, server: str) -> bool:
    """Tell whether a load balancer counts a server as up."""
    return bool(json.loads(stack.on(load_balancer, "evenkeel-traffic show").stdout)[server]["up"])


def test_a_lost_load_balancer_leaves_the_others_serving_and_comes_back(stack: RunningStack) -> None:
    before = stack.on("lb-b", "evenkeel-traffic show").stdout
    others = [host.address for host in stack.of(Role.LOAD_BALANCER) if host.name != "lb-b"]
    with stack.stopped("lb-b"), stack.load(20, 5, f"http://{others[0]}/item?limit=5") as reports:
        write_and_read(stack, "lb-a", "lb-d")
    assert (reports[0].failed, reports[0].errors) == (0, [])
    wait_for("lb-b serves again", lambda: serves(stack, "lb-b"), 60)
    wait_for("all servers up on lb-b", lambda: stack.on("lb-b", "evenkeel-traffic show").stdout == before, 30)


def test_a_lost_application_server_is_taken_out_and_back_in(stack: RunningStack) -> None:
    with stack.stopped("app-c"):
        wait_for("lb-a takes c-blue out", lambda: not server_is_up(stack, "lb-a", "c-blue"), 10)
        with stack.load(20, 5) as reports:
            write_and_read(stack, "lb-c", "lb-b")
        assert (reports[0].failed, reports[0].errors) == (0, [])
    wait_for("lb-a takes c-blue back in", lambda: server_is_up(stack, "lb-a", "c-blue"), 90)


@pytest.mark.parametrize("lost", ["db-a", "db-d"])
def test_a_lost_database_node_is_not_noticed_and_rejoins(stack: RunningStack, lost: str) -> None:
    address = stack.host(lost).address
    with stack.stopped(lost):
        wait_for(f"db-b sees {lost} down", lambda: ring_states(stack, "db-b")[address] == "DN", 60)
        with stack.load(20, 5) as reports:
            write_and_read(stack, "lb-a", "lb-d")
        assert (reports[0].failed, reports[0].errors) == (0, [])
    wait_for(f"db-b sees {lost} up", lambda: ring_states(stack, "db-b").get(address) == "UN", 120)
    assert set(ring_states(stack, lost).values()) == {"UN"}


@pytest.mark.parametrize(("lost", "left"), [("ns-1", "ns-2"), ("ns-2", "ns-1")])
def test_names_resolve_with_a_name_server_lost(stack: RunningStack, lost: str, left: str) -> None:
    serial = f"dig +short @{{}} {stack.inventory.zone} SOA"
    with stack.stopped(lost):
        answer = stack.on("runner", ["getent", "ahostsv4", stack.inventory.service]).stdout
        assert {line.split()[0] for line in answer.splitlines()} == {
            host.address for host in stack.of(Role.LOAD_BALANCER)
        }
        page = stack.on("runner", f"curl -sS -o /dev/null -w '%{{http_code}}' http://{stack.inventory.service}/item")
        assert page.stdout == "200"
    expected = stack.on("runner", serial.format(stack.host(left).address)).stdout
    wait_for(
        f"{lost} answers again",
        lambda: stack.on("runner", serial.format(stack.host(lost).address), check=False).stdout == expected,
        60,
    )


@pytest.mark.parametrize("lost", ["control", "runner"])
def test_a_lost_helper_host_changes_nothing_for_users(stack: RunningStack, lost: str) -> None:
    with stack.stopped(lost):
        command = f"curl -sS -o /dev/null -w '%{{http_code}}' -m 10 http://{stack.host('lb-a').address}/item"
        assert stack.on("app-a", command).stdout == "200"
    wait_for(f"{lost} is back", lambda: stack.on(lost, "true", check=False).ok, 60)


def test_a_load_balancer_that_restarts_routes_as_before(stack: RunningStack) -> None:
    """A changed routing survives a reload, a restart, and the machine's own restart."""
    try:
        stack.on("lb-d", "evenkeel-traffic set d-blue drain && evenkeel-traffic set c-blue ready 1")
        for again in ("systemctl reload haproxy", "systemctl restart haproxy", "systemctl kill -s KILL haproxy"):
            stack.on("lb-d", again)
            wait_for(f"lb-d serves after {again}", lambda: serves(stack, "lb-d"), 20)
            assert json.loads(stack.on("lb-d", "evenkeel-traffic show").stdout)["d-blue"]["state"] == "drain"
        with stack.stopped("lb-d"):
            pass
        wait_for("lb-d serves after a power cut", lambda: serves(stack, "lb-d"), 60)
        assert json.loads(stack.on("lb-d", "evenkeel-traffic show").stdout)["d-blue"]["state"] == "drain"
    finally:
        undo = "evenkeel-traffic set d-blue ready"
        wait_for("lb-d takes d-blue back", lambda: stack.on("lb-d", undo, check=False).ok, 30)
