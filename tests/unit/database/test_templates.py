"""What the templates of a database node come to: files that Cassandra, Java, systemd and the shell accept."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import jinja2
import pytest
import yaml

from components.render import render

TEMPLATES = Path(__file__).resolve().parents[3] / "templates" / "cassandra"
CONTEXT = {
    "cluster_name": "evenkeel",
    "datacenter": "dc1",
    "rack": "b",
    "address": "10.77.0.32",
    "peers": ["10.77.0.31", "10.77.0.32", "10.77.0.33", "10.77.0.34"],
    "founder": False,
    "replication_factor": 3,
    "heap_mb": 288,
    "direct_mb": 96,
}


def filled(name, **changes):
    return render(f"cassandra/{name}", **(CONTEXT | changes))


def settings(**changes):
    return yaml.safe_load(filled("cassandra.yaml.j2", **changes))


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.j2")), ids=lambda path: path.name)
def test_every_template_says_what_it_needs_and_leaves_none_of_that_in_the_file(path):
    assert path.read_text("utf-8").startswith("{#-")
    text = filled(path.name)
    assert "{#" not in text
    assert "{{" not in text
    assert not text.startswith("\n")
    assert text.endswith("\n")


@pytest.mark.parametrize("missing", ["cluster_name", "address", "replication_factor"])
def test_a_value_that_nobody_gave_is_an_error(missing):
    given = {key: value for key, value in CONTEXT.items() if key != missing}
    with pytest.raises(jinja2.UndefinedError, match=missing):
        render("cassandra/cassandra.yaml.j2", **given)


def test_no_setting_is_given_twice():
    lines = [line for line in filled("cassandra.yaml.j2").splitlines() if line and line[0].isalpha()]
    keys = [line.split(":")[0] for line in lines]
    assert len(keys) == len(set(keys))


def test_what_waits_for_a_thread_fails_by_its_own_time_out_and_never_under_another_statements_number():
    # CASSANDRA-21508: what waits longer than native_transport_timeout is answered under stream 0.
    found = settings()
    waits = [int(found[f"{what}_request_timeout"].removesuffix("ms")) for what in ("read", "write", "range")]
    assert found["cql_start_time"] == "QUEUE"
    assert int(found["native_transport_timeout"].removesuffix("ms")) > 100 * max(waits)


def test_a_node_listens_at_its_own_address_only():
    found = settings()
    assert found["listen_address"] == found["rpc_address"] == CONTEXT["address"]


def test_logins_and_rights_are_asked_for():
    found = settings()
    assert found["authenticator"]["class_name"] == "PasswordAuthenticator"
    assert found["authorizer"]["class_name"] == "CassandraAuthorizer"


def test_peers_must_show_a_certificate_for_their_address():
    options = settings()["server_encryption_options"]
    assert options["internode_encryption"] == "all"
    assert options["require_client_auth"] is True
    assert options["require_endpoint_verification"] is True
    assert options["legacy_ssl_storage_port_enabled"] is False


def test_a_new_node_copies_its_rows_before_it_serves():
    assert "auto_bootstrap" not in settings()
    assert "auto_bootstrap" not in filled("jvm.options.j2")


def test_what_a_node_may_use_stays_under_its_host_s_memory():
    found = settings()
    off_heap = [found[key] for key in ("memtable_offheap_space", "file_cache_size", "networking_cache_size")]
    code_and_classes = 64 + 128
    most = 288 + 96 + sum(int(value.removesuffix("MiB")) for value in off_heap) + code_and_classes
    assert most < 800


def test_a_java_argument_is_given_once():
    arguments = [line for line in filled("jvm.options.j2").splitlines() if line.startswith("-")]
    assert len(arguments) == len(set(arguments))
    assert "-Xmx288m" in arguments
    assert "-Dcassandra.jmx.local.port=7199" in arguments
    assert not [argument for argument in arguments if "jmx.remote.port" in argument]


@pytest.mark.parametrize(("nodes", "delay"), [(2, 5000), (8, 5000), (9, 10000)])
def test_a_larger_ring_is_given_longer_to_hear_of_a_joining_node(nodes, delay):
    text = filled("jvm.options.j2", peers=[f"10.77.0.{n}" for n in range(nodes)])
    assert f"-Dcassandra.ring_delay_ms={delay}\n" in text


@pytest.mark.parametrize(
    ("nodes", "slowness", "delay"), [(2, 1, 5000), (2, 20, 100_000), (9, 12, 120_000), (9, 60, 120_000)]
)
def test_a_slow_node_is_given_longer_to_hear_from_the_ring(nodes, slowness, delay):
    text = filled("jvm.options.j2", peers=[f"10.77.0.{n}" for n in range(nodes)], slowness=slowness)
    assert f"-Dcassandra.ring_delay_ms={delay}\n" in text


def test_a_site_is_a_rack():
    assert filled("cassandra-rackdc.properties.j2").splitlines()[1:] == ["dc=dc1", "rack=b"]


@pytest.mark.parametrize("name", ["logback.xml.j2", "logback-tools.xml.j2"])
def test_nothing_is_logged_to_a_file(name):
    root = ElementTree.fromstring(filled(name))  # noqa: S314 - our own file
    appenders = [each.attrib["class"] for each in root.iter("appender")]
    assert appenders == ["ch.qos.logback.core.ConsoleAppender"]


def test_the_unit_comes_back_by_itself_and_may_write_its_data_only():
    lines = filled("cassandra.service.j2").splitlines()
    for line in ("User=cassandra", "Restart=on-failure", "StartLimitIntervalSec=0", "NoNewPrivileges=yes"):
        assert line in lines
    assert [line for line in lines if line.startswith("ReadWritePaths=")] == ["ReadWritePaths=/var/lib/cassandra"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_understands_the_unit(tmp_path):
    unit = tmp_path / "cassandra.service"
    unit.write_text(filled("cassandra.service.j2").replace("/etc/cassandra/launch", "/bin/true"), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if str(unit) in line or "cassandra.service" in line]
    assert not said


def test_drivers_that_speak_an_older_protocol_are_served():
    # The Node driver speaks version 4 at most; the service could not connect.
    assert settings().get("native_transport_allow_older_protocols", True) is True
