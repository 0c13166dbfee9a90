"""A small ring of real Cassandra nodes on loopback addresses, for laboratories: no containers, no logins, own jars.

    with Ring(jars, folder, nodes=3) as ring:
        ring.node(2).kill(); ring.node(2).start(); ring.nodetool(1, "status")

The nodes are 127.0.3.1 and up (EVENKEEL_LABORATORY_SUBNET, another third number, for a second laboratory at a time),
CQL on 9042. They start together: each knows its tokens, so nobody has to join.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from components.render import render

SUBNET = os.environ.get("EVENKEEL_LABORATORY_SUBNET", "127.0.3")
DATACENTER = "dc1"
HEAP_MB = 320
START_SECONDS = 1200
TOKENS_EACH = 4
# How long a write may take. A laboratory that gives way to others on its machine needs more.
WRITE_MS = int(os.environ.get("EVENKEEL_LABORATORY_WRITE_MS", "4000"))
IMAGE = "localhost/evenkeel-host"

SETTINGS = """
cluster_name: laboratory
storage_compatibility_mode: NONE
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
num_tokens: {tokens_each}
initial_token: "{tokens}"
auto_bootstrap: false
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "{seeds}"}}]
listen_address: {address}
rpc_address: {address}
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
data_file_directories: [{data}/data]
commitlog_directory: {data}/commitlog
hints_directory: {data}/hints
saved_caches_directory: {data}/saved_caches
cdc_raw_directory: {data}/cdc_raw
commitlog_sync: batch
commitlog_segment_size: 8MiB
commitlog_total_space: 64MiB
memtable_heap_space: 48MiB
memtable_offheap_space: 48MiB
concurrent_reads: 8
concurrent_writes: 8
concurrent_compactors: 1
native_transport_max_threads: 24
hinted_handoff_enabled: true
phi_convict_threshold: 12
write_request_timeout: {write_ms}ms
read_request_timeout: {read_ms}ms
range_request_timeout: {read_ms}ms
request_timeout: {read_ms}ms
cql_start_time: QUEUE
native_transport_timeout: 86400000ms
"""


class Node:
    """One node: its folder, and its process while it runs."""

    def __init__(self, number: int, jars: Path, folder: Path, nodes: int) -> None:
        self.number = number
        self.address = f"{SUBNET}.{number}"
        self.jmx = 7280 + 10 * int(SUBNET.rpartition(".")[2]) + number
        self.jars = jars
        self.folder = folder / f"node-{number}"
        self.triggers = self.folder / "triggers"
        self.mirror = self.folder / "mirror"
        self._process: subprocess.Popen[bytes] | None = None
        for name in (self.triggers, self.mirror, self.folder / "data"):
            name.mkdir(parents=True, exist_ok=True)
        self._configure(nodes)

    def _configure(self, nodes: int) -> None:
        count = nodes * TOKENS_EACH
        # Each owns every n-th stretch of the ring, from the lowest token on.
        tokens = [-(2**63) + 1 + (2**64 // count) * place for place in range(self.number - 1, count, nodes)]
        settings = SETTINGS.format(
            tokens=",".join(str(token) for token in tokens), tokens_each=TOKENS_EACH, address=self.address,
            data=self.folder / "data", write_ms=WRITE_MS, read_ms=3 * WRITE_MS,
            seeds=",".join(f"{SUBNET}.{number}" for number in range(1, nodes + 1)),
        )  # fmt: skip
        (self.folder / "cassandra.yaml").write_text(settings, "utf-8")
        rack = f"dc={DATACENTER}\nrack=r{self.number}\n"
        (self.folder / "cassandra-rackdc.properties").write_text(rack, "utf-8")
        (self.folder / "logback.xml").write_text(render("cassandra/logback.xml.j2"), "utf-8")
        (self.folder / "logback-tools.xml").write_text(render("cassandra/logback-tools.xml.j2"), "utf-8")
        options = render(
            "cassandra/jvm.options.j2", heap_mb=HEAP_MB, direct_mb=96, replication_factor=1, peers=[self.address],
            config_directory=str(self.folder), data_directory=str(self.folder / "data"), jmx_port=self.jmx,
        )  # fmt: skip
        (self.folder / "jvm.options").write_text(options, "utf-8")

    def start(self, wait: bool = True) -> None:
        """Start it, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        if self.answers():
            raise RuntimeError(f"another laboratory runs at {self.address}: wait, or set EVENKEEL_LABORATORY_SUBNET")
        (agent,) = self.jars.glob("jamm-*.jar")
        command = [
            "java", f"@{self.folder / 'jvm.options'}", f"-Devenkeel.mirror.directory={self.mirror}",
            f"-javaagent:{agent}", f"-Dcassandra.config=file://{self.folder / 'cassandra.yaml'}",
            "-Dcassandra.gossip_settle_min_wait_ms=500", "-cp", f"{self.jars}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return once it takes connections."""
        end = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self.folder / "log").read_text("utf-8", "replace").splitlines()[-15:]
                raise RuntimeError(f"Cassandra at {self.address} did not start:\n" + "\n".join(said))
            time.sleep(0.5)

    def answers(self) -> bool:
        """Whether its CQL port is open."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.address, 9042)) == 0

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def pause(self, paused: bool) -> None:
        """Stop its process where it is, or have it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP if paused else signal.SIGCONT)


class Ring:
    """Nodes that start and end together."""

    def __init__(self, jars: Path, folder: Path, nodes: int = 1) -> None:
        self.jars = jars
        self.nodes = [Node(number, jars, folder, nodes) for number in range(1, nodes + 1)]

    @property
    def addresses(self) -> list[str]:
        """The nodes' addresses."""
        return [node.address for node in self.nodes]

    def node(self, number: int) -> Node:
        """The node of that number, from 1 on."""
        return self.nodes[number - 1]

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start(wait=False)
            for node in self.nodes:
                node.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()

    def nodetool(self, number: int, *arguments: str) -> str:
        """Run Cassandra's administration command on one node."""
        node = self.node(number)
        script = node.folder / "nodetool"
        if not script.exists():
            script.write_text(
                render(
                    "cassandra/nodetool.j2",
                    jmx_port=node.jmx, jars_directory=str(self.jars), config_directory=str(node.folder),
                ),
                "utf-8",
            )  # fmt: skip
            script.chmod(0o755)
        command: Sequence[str] = [str(script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"nodetool {arguments}: {done.stdout} {done.stderr}"
        return done.stdout


def cassandra_jars(folder: Path) -> Path | None:
    """Cassandra's jars: EVENKEEL_CASSANDRA_JARS, or those of this machine's newest host image, taken out into `folder`.

    None where there is neither.
    """
    named = os.environ.get("EVENKEEL_CASSANDRA_JARS")
    if named:
        return Path(named)
    if shutil.which("podman") is None:
        return None
    listed = subprocess.run(
        ["podman", "images", "--quiet", "--filter", f"reference={IMAGE}"], capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        return None
    if not (folder / "lib").exists():
        made = subprocess.run(["podman", "create", listed[0]], capture_output=True, text=True, check=True).stdout
        container = made.strip().splitlines()[-1]
        try:
            subprocess.run(["podman", "cp", f"{container}:/opt/cassandra/lib", str(folder)], check=True)
        finally:
            subprocess.run(["podman", "rm", container], check=True, capture_output=True)
    return folder / "lib"
