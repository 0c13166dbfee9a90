"""evenkeel-slot takes an artifact only whole, unchanged, and into its own directory."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.conftest import write_artifact
from tests.unit.cli.programs import load_tool


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = load_tool("evenkeel-slot")
    monkeypatch.setattr(module, "ROOT", str(tmp_path / "srv"))
    monkeypatch.setattr(module, "is_active", lambda slot: False)
    monkeypatch.setattr(module, "LIMITS", str(tmp_path / "units/{slot}.conf"))
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: None)  # systemctl
    monkeypatch.setattr(module, "user_of", lambda slot: 64999)
    monkeypatch.setattr(module.evenkeel_yield, "can_return", lambda: False)
    return module


def send(monkeypatch: pytest.MonkeyPatch, content: bytes) -> str:
    """Put `content` on standard input; return its digest."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    return hashlib.sha256(content).hexdigest()


def test_an_artifact_is_unpacked_and_described(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = send(monkeypatch, write_artifact(tmp_path, "1.0.0").read_bytes())
    tool.install("blue", digest)
    assert json.loads(capsys.readouterr().out) == {"slot": "blue", "version": "1.0.0", "changed": True}
    assert (tmp_path / "srv/blue/current/server.js").is_file()
    assert tool.described("blue")["sha256"] == digest
    assert {entry.name for entry in (tmp_path / "srv/blue").iterdir()} == {"current", "slot.json", "artifact.tar.gz"}
    assert hashlib.sha256((tmp_path / "srv/blue/artifact.tar.gz").read_bytes()).hexdigest() == digest


def test_a_version_s_limits_are_its_own_slot_s_alone(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.install("green", send(monkeypatch, write_artifact(tmp_path, "1.0.0").read_bytes()))
    assert [entry.name for entry in (tmp_path / "units").iterdir()] == ["green.conf"]
    lines = (tmp_path / "units/green.conf").read_text().splitlines()
    assert lines[0] == "[Service]"
    assert {line.partition("=")[0] for line in lines[1:]} == {"MemoryMax", "TimeoutStopSec"}


def test_what_was_installed_is_kept_byte_for_byte_for_hosts_that_are_made_anew(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_artifact(tmp_path, "1.0.0").read_bytes()
    tool.install("blue", send(monkeypatch, content))
    assert (tmp_path / "srv/blue/artifact.tar.gz").read_bytes() == content


def test_the_same_artifact_again_changes_nothing(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = write_artifact(tmp_path, "1.0.0").read_bytes()
    for _ in range(2):
        tool.install("blue", send(monkeypatch, content))
    assert '"changed": false' in capsys.readouterr().out.splitlines()[-1]


def test_a_wrong_sha256_is_refused_and_the_old_version_stays(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.install("blue", send(monkeypatch, write_artifact(tmp_path, "1.0.0").read_bytes()))
    send(monkeypatch, write_artifact(tmp_path, "2.0.0").read_bytes())
    with pytest.raises(SystemExit, match=r"sha256 is .* expected .*; nothing was changed"):
        tool.install("blue", "0" * 64)
    assert tool.described("blue")["version"] == "1.0.0"


def test_a_running_slot_takes_no_other_version(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.install("blue", send(monkeypatch, write_artifact(tmp_path, "1.0.0").read_bytes()))
    monkeypatch.setattr(tool, "is_active", lambda slot: True)
    with pytest.raises(SystemExit, match=r"slot blue is running 1\.0\.0; stop it before"):
        tool.install("blue", send(monkeypatch, write_artifact(tmp_path, "2.0.0").read_bytes()))


def archive(*members: tarfile.TarInfo) -> bytes:
    """Return a .tar.gz of the given entries, files empty."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b""))
    return target.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """Return an entry of an archive."""
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


@pytest.mark.parametrize(
    "members",
    [
        [entry("../outside")],
        [entry("/etc/passwd")],
        [entry("a/../../outside")],
        [entry("link", tarfile.SYMTYPE, "/etc")],
        [entry("link", tarfile.SYMTYPE, "../outside")],
        [entry("link", tarfile.SYMTYPE, "inside"), entry("link/file")],
        [entry("hard", tarfile.LNKTYPE, "other")],
        [entry("device", tarfile.CHRTYPE)],
    ],
)
def test_an_entry_that_may_leave_its_directory_is_refused(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: list[tarfile.TarInfo]
) -> None:
    content = archive(*members)
    with pytest.raises(SystemExit, match="may leave its directory"):
        tool.install("green", send(monkeypatch, content))
    assert tool.described("green") is None
    assert not (tmp_path / "srv/green/current").exists()


def test_a_version_is_told_its_tables_names_and_keeps_them(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_artifact(tmp_path, "1.0.0").read_bytes()
    tool.install("blue", send(monkeypatch, content), tool.tables_of(["item=item_r7"]))
    held = tool.described("blue")
    assert held["tables"] == {"item": "item_r7"}
    assert held["schema"] == [{"name": "item", "columns": {"id": "uuid", "name": "text"}, "primary_key": ["id"]}]
    tool.install("blue", send(monkeypatch, content), {"item": "item_r8"})
    assert tool.described("blue") == held | {"tables": {"item": "item_r8"}}


def test_a_running_version_keeps_its_tables(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_artifact(tmp_path, "1.0.0").read_bytes()
    tool.install("blue", send(monkeypatch, content))
    monkeypatch.setattr(tool, "is_active", lambda slot: True)
    tool.install("blue", send(monkeypatch, content))
    with pytest.raises(SystemExit, match=r"slot blue is running 1\.0\.0 on other tables; stop it"):
        tool.install("blue", send(monkeypatch, content), {"item": "item_r8"})


@pytest.mark.parametrize("named", ["item", "item=", "Item=item", "item=item;drop", "=item"])
def test_only_names_are_taken_for_tables(tool: ModuleType, named: str) -> None:
    with pytest.raises(SystemExit, match="is no NAME=TABLE"):
        tool.tables_of([named])


def ready_after(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[float]:
    """Let slot blue hold a version with 30 s to start, which is ready after some; return how long each look waited."""
    (tmp_path / "srv/blue").mkdir(parents=True)
    facts = {"version": "1.0.0", "http": {}, "limits": {"start_seconds": 30}}
    (tmp_path / "srv/blue/slot.json").write_text(json.dumps(facts))
    clock, looks = [0.0], []

    def answers(address: str, path: str, within: float = 1) -> bool:
        looks.append(within)
        clock[0] += 10
        return clock[0] > seconds

    monkeypatch.setattr("evenkeel_smoke.answers", answers)
    monkeypatch.setattr(tool, "address_of", lambda slot: "127.0.0.1:8001")
    monkeypatch.setattr(tool, "last_words", lambda slot, since: "starting")
    monkeypatch.setattr(tool.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(tool.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(tool.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="active\n"))
    return looks


def test_a_version_on_a_slow_host_has_longer_to_start_and_to_answer(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = ready_after(tool, tmp_path, monkeypatch, 400)
    tool.main(["start", "blue", "--slowness=20"])
    assert json.loads(capsys.readouterr().out)["version"] == "1.0.0"
    assert set(looks) == {20}


def test_a_version_has_the_time_of_its_manifest_where_nobody_says_that_the_host_is_slow(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = ready_after(tool, tmp_path, monkeypatch, 400)
    with pytest.raises(SystemExit, match="slot blue is not ready after 30 s"):
        tool.main(["start", "blue"])
    assert set(looks) == {1}


@pytest.mark.parametrize("verb", [["start", "blue", "100"], ["smoke", "blue"]])
def test_warming_and_checking_hear_how_slow_the_host_is(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    heard: list[int] = []
    ready_after(tool, tmp_path, monkeypatch, 0)
    monkeypatch.setattr(tool, "checks_of", lambda slot: [])
    for does in ("warm", "smoke"):
        monkeypatch.setattr(f"evenkeel_smoke.{does}", lambda *arguments: heard.append(arguments[-1]))
    for more in ([], ["--slowness=20"]):
        tool.main([*verb, *more])
    assert heard == [1, 20]


def test_a_start_says_how_warming_went(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready_after(tool, tmp_path, monkeypatch, 0)
    monkeypatch.setattr(tool, "checks_of", lambda slot: [])
    monkeypatch.setattr("evenkeel_smoke.warm", lambda *arguments: {"requests": arguments[2]})
    tool.main(["start", "blue", "7"])
    assert json.loads(capsys.readouterr().out)["warmed"] == {"requests": 7}


def test_a_version_yields_for_half_of_its_time_to_start_at_most(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    ready_after(tool, tmp_path, monkeypatch, 0)
    monkeypatch.setattr(tool.evenkeel_yield, "yielding", lambda *told: asked.append(told) or nullcontext())
    tool.main(["start", "blue"])
    tool.main(["start", "blue", "--slowness=20"])
    assert asked == [("blue", 64999, 15), ("blue", 64999, 300)]


def test_a_version_that_is_checked_yields_no_more(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(tool, "address_of", lambda slot: "127.0.0.1:8001")
    monkeypatch.setattr(tool, "checks_of", lambda slot: [])
    monkeypatch.setattr(tool.evenkeel_yield, "restore", done.append)
    monkeypatch.setattr("evenkeel_smoke.smoke", lambda *_: done.append("checked"))
    tool.main(["smoke", "blue"])
    assert done == [64999, "checked"]


@pytest.mark.parametrize("wrong", ["--slowness=0", "--slowness=100", "--slowness", "-20"])
def test_a_slowness_that_cannot_be_is_no_command(tool: ModuleType, wrong: str) -> None:
    with pytest.raises(SystemExit, match="use install SLOT"):
        tool.main(["start", "blue", wrong])
