"""scripts/host/evenkeel-facts.py: what it reads of a host, with the host's programs replaced by recorded answers."""

import dataclasses
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.cli import facts
from scripts.inventory import Inventory

from .programs import TOOLS, load_tool, program

SYSTEMCTL = """\
Id=haproxy.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
Result=success
NRestarts=0
MemoryCurrent=27262976

Id=named.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=disabled
Result=success
NRestarts=0
MemoryCurrent=[not set]

Id=cassandra.service
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=disabled
Result=exit-code
NRestarts=2
MemoryCurrent=18446744073709551615

Id=app@blue.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""
TRAFFIC = [
    {"pxname": "web", "svname": "FRONTEND", "status": "OPEN", "req_tot": "120", "hrsp_5xx": "1", "scur": "4"},
    {"pxname": "app", "svname": "a-blue", "status": "UP", "weight": "100", "addr": "10.77.0.31:8001",
     "check_status": "L7OK", "scur": "2", "stot": "60", "lastchg": "44"},
    {"pxname": "app", "svname": "a-green", "status": "MAINT", "weight": "0"},
    {"pxname": "app", "svname": "BACKEND", "status": "UP", "weight": "100"},
]  # fmt: skip
DIG = """\
evenkeel.test.\t\t60\tIN\tSOA\tns-1.evenkeel.test. hostmaster.evenkeel.test. 2026112401 300 60 86400 60
test.evenkeel.test.\t5\tIN\tA\t10.77.0.12
test.evenkeel.test.\t5\tIN\tA\t10.77.0.11
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool as a module, with its files below tmp_path and a PATH of its own in front."""
    module = load_tool("evenkeel-facts")
    (tmp_path / "bin").mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(module, "SLOTS", tmp_path / "srv")
    monkeypatch.setattr(module, "SLOT_ENVIRONMENT", tmp_path / "etc")
    return module


class Instance(BaseHTTPRequestHandler):
    """A sample application that is alive but not ready."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, body = {"/alive": (200, b"ok"), "/ready": (503, b"{}"), "/version": (200, b'{"version":"1.2.3"}')}[
            self.path
        ]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def instance():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Instance)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def test_units_are_those_enabled_running_or_failed(tool, tmp_path):
    program(tmp_path, "systemctl", SYSTEMCTL)
    units = tool.read_units()
    assert [unit["name"] for unit in units] == ["haproxy", "cassandra"]
    assert units[0]["memory"] == 27262976
    assert units[1] | {"memory": None, "restarts": 2, "state": "failed", "result": "exit-code"} == units[1]


def test_a_slot_tells_what_is_installed_and_what_its_instance_answers(tool, tmp_path, instance):
    current = tmp_path / "srv" / "blue" / "current"
    current.mkdir(parents=True)
    (current / "evenkeel.toml").write_text('version = "1.2.2"\n[http]\nhealth = "/alive"\nready = "/ready"\n')
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "app-blue.env").write_text(f'SITE=a\nPORT="{instance}"\n')
    blue = tool.read_slot("blue", 8001)
    assert blue == {
        "slot": "blue",
        "port": instance,
        "installed": "1.2.2",
        "version": "1.2.3",
        "health": 200,
        "ready": 503,
    }


def test_an_empty_slot_costs_nothing_and_says_so(tool):
    assert tool.read_slot("green", 1)["error"] == "nothing listens"


def test_haproxy_s_servers_are_listed_with_their_state(tool, tmp_path):
    program(tmp_path, "evenkeel-traffic", json.dumps(TRAFFIC))
    seen = tool.read_haproxy()
    assert (seen["requests"], seen["errors"], seen["sessions"]) == (120, 1, 4)
    assert [(entry["server"], entry["state"], entry["weight"]) for entry in seen["servers"]] == [
        ("a-blue", "UP", 100),
        ("a-green", "MAINT", 0),
    ]


def test_the_zone_s_serial_and_the_name_s_addresses_come_from_one_question(tool, tmp_path):
    program(tmp_path, "dig", DIG)
    zone = tool.read_zone("evenkeel.test", "test.evenkeel.test")
    assert zone["serial"] == 2026112401
    assert zone["addresses"] == ["10.77.0.11", "10.77.0.12"]


def test_a_program_that_fails_becomes_a_sentence_not_a_traceback(tool, tmp_path):
    program(tmp_path, "dig", "", 9)
    assert tool.attempt(lambda: tool.read_zone("evenkeel.test", None)) == {"error": "dig: exit status 9"}
    program(tmp_path, "evenkeel-traffic", "[{}]")
    assert tool.attempt(tool.read_haproxy) == {"error": "unexpected answer: KeyError('svname')"}


def test_the_printed_facts_are_what_the_command_line_reads(tmp_path):
    """The tool as a program, on this machine: it may have no systemd, but it prints what `parse` takes."""
    done = subprocess.run([sys.executable, TOOLS / "evenkeel-facts.py"], capture_output=True, text=True, check=True)
    seen = facts.parse(json.loads(done.stdout))
    assert seen.memory_used and seen.memory_limit and seen.memory_used < seen.memory_limit
    assert seen.uptime is not None and seen.uptime > 0


def test_hosts_are_asked_over_ssh_for_their_facts_with_what_their_role_needs(inventory, login, tmp_path, monkeypatch):
    monkeypatch.setattr(Inventory, "login", lambda _, host: dataclasses.replace(login, name=host.name))
    printed = json.dumps({"format": 1, "units": [], "failed": [], "memory": {}, "load": [1.0], "uptime": 3})
    program(tmp_path, "evenkeel-facts", printed, before=f'echo "$@" >> {tmp_path}/asked')
    reports = facts.gather(inventory)
    assert [report.host.name for report in reports] == [host.name for host in inventory.hosts]
    assert all(report.facts and report.facts.load == 1.0 for report in reports)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert sorted(set(asked)) == ["", "--zone evenkeel.test --name test.evenkeel.test"]
    assert len(asked) == 16


def test_a_slow_host_is_told_to_take_its_time(inventory, login, tmp_path, monkeypatch):
    slow = dataclasses.replace(inventory, slowness=20)
    monkeypatch.setattr(
        Inventory, "login", lambda self, host: dataclasses.replace(login, name=host.name, slowness=self.slowness)
    )
    printed = json.dumps({"format": 1, "units": [], "failed": [], "memory": {}, "load": [1.0], "uptime": 3})
    program(tmp_path, "evenkeel-facts", printed, before=f'echo "$@" >> {tmp_path}/asked')
    facts.gather(slow)
    assert all("--slowness=20" in asked for asked in (tmp_path / "asked").read_text().splitlines())


def test_a_program_may_take_longer_on_a_slow_host(tool, tmp_path, monkeypatch):
    program(tmp_path, "dig", DIG, before="sleep 0.5")
    with pytest.raises(ValueError, match=r"did not answer within 0\.1 s"):
        tool.run(["dig"], 0.1)
    monkeypatch.setitem(tool.SLOWNESS, "times", 20)
    assert tool.run(["dig"], 0.1)


def test_a_host_that_prints_something_else_is_reported_not_raised(inventory, login, tmp_path):
    program(tmp_path, "evenkeel-facts", "welcome!")
    report = facts.ask_host(inventory.host("lb-a"), login, inventory)
    assert report.facts is None
    assert "prints something else" in str(report.error)
    program(tmp_path, "evenkeel-facts", '{"format": 99}')
    assert "format 99" in str(facts.ask_host(inventory.host("lb-a"), login, inventory).error)
