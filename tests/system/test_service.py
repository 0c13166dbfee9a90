"""The service serves: every verb through every load balancer, by name, from one database."""

from __future__ import annotations

import json
import uuid

import pytest

from scripts.inventory import Role
from tests.system.running import RunningStack

pytestmark = pytest.mark.system
SITES = ("a", "b", "c", "d")


@pytest.mark.parametrize("site", SITES)
def test_every_verb_works_through_the_load_balancer_of_a_site(stack: RunningStack, site: str) -> None:
    address = stack.host(f"lb-{site}").address
    name = f"made through {site} {uuid.uuid4()}"
    created = stack.ask("POST", "/item", address, {"name": name, "quantity": 1})
    assert created.status == 201
    path = f"/item/{created.body['id']}"
    assert created.headers["location"].endswith(path)
    assert stack.ask("GET", path, address).body["name"] == name
    updated = stack.ask("PUT", path, address, {"name": name, "quantity": 2})
    assert updated.status == 200
    assert stack.ask("GET", path, address).body["quantity"] == 2
    assert stack.ask("DELETE", path, address).status == 204
    assert stack.ask("GET", path, address).status == 404


def test_a_row_written_through_a_is_read_through_d(stack: RunningStack) -> None:
    name = f"from a to d {uuid.uuid4()}"
    created = stack.ask("POST", "/item", stack.host("lb-a").address, {"name": name})
    read = stack.ask("GET", f"/item/{created.body['id']}", stack.host("lb-d").address)
    assert (read.status, read.body["name"]) == (200, name)


def test_the_list_has_the_seed_rows_page_by_page(stack: RunningStack) -> None:
    address = stack.host("lb-b").address
    seen: set[str] = set()
    token = None
    for _ in range(500):  # tests before this one may have left rows of their own
        path = "/item?limit=200" + (f"&page_state={token}" if token else "")
        page = stack.ask("GET", path, address)
        assert page.status == 200
        seen |= {item["id"] for item in page.body["items"]}
        token = page.body["next"]
        if not token:
            break
    assert not token
    assert len(seen) >= 500


@pytest.mark.parametrize("server", ["ns-1", "ns-2"])
def test_both_name_servers_answer_with_all_load_balancers(stack: RunningStack, server: str) -> None:
    address = stack.host(server).address
    answer = stack.on("runner", ["dig", "+short", f"@{address}", stack.inventory.service]).stdout.split()
    assert sorted(answer) == sorted(host.address for host in stack.of(Role.LOAD_BALANCER))


def test_the_name_servers_turn_the_answer_round(stack: RunningStack) -> None:
    address = stack.host("ns-1").address
    firsts = {
        stack.on("runner", ["dig", "+short", f"@{address}", stack.inventory.service]).stdout.split()[0]
        for _ in range(8)
    }
    assert len(firsts) == 4


def test_the_zone_is_transferred_by_key_only(stack: RunningStack) -> None:
    primary = stack.host("ns-1").address
    from_anywhere = stack.on("runner", ["dig", f"@{primary}", "axfr", stack.inventory.zone], check=False).stdout
    assert "Transfer failed" in from_anywhere
    serials = {
        stack.on("runner", ["dig", "+short", f"@{stack.host(server).address}", stack.inventory.zone, "SOA"]).stdout
        for server in ("ns-1", "ns-2")
    }
    assert len(serials) == 1


def test_the_ring_has_four_nodes_up_and_normal(stack: RunningStack) -> None:
    lines = stack.on("db-c", "nodetool status").stdout.splitlines()
    assert sum(line.startswith("UN ") for line in lines) == 4


def test_the_database_takes_no_default_login(stack: RunningStack) -> None:
    contact = stack.host("db-a").address
    program = (
        "from cassandra.cluster import Cluster; from cassandra.auth import PlainTextAuthProvider as P; "
        f"Cluster(['{contact}'], auth_provider=P('cassandra', 'cassandra')).connect()"
    )
    tried = stack.on(
        "control", ["env", "PYTHONPATH=/opt/evenkeel/python", "python3", "-c", program], check=False, timeout=60
    )
    assert tried.exit_status != 0
    assert "AuthenticationFailed" in tried.stderr or "Bad credentials" in tried.stderr


def test_every_answer_says_which_version_gave_it(stack: RunningStack) -> None:
    answer = stack.ask("GET", "/version", stack.host("lb-a").address)
    assert answer.body["version"] == stack.inventory.version == answer.headers["x-version"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/item", {}, 400),
        ("POST", "/item", {"name": 7}, 400),
        ("GET", "/item/not-an-id", None, 400),
        ("GET", f"/item/{uuid.uuid4()}", None, 404),
        ("GET", "/nothing", None, 404),
        ("PATCH", "/health", None, 405),
        ("GET", "/item?limit=0", None, 400),
    ],
)
def test_a_bad_request_is_told_so_in_json(
    stack: RunningStack, method: str, path: str, body: object, status: int
) -> None:
    answer = stack.ask(method, path, stack.host("lb-c").address, body)
    assert answer.status == status
    assert set(answer.body) == {"error"}
    assert answer.body["error"]["message"]


def test_memory_limits_hold_and_every_host_stays_below_them(stack: RunningStack) -> None:
    limits = {Role.LOAD_BALANCER: 256, Role.APP_SERVER: 256, Role.DATABASE: 1024, Role.NAME_SERVER: 256}
    for role, limit in limits.items():
        for host in stack.of(role):
            memory = json.loads(stack.on(host.name, "evenkeel-facts").stdout)["memory"]
            assert memory["limit"] == limit * 2**20, host.name
            assert memory["used"] < memory["limit"], host.name


def test_the_access_log_has_the_times_of_a_request(stack: RunningStack) -> None:
    marker = f"/item/{uuid.uuid4()}"
    stack.ask("GET", marker, stack.host("lb-a").address)
    lines = stack.on("lb-a", f"journalctl -u haproxy -o cat --no-pager | grep -F {marker}").stdout.splitlines()
    entry = json.loads(lines[-1])
    assert entry["status"] == 404
    assert entry["Tr"] >= 0
    assert entry["Ta"] >= entry["Tr"]
    # Either slot may serve: it depends on how many releases the stack has had.
    site, name = entry["server"].split("-")
    slot = json.loads(stack.on(f"app-{site}", "evenkeel-slot show").stdout)[name]
    assert (slot["active"], slot["installed"]["version"]) == (True, stack.inventory.version)
