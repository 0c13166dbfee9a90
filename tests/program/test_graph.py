"""The program's graph: which resources there are, in which order they are registered, and what they carry.

The order in which Pulumi's test monitor sees registrations is the order in which an update makes things: a resource
is registered when everything it waits for is there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SECRETS = '{"private": "PRIVATE", "public": "ssh-ed25519 AAAA", "base64": "QkFTRQ==", "password": "PASSWORD"}'
CERTIFICATE = '{"private": "PRIVATE", "certificate": "CERTIFICATE"}'


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Records every registration; commands that make keys get keys, others what their program would print."""

    seen: list[pulumi.runtime.MockResourceArgs] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    domain_type: str = "kvm"

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.seen.append(args)
        create = str(args.inputs.get("create", ""))
        printed = {"scripts.keys": SECRETS, "scripts.certificates": CERTIFICATE}
        printed |= {"scripts.mirror build": json.dumps({"path": "jar", "sha256": "5a" * 32, "jar": "UEs="})}
        printed |= {"scripts.vms reach": json.dumps({"uri": "qemu:///system", "domain_type": self.domain_type})}
        printed |= {"scripts.release stage": json.dumps({"stage": args.name, "state": "passed", "figures": {}})}
        stdout = next((text for program, text in printed.items() if program in create), f'{{"id": "{args.name}"}}')
        return f"{args.name}-id", args.inputs | {"stdout": stdout}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        if "identify" in args.args["command"]:
            self.asked.append(json.loads(args.args["stdin"]))
            release = {"id": "r1-1.0.0-0123456789ab", "plan": self.asked[-1]["wanted"]["plan"]}
            return {"stdout": json.dumps({"stages": release, "outcome": release, "earlier": None}), "stderr": ""}
        if "scripts.image disk" in args.args["command"]:
            return {"stdout": json.dumps({"name": "0123456789ab", "file": "disk.qcow2"}), "stderr": ""}
        return {"stdout": "localhost/evenkeel-host:0123456789ab", "stderr": ""}


@dataclass(frozen=True)
class Graph:
    """What the program registered: commands by name with their inputs, all names in order, and the inventory."""

    commands: dict[str, dict[str, Any]]
    order: list[str]
    inventory: dict[str, Any]

    def named(self, pattern: str) -> list[str]:
        return [name for name in self.order if re.fullmatch(pattern, name)]

    def before(self, first: str, second: str) -> bool:
        return self.order.index(first) < self.order.index(second)


def run_program(project: Path, domain_type: str = "kvm", **changes: object) -> Graph:
    """Run settings, topology and release on Pulumi.yaml's defaults with some values changed.

    `domain_type` is what hypervisors are found to run.
    """
    from components.release import Release, ReleaseArgs
    from components.settings import load
    from components.topology import Topology

    recorder = Recorder(domain_type=domain_type)
    pulumi.runtime.set_mocks(recorder, project="evenkeel", stack="dev", preview=False)
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    values = {key: entry["default"] for key, entry in schema.items()} | changes
    pulumi.runtime.set_all_config(
        {f"evenkeel:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    )
    inventory: list[dict[str, Any]] = []

    @pulumi.runtime.test
    def program() -> pulumi.Output[None]:
        topology = Topology("evenkeel", load(project))
        release = Release("release", ReleaseArgs.of(topology))
        return pulumi.Output.all(topology.inventory(), release.id_).apply(lambda parts: inventory.append(parts[0]))

    program()
    commands = {args.name: args.inputs for args in recorder.seen if args.typ.startswith("command:")}
    return Graph(commands, list(commands), inventory[0])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    from tests.conftest import write_artifact

    project = tmp_path_factory.mktemp("project")
    write_artifact(project / "artifacts", "1.0.0")
    return run_program(project)


def test_four_sites_have_sixteen_machines_each_with_its_own_host_key(graph: Graph) -> None:
    machines = graph.named(r".*-machine")
    assert len(machines) == 16
    assert {name.replace("-machine", "-host-key") for name in machines} == set(graph.named(r".*-host-key"))


def test_the_machine_is_checked_before_anything_is_made_on_it(graph: Graph) -> None:
    assert graph.before("containers-check", "containers-network")
    assert all(graph.before("containers-network", machine) for machine in graph.named(r".*-machine"))


@pytest.mark.parametrize(("earlier", "later"), [("a", "b"), ("b", "c"), ("c", "d")])
def test_a_site_is_begun_only_when_the_one_before_it_is_complete(graph: Graph, earlier: str, later: str) -> None:
    of_earlier = graph.named(rf"(lb|app|db)-{earlier}-.*")
    of_later = graph.named(rf"(lb|app|db)-{later}-.*")
    assert {f"db-{earlier}-node", f"app-{earlier}-slots", f"lb-{earlier}-routing"} <= set(of_earlier)
    assert max(map(graph.order.index, of_earlier)) < min(map(graph.order.index, of_later))


@pytest.mark.parametrize("site", "abcd")
def test_versions_are_put_back_only_when_the_site_s_database_is_in_the_ring(graph: Graph, site: str) -> None:
    assert graph.before(f"db-{site}-node", f"app-{site}-slots")
    assert graph.before(f"db-{site}-pairs", f"app-{site}-slots")


@pytest.mark.parametrize("site", "abcd")
def test_nothing_else_of_an_application_server_waits_for_its_site_s_database(graph: Graph, site: str) -> None:
    assert graph.before(f"app-{site}-machine", f"db-{site}-node")
    assert graph.before(f"app-{site}-config", f"db-{site}-node")


def test_the_second_name_server_is_begun_only_when_the_first_one_serves(graph: Graph) -> None:
    of_first = graph.named(r"ns-1-(?!host-key).*")
    of_second = graph.named(r"ns-2-.*")
    assert {"ns-1-machine", "ns-1-config"} <= set(of_first)
    assert max(map(graph.order.index, of_first)) < min(map(graph.order.index, of_second))


def test_the_database_is_prepared_when_the_ring_is_whole_and_a_release_comes_last(graph: Graph) -> None:
    assert all(graph.before(node, "database-prepared") for node in graph.named(r"db-.-node"))
    others = [name for name in graph.order if not name.startswith("release-")]
    assert graph.order[len(others) :] == [
        f"release-{stage}"
        for stage in (
            *("preflight", "tables", "backfill", "verify"),
            *("install-1", "smoke-1", "gate", "freeze", "shift-1", "install-2", "smoke-2", "shift-2"),
            *("settle", "rollback", "outcome"),
        )
    ]


def test_every_connection_pins_a_host_key_and_logs_in_by_key(graph: Graph) -> None:
    connections = [inputs["connection"]["value"] for inputs in graph.commands.values() if "connection" in inputs]
    assert len(connections) == 4 * 3 + 2 + 3
    assert all(each["hostKey"] == "ssh-ed25519 AAAA" and each["privateKey"] == "PRIVATE" for each in connections)


def test_every_load_balancer_declares_both_slots_of_every_server_its_own_first(graph: Graph) -> None:
    for site in "abcd":
        pool = haproxy(graph, site).partition("\nbackend app\n")[2].partition("\nbackend")[0]
        servers = re.findall(r"^    server (\S+) (\S+)", pool, re.M)
        assert sorted(name for name, _ in servers) == sorted(
            f"{s}-{slot}" for s in "abcd" for slot in ("blue", "green")
        )
        assert servers[0][0] == f"{site}-blue"
        assert len({address for _, address in servers}) == 8


def test_only_the_first_site_is_published(graph: Graph) -> None:
    published = {
        name: inputs["triggers"][0]["publish"] for name, inputs in graph.commands.items() if "-machine" in name
    }
    assert [name for name, ports in published.items() if ports] == ["lb-a-machine"]


def test_the_databases_data_outlives_its_machine(graph: Graph) -> None:
    specification = graph.commands["db-b-machine"]["triggers"][0]
    assert specification["volumes"] == {"evenkeel-dev-db-b-data": "/var/lib/cassandra"}


def test_nothing_a_person_can_see_holds_a_key(graph: Graph) -> None:
    for name, inputs in graph.commands.items():
        visible = json.dumps([inputs.get("triggers"), inputs.get("create"), inputs.get("delete")])
        assert "PRIVATE" not in visible, name
        assert "PASSWORD" not in visible, name


def test_commands_hold_no_path_of_this_machine(graph: Graph) -> None:
    assert all(str(ROOT) not in json.dumps(inputs) for inputs in graph.commands.values())


def test_the_inventory_lists_every_host_with_address_and_key(graph: Graph) -> None:
    hosts = graph.inventory["hosts"]
    assert len({host["address"] for host in hosts}) == 16
    assert all(host["host_key"].startswith("ssh-ed25519 ") for host in hosts)
    power = {host["name"]: host["power"] for host in hosts}
    assert power["lb-b"]["on"] == ["scripts.containers", "start", "--stack", "dev", "lb-b"]
    assert power["lb-b"]["off"] == ["scripts.containers", "stop", "--stack", "dev", "lb-b"]
    assert graph.inventory["service"] == "test.evenkeel.test"
    assert graph.inventory["url"] == "http://127.0.0.1:8080/item"


def haproxy(graph: Graph, site: str) -> str:
    """Return the text of a load balancer's haproxy.cfg."""
    files = json.loads(graph.commands[f"lb-{site}-config"]["stdin"])["files"]
    return next(str(file["content"]) for file in files if file["path"].endswith("haproxy.cfg"))


def test_one_changed_value_changes_only_the_load_balancers(graph: Graph, project: Path) -> None:
    changed = run_program(project, maxConnections=1234)
    artifact = re.compile(r"[0-9a-f]{64}")  # the two projects' artifacts differ in their tar's times

    def plain(inputs: dict[str, Any]) -> str:
        return artifact.sub("SHA", json.dumps(inputs, sort_keys=True)).replace(str(project), "")

    differing = [name for name in graph.commands if plain(graph.commands[name]) != plain(changed.commands[name])]
    differing = [name for name in differing if not name.endswith("-version")]
    assert differing == [f"lb-{site}-config" for site in "abcd"]


def test_where_hosts_are_not_slow_nothing_speaks_of_it(graph: Graph) -> None:
    assert "slowness" not in graph.inventory
    told = [inputs for name, inputs in graph.commands.items() if name != "control-programs"]  # which know the word
    assert "slowness" not in json.dumps(told)


def test_whatever_waits_for_slow_hosts_is_told_so(project: Path) -> None:
    slow = run_program(project, slowness=20, deadmanSeconds=300)
    told = {name: json.loads(inputs["stdin"]) for name, inputs in slow.commands.items() if "stdin" in inputs}
    assert told["release-install-1"]["release"]["plan"]["slowness"] == 20
    assert told["release-install-1"]["stack"]["slowness"] == 20
    for name in ("app-b-slots", "lb-b-routing", "db-b-pairs"):
        assert told[name]["slowness"] == 20
    assert slow.inventory["slowness"] == 20
    assert told["database-prepared"]["slowness"] == 20
    assert told["release-install-1"]["stack"]["ring"]["slowness"] == 20
    assert "ring_delay_ms=100000\\n" in slow.commands["db-b-node"]["stdin"]


def test_the_database_is_prepared_within_the_usual_time(graph: Graph) -> None:
    prepared = graph.commands["database-prepared"]
    assert " timeout -s KILL 900 python3 -m scripts.database prepare" in prepared["create"]
    assert "deadline_seconds" not in json.loads(prepared["stdin"])


def test_the_database_s_preparation_waits_as_long_as_a_node_may_take_to_join(project: Path) -> None:
    patient = run_program(project, databaseJoinSeconds=3600)
    prepared = patient.commands["database-prepared"]
    assert " timeout -s KILL 4200 python3 -m scripts.database prepare" in prepared["create"]
    assert json.loads(prepared["stdin"])["deadline_seconds"] == 3600
    assert "deadline_seconds" not in json.dumps(patient.inventory)


def test_a_removed_site_leaves_the_others_machines_alone(graph: Graph, project: Path) -> None:
    fewer = run_program(project, sites=["a", "c", "d"])
    for name in fewer.named(r".*-machine"):
        assert fewer.commands[name] == graph.commands[name]


def test_two_sites_are_enough(project: Path) -> None:
    pair = run_program(project, sites=["a", "b"], replicationFactor=2)
    assert len(pair.named(r".*-machine")) == 10


@pytest.mark.parametrize(("domain_type", "memory_mb"), [("kvm", 8192), ("qemu", 8192 + 16 * 1024)])
def test_a_hypervisor_must_have_what_its_kind_of_machine_takes(project: Path, domain_type: str, memory_mb: int) -> None:
    machines = run_program(project, domain_type, substrate="libvirt", publish="none")
    assert json.loads(machines.commands["hypervisor-local-check"]["stdin"])["memory_mb"] == memory_mb


STAGES = (
    *("preflight", "tables", "backfill", "verify"),
    *("install-1", "smoke-1", "gate", "freeze", "shift-1"),
    *("install-2", "smoke-2", "shift-2", "settle", "rollback"),
)


def test_every_stage_is_told_the_release_and_the_verdicts_of_all_stages_before_it(graph: Graph) -> None:
    for number, name in enumerate([*STAGES, "outcome"]):
        command = graph.commands[f"release-{name}"]
        told = json.loads(command["stdin"])
        assert [verdict["stage"] for verdict in told["earlier"]] == [f"release-{stage}" for stage in STAGES[:number]]
        assert told["release"]["id"] == "r1-1.0.0-0123456789ab"
        assert command["triggers"] == ["r1-1.0.0-0123456789ab"]
        assert command["create"] == f"exec .venv/bin/python -m scripts.release stage {name}"
        assert "delete" not in command  # a dead host must not block `destroy`


def test_a_rolling_release_has_a_group_for_every_site(tmp_path: Path) -> None:
    from tests.conftest import write_artifact

    write_artifact(tmp_path / "artifacts", "1.0.0")
    graph = run_program(tmp_path, strategy="rolling")
    assert len(graph.named(r"release-install-.")) == 4
    assert [name for name in graph.order if name.startswith("release-")][-3:] == [
        "release-settle",
        "release-rollback",
        "release-outcome",
    ]


def test_only_what_vegeta_writes_of_a_request_gets_into_the_access_log(graph: Graph) -> None:
    """A request's own headers must not be able to break the log's JSON, which releases read."""
    text = haproxy(graph, "a")
    captured = [line.split() for line in text.splitlines() if "http-request capture" in line]
    assert [words[2] for words in captured] == ["req.hdr(X-Vegeta-Attack)", "req.hdr(X-Vegeta-Seq)"]
    patterns = [re.compile(words[words.index("reg") + 1]) for words in captured]
    assert [bool(pattern.search(value)) for pattern, value in zip(patterns, ("load-1f", "17"), strict=True)] == [
        True
    ] * 2
    assert not any(
        pattern.search(value) for pattern in patterns for value in ('1"7', "1\\", "1\n2", '","status":500,"x":"')
    )


def cassandra(graph: Graph, site: str) -> str:
    """Return the text of a database node's cassandra.yaml."""
    files = json.loads(graph.commands[f"db-{site}-node"]["stdin"])["files"]
    return next(str(file["content"]) for file in files if file["path"].endswith("cassandra.yaml"))


def slot_environment(graph: Graph, site: str) -> str:
    """Return the text of a blue slot's environment."""
    files = json.loads(graph.commands[f"app-{site}-config"]["stdin"])["files"]
    return next(str(file["content"]) for file in files if file["path"].endswith("app-blue.env"))


def test_slow_hosts_get_more_time_from_load_balancers_and_database(graph: Graph, project: Path) -> None:
    usual = haproxy(graph, "a"), cassandra(graph, "a"), slot_environment(graph, "a")
    assert "timeout connect 500ms\n" in usual[0] and "timeout check 5s\n" in usual[0]
    assert "\nwrite_request_timeout: 1500ms\nc" in usual[1] and "\nread_request_timeout: 2000ms\n" in usual[1]
    assert "DATABASE_TIMEOUT_MS" not in usual[2]
    slow = run_program(project, slowness=20, deadmanSeconds=200, requestTimeoutMs=60000)
    assert "timeout connect 10000ms\n" in haproxy(slow, "a") and "timeout check 100s\n" in haproxy(slow, "a")
    assert "slowness" not in json.loads(graph.commands["db-a-mirror"]["stdin"])
    assert json.loads(slow.commands["db-a-mirror"]["stdin"])["slowness"] == 20
    # Two tries and as much again fit into what a request may take.
    assert "\nwrite_request_timeout: 12000ms\nc" in cassandra(slow, "a")
    assert "DATABASE_TIMEOUT_MS=20000" in slot_environment(slow, "a").replace('"', "")


def test_a_database_gets_no_more_time_than_its_user_waits(graph: Graph, project: Path) -> None:
    slow = run_program(project, slowness=20, deadmanSeconds=200)
    assert cassandra(slow, "a").count("write_request_timeout: 1500ms") == 1
    assert slot_environment(slow, "a") == slot_environment(graph, "a")
