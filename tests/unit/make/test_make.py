"""What the make targets read, and the locks they clear."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.make import __main__ as make
from scripts.make.__main__ import refusal
from scripts.make.config import StackConfig, main, read_config
from scripts.make.locks import clear_abandoned_locks, lock_holder
from scripts.make.lost import Machine, machines_of
from scripts.make.steps import Step, StepFailedError
from scripts.make.substrates import Substrate, let_go_vms, lost_vms, prepare_vms

PROJECT = """
config:
  version: {default: 1.0.0}
  artifact: {default: 'artifacts/{version}.tar.gz'}
  substrate: {default: containers}
  libvirtUri: {default: 'qemu:///system'}
  libvirtUris: {default: {}}
"""
HERE = ("qemu:///system",)


def test_a_stack_without_a_file_has_the_projects_defaults(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    assert read_config(tmp_path, "dev") == StackConfig("dev", "1.0.0", True, "containers", HERE)


def test_a_stacks_own_version_and_artifact_are_seen(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {'evenkeel:version': 2.0.0}")
    assert read_config(tmp_path, "dev") == StackConfig("dev", "2.0.0", True, "containers", HERE)
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {'evenkeel:artifact': other.tar.gz}")
    assert read_config(tmp_path, "dev") == StackConfig("dev", "1.0.0", False, "containers", HERE)


def test_a_stack_of_virtual_machines_has_its_hypervisors_each_once(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    uris = "{a: 'qemu+ssh://root@hv1/system', b: 'qemu+ssh://root@hv2/system', ns-2: 'qemu+ssh://root@hv2/system'}"
    (tmp_path / "Pulumi.vms.yaml").write_text(
        f"config: {{'evenkeel:substrate': libvirt, 'evenkeel:libvirtUris': {uris}}}"
    )
    found = read_config(tmp_path, "vms")
    assert found.substrate == "libvirt"
    assert found.uris == (*HERE, "qemu+ssh://root@hv1/system", "qemu+ssh://root@hv2/system")


@pytest.mark.parametrize(
    ("changes", "printed", "status"),
    [
        ("", "/var/lib/libvirt/evenkeel\n", 0),
        ("'evenkeel:libvirtPool': /srv/disks/", "/srv/disks\n", 0),
        ("'evenkeel:libvirtPool': default", "", 0),
        ("'evenkeel:libvirtUri': 'qemu+ssh://root@hv1/system'", "", 1),
    ],
)
def test_where_disks_are_on_this_machine_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: str, printed: str, status: int
) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT + "  libvirtPool: {default: /var/lib/libvirt/evenkeel}\n")
    (tmp_path / "Pulumi.vms.yaml").write_text(f"config: {{{changes}}}")
    assert main(tmp_path, "vms") == status
    assert capsys.readouterr().out == printed


def test_a_hypervisor_that_no_host_uses_need_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    hosts = {name: f"qemu+ssh://root@{name}/system" for name in ("a", "b", "ns-1", "ns-2", "control", "runner")}
    config = {"evenkeel:substrate": "libvirt", "evenkeel:sites": ["a", "b:2"], "evenkeel:libvirtUris": hosts}
    (tmp_path / "Pulumi.x.yaml").write_text(json.dumps({"config": config}))
    assert set(read_config(tmp_path, "x").uris) == set(hosts.values())
    del hosts["control"]
    (tmp_path / "Pulumi.x.yaml").write_text(json.dumps({"config": config}))
    assert "qemu:///system" in read_config(tmp_path, "x").uris


@pytest.mark.parametrize(
    ("substrate", "target", "refused"),
    [
        ("containers", "up", ""),
        ("containers", "vms", "stack x runs on containers: use `make up STACK=x`"),
        ("libvirt", "vms", ""),
        ("libvirt", "up", "stack x runs on libvirt: use `make vms STACK=x`"),
        ("libvirt", "preview", ""),
        ("libvirt", "down", ""),
        ("clouds", "down", "config evenkeel:substrate: 'clouds' is not one of: containers, libvirt"),
    ],
)
def test_a_target_that_brings_up_another_kind_of_stack_is_refused(substrate: str, target: str, refused: str) -> None:
    assert refusal(StackConfig("x", "1.0.0", True, substrate, HERE), target) == refused


def test_a_state_that_cannot_be_read_stops_before_anything_looks_left_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(command: tuple[str, ...], stdin: str = "") -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, "", "error: the checkpoint is damaged\n")

    monkeypatch.setattr("scripts.make.substrates.quiet", answer)
    with pytest.raises(StepFailedError, match="reading the state failed"):
        lost_vms(StackConfig("x", "1.0.0", True, "libvirt", HERE))
    assert len(asked) == 1
    assert "the checkpoint is damaged" in capsys.readouterr().err


def test_taking_a_stack_down_neither_refuses_nor_sweeps_nor_starts_but_lets_go_destroys_and_clears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(make, "clear_abandoned_locks", lambda *_: None)
    monkeypatch.setattr(make, "quiet", lambda command: subprocess.CompletedProcess(command, 0, "", ""))
    monkeypatch.setattr(make, "run", lambda command: done.append(command[1]) or 0)
    substrate = Substrate(
        target="vms",
        prepare=lambda _: done.append("prepare"),
        lost=lambda _: done.append("lost") or [],
        let_go=lambda _: done.append("let go"),
        clear=lambda _: done.append("clear"),
    )
    make.take_down(StackConfig("x", "1.0.0", True, "libvirt", HERE), substrate)
    assert done == ["let go", "destroy", "clear"]


class Programs:
    """Answers in the place of programs; what each was asked is kept, with its standard input."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: str) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []
        monkeypatch.setattr("scripts.make.substrates.quiet", self)

    def __call__(self, command: tuple[str, ...], stdin: str = "") -> subprocess.CompletedProcess[str]:
        verb = command[3] if "scripts.vms" in command else command[2]
        self.asked.append((verb, stdin))
        return subprocess.CompletedProcess(command, 0, self.answers.get(verb.replace("-", "_"), ""), "")


@pytest.mark.parametrize("verb", ["mend", "let_go"])
def test_a_state_without_what_is_lost_takes_the_place_of_the_state(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    programs = Programs(monkeypatch, export="all", **{verb: "the rest"})
    {"mend": lost_vms, "let_go": let_go_vms}[verb](StackConfig("x", "1.0.0", True, "libvirt", HERE))
    assert programs.asked == [("export", ""), (verb.replace("_", "-"), "all"), ("import", "the rest")]


def test_where_nothing_is_lost_the_state_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs(monkeypatch, export="all")
    assert lost_vms(StackConfig("x", "1.0.0", True, "libvirt", HERE)) == []
    assert [verb for verb, _ in programs.asked] == ["export", "mend"]


def test_hypervisors_are_asked_before_minutes_go_into_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, ...]] = []

    def run(step: Step) -> None:
        done.append(step.command[2:])
        if len(done) == 1:
            raise StepFailedError(step.title, 1)

    monkeypatch.setattr("scripts.make.substrates.run_step", run)
    config = StackConfig("x", "1.0.0", True, "libvirt", (*HERE, "qemu+ssh://root@hv1/system"))
    with pytest.raises(StepFailedError):
        prepare_vms(config)
    assert done == [("scripts.vms", "ask", "--uri", *HERE, "--uri", "qemu+ssh://root@hv1/system")]
    prepare_vms(config)
    assert [command[:2] for command in done[1:]] == [("scripts.vms", "ask"), ("scripts.image", "ensure-disk")]


def write_lock(folder: Path, name: str, pid: int, hostname: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"pid": pid, "username": "u", "hostname": hostname, "timestamp": "t"}))
    return path


def test_only_a_lock_of_this_machine_whose_process_is_gone_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / ".pulumi" / "locks" / "organization" / "evenkeel" / "dev"
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    abandoned = write_lock(folder, "abandoned", gone.pid, socket.gethostname())
    held = write_lock(folder, "held", os.getpid(), socket.gethostname())
    elsewhere = write_lock(folder, "elsewhere", gone.pid, "another-machine")
    clear_abandoned_locks(f"file://{tmp_path}", "dev")
    assert not abandoned.exists()
    assert held.exists()
    assert elsewhere.exists()


def test_a_backend_that_is_no_directory_is_left_alone() -> None:
    clear_abandoned_locks("s3://bucket", "dev")
    assert lock_holder("s3://bucket", "dev") == ""


@pytest.mark.parametrize("reconcile", [lost_vms, let_go_vms])
def test_hypervisors_are_left_alone_while_another_update_of_the_stack_runs(
    reconcile: Callable[[StackConfig], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    folder = tmp_path / ".pulumi" / "locks" / "organization" / "evenkeel" / "x"
    lock = write_lock(folder, "held", os.getpid(), socket.gethostname())
    programs = Programs(monkeypatch, export="all")
    config = StackConfig("x", "1.0.0", True, "libvirt", HERE)
    with pytest.raises(StepFailedError):
        reconcile(config)
    assert programs.asked == []
    told = f"make: stack x is being updated by process {os.getpid()} on {socket.gethostname()}: wait for it to end"
    assert capsys.readouterr().err.startswith(told)
    lock.write_text("not a lock")
    with pytest.raises(StepFailedError):
        reconcile(config)
    lock.unlink()
    reconcile(config)
    assert programs.asked


def test_the_states_hosts_are_found_by_the_command_that_makes_them() -> None:
    resources = [
        {"urn": "urn:pulumi:dev::evenkeel::x$command:local:Command::lb-a-machine",
         "inputs": {"create": "exec .venv/bin/python -m scripts.containers machine create"}},
        {"urn": "urn:pulumi:dev::evenkeel::x::lb-a-host-key", "inputs": {"create": "exec ... scripts.keys"}},
        {"urn": "urn:pulumi:dev::evenkeel::x::containers"},
    ]  # fmt: skip
    assert machines_of({"deployment": {"resources": resources}}) == [Machine("lb-a", resources[0]["urn"])]  # type: ignore[arg-type]
    assert machines_of({}) == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_cleaning_up_removes_caches_and_keeps_the_state_and_the_disk_image(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[3] / "Makefile", tmp_path)
    kept = {".evenkeel/state/x", ".evenkeel/cache/image/disk-01.qcow2", ".evenkeel/cache/image/disk-01.sha256"}
    gone = {".evenkeel/cache/bootstrap.log", ".evenkeel/cache/image/vegeta-1/vegeta", "build/x", "a/__pycache__/x.pyc"}
    for name in kept | gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == kept | {"Makefile"}
    shutil.rmtree(tmp_path / ".evenkeel")
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
