"""The embedded engine's commands over SSH, against a private sshd on the loopback address: the machine image's own."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.containers.quirks import find_runtime
from scripts.engine.errors import ProviderError
from scripts.engine.providers.command import REMOTE, check
from scripts.engine.providers.context import Cancellation, Children, OperationContext
from scripts.engine.providers.remote import run_remote
from scripts.engine.reaper import Reaper
from scripts.image.build import ensure_image
from tests.system.running import wait_for

pytestmark = pytest.mark.system

CONTAINER = "evenkeel-test-sshd"
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host
AuthorizedKeysFile {root}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
AcceptEnv WELCOME
"""


@dataclass
class Server:
    """A running sshd, and how to dial it."""

    root: Path
    port: int
    lines: list[str] = field(default_factory=list)
    cancellation: Cancellation = field(default_factory=Cancellation)

    def key(self, name: str) -> str:
        return (self.root / name).read_text()

    def connection(self, **changes: Any) -> dict[str, Any]:
        connection = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "dialErrorLimit": 1,
            "privateKey": self.key("user"),
            "hostKey": self.key("host.pub"),
            **changes,
        }
        return {key: value for key, value in connection.items() if value is not None}

    def run(self, command: str, previous: dict[str, str] | None = None, **inputs: Any) -> dict[str, Any]:
        context = OperationContext(self.root, Children(self.cancellation, Reaper()), self.lines.append)
        wanted = check(REMOTE, "x", {"connection": self.connection(), **inputs})
        return run_remote(command, wanted, previous or {}, context)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An sshd in a container that shares this machine's network, for as long as the tests take."""
    root = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (root / "config").write_text(CONFIG.format(port=port, root=root))
    image = ensure_image()
    runtime = find_runtime(image)
    podman = ["podman", *runtime.global_arguments()]
    limits = [argument for limit in runtime.ulimits for argument in ("--ulimit", limit)]
    options = ["--detach", "--replace", "--name", CONTAINER, "--network", "host", "--pull=never", *limits]
    inner = f"mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f {root}/config"
    command = [*podman, "run", *options, "--volume", f"{root}:{root}", image, "sh", "-c", inner]
    subprocess.run(command, check=True, capture_output=True)
    try:
        wait_for("sshd answers", lambda: listens(port), 30)
        yield Server(root, port)
    finally:
        subprocess.run([*podman, "rm", "--force", "--time", "2", CONTAINER], check=True, capture_output=True)


def listens(port: int) -> bool:
    """Tell whether somebody listens on the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server(running: Server) -> Server:
    return Server(running.root, running.port)


def test_a_command_gets_its_input_and_returns_what_it_printed(server: Server) -> None:
    printed = server.run("cat; echo; echo problem >&2", stdin="in\n")
    assert printed == {"stdout": "in\n", "stderr": "problem"}
    assert sorted(server.lines) == ["", "in", "problem"]


def test_logging_none_shows_nothing(server: Server) -> None:
    server.run("echo quiet", logging="none")
    assert server.lines == []


def test_a_large_input_and_output_pass_whole(server: Server) -> None:
    text = "x" * 300_000
    assert server.run("cat", stdin=text, logging="none")["stdout"] == text


def test_a_failing_command_is_told_with_all_it_printed(server: Server) -> None:
    with pytest.raises(ProviderError, match=r'^Process exited with status 7: running "echo out; exit 7":\nout\n$'):
        server.run("echo out; exit 7")


def test_another_host_key_is_refused_after_the_allowed_retries(server: Server) -> None:
    with pytest.raises(ProviderError, match="after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch"):
        server.run("true", connection=server.connection(hostKey=server.key("other.pub")))
    assert server.lines == ["Dial 1/1 failed: retrying"]


def test_a_host_key_that_is_none_is_refused_without_dialling(server: Server) -> None:
    for nonsense in ("not a key", "ssh-ed25519", "ssh-rsa " + server.key("host.pub").split()[1]):
        with pytest.raises(ProviderError, match=r"^failed to parse host key"):
            server.run("true", connection=server.connection(hostKey=nonsense))
    assert server.lines == []


def test_another_users_key_is_refused(server: Server) -> None:
    with pytest.raises(ProviderError, match="unable to authenticate"):
        server.run("true", connection=server.connection(privateKey=server.key("other")))


def test_a_refused_connection_is_retried_up_to_its_limit(server: Server) -> None:
    with pytest.raises(ProviderError, match=r"after 2 failed attempts: dial tcp 127\.0\.0\.1:1: connect: connection"):
        server.run("true", connection=server.connection(port=1, dialErrorLimit=2))
    assert server.lines == ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]


def test_a_key_that_is_none_is_refused_without_dialling_and_not_shown(server: Server) -> None:
    with pytest.raises(ProviderError, match="no key found") as caught:
        server.run("true", connection=server.connection(privateKey="hidden nonsense"))
    assert "hidden" not in str(caught.value)
    assert server.lines == []


def test_variables_need_the_servers_consent(server: Server) -> None:
    assert server.run("echo $WELCOME", environment={"WELCOME": "yes"})["stdout"] == "yes"
    with pytest.raises(ProviderError, match='could not set environment variable "STRANGE"'):
        server.run("true", environment={"STRANGE": "yes"})


def test_the_previous_output_is_offered_and_its_refusal_is_no_error(server: Server) -> None:
    assert server.run("echo was $PULUMI_COMMAND_STDOUT", previous={"stdout": "1"})["stdout"] == "was"


def test_a_proxy_is_dialled_first(server: Server) -> None:
    through = server.connection(proxy=server.connection())
    assert server.run("echo through", connection=through)["stdout"] == "through"
    with pytest.raises(ProviderError, match=r"^proxy: after 1 failed attempts"):
        server.run("true", connection=server.connection(proxy=server.connection(port=1)))


def test_cancelling_ends_the_wait_for_a_command(server: Server) -> None:
    threading.Timer(1.0, server.cancellation.request).start()
    begun = time.monotonic()
    with pytest.raises(ProviderError, match="cancelled"):
        server.run("exec sleep 60")
    assert time.monotonic() - begun < 20
