"""The state on disk: complete after every step, in Pulumi's format, and held by one update at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.engine.backend import Backend, open_backend
from scripts.engine.checkpoint import Deployment, Snapshot, read_deployment
from scripts.engine.errors import EngineError, LockedError, StateError
from scripts.engine.lock import cancel_locks, hold_lock, list_locks
from scripts.engine.passphrase import Crypter
from scripts.engine.state import ResourceState, make_urn
from scripts.engine.values import Secret


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return open_backend(f"file://{tmp_path}", "shop")


@pytest.fixture
def crypter() -> Crypter:
    return Crypter(b"k" * 32, "v1:salt:check")


def resource(name: str, **members: Any) -> ResourceState:
    return ResourceState(urn=make_urn("dev", "shop", "", "t:t:T", name), type="t:t:T", custom=True, **members)


def stored(backend: Backend) -> dict[str, Any]:
    latest: dict[str, Any] = json.loads(backend.checkpoint("dev").read_text())["checkpoint"]["latest"]
    return latest


def test_every_step_is_on_disk_before_the_next(backend: Backend, crypter: Crypter) -> None:
    old = resource("old")
    snapshot = Snapshot(Deployment([old]), crypter, backend, "dev")
    new = resource("new", id="n1")
    operation = snapshot.begin(new, "creating")
    assert [entry["type"] for entry in stored(backend)["pending_operations"]] == ["creating"]
    assert [entry["urn"] for entry in stored(backend)["resources"]] == [old.urn]
    snapshot.finish(operation, new, None)
    assert "pending_operations" not in stored(backend)
    assert [entry["urn"] for entry in stored(backend)["resources"]] == [new.urn, old.urn]
    snapshot.finish(snapshot.begin(old, "deleting"), None, old)
    assert [entry["urn"] for entry in stored(backend)["resources"]] == [new.urn]


def test_a_failed_step_leaves_the_state_as_it_was(backend: Backend, crypter: Crypter) -> None:
    old = resource("x", inputs={"create": "a"})
    snapshot = Snapshot(Deployment([old]), crypter, backend, "dev")
    snapshot.abandon(snapshot.begin(resource("x", inputs={"create": "b"}), "updating"))
    assert "pending_operations" not in stored(backend)
    assert stored(backend)["resources"][0]["inputs"] == {"create": "a"}


def test_an_interrupted_creation_is_remembered_until_it_is_made_good(backend: Backend, crypter: Crypter) -> None:
    Snapshot(Deployment(), crypter, backend, "dev").begin(resource("x"), "creating")
    again = read_deployment(backend.load("dev"), crypter)
    snapshot = Snapshot(again, crypter, backend, "dev")
    assert snapshot.carried_creations == [resource("x").urn]
    new = resource("x", id="x1")
    snapshot.finish(snapshot.begin(new, "creating"), new, None)
    assert "pending_operations" not in stored(backend)


def test_a_preview_writes_nothing(backend: Backend, crypter: Crypter) -> None:
    snapshot = Snapshot(Deployment(), crypter, None, "dev")
    snapshot.finish(snapshot.begin(resource("x"), "creating"), resource("x"), None)
    snapshot.close()
    assert not backend.exists("dev")


def test_a_state_reads_back_as_it_was_and_hides_its_secrets(backend: Backend, crypter: Crypter) -> None:
    state = resource(
        "x",
        id="x1",
        inputs={"stdin": Secret("open sesame")},
        outputs={"stdout": "1"},
        protect=True,
        dependencies=["urn:a"],
        property_dependencies={"stdin": ["urn:a"], "create": []},
        replace_on_changes=["triggers[*]"],
        additional_secret_outputs=["stdout"],
        other={"taint": True},
    )
    Snapshot(Deployment([state]), crypter, backend, "dev").save()
    assert "open sesame" not in backend.checkpoint("dev").read_text()
    (read,) = read_deployment(backend.load("dev"), crypter).resources
    assert {**vars(read), "text": None} == {**vars(state), "text": None}


def test_the_checkpoint_before_is_kept_as_backup(backend: Backend, crypter: Crypter) -> None:
    snapshot = Snapshot(Deployment(), crypter, backend, "dev")
    snapshot.save()
    before = backend.checkpoint("dev").read_text()
    snapshot.finish(None, resource("x"), None)
    assert backend.checkpoint("dev").with_name("dev.json.bak").read_text() == before


def test_a_state_with_features_of_newer_clis_is_refused_by_name(backend: Backend) -> None:
    path = backend.checkpoint("dev")
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 4, "features": ["views"], "checkpoint": {}}')
    with pytest.raises(StateError, match="views"):
        backend.load("dev")


def test_a_state_that_is_not_json_names_its_backup(backend: Backend) -> None:
    path = backend.checkpoint("dev")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(StateError, match=r"dev\.json\.bak"):
        backend.load("dev")


def test_other_backends_than_files_are_refused() -> None:
    with pytest.raises(EngineError, match="files only"):
        open_backend("s3://bucket", "shop")


def test_a_second_update_is_told_who_holds_the_stack(backend: Backend) -> None:
    second = hold_lock(backend, "dev", print)
    with hold_lock(backend, "dev", print), pytest.raises(LockedError, match=f"pid {os.getpid()}") as caught, second:
        pass
    assert "pulumi cancel" in str(caught.value)
    assert list_locks(backend, "dev") == []


def test_the_lock_of_a_killed_update_is_taken_over_with_a_word(backend: Backend) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    put_lock(backend, gone.pid, evenkeel="boot:1")
    said: list[str] = []
    with hold_lock(backend, "dev", said.append):
        assert len(list_locks(backend, "dev")) == 1
    assert len(said) == 1
    assert str(gone.pid) in said[0]


def test_a_lock_of_the_cli_is_never_taken_over_but_can_be_cancelled(backend: Backend) -> None:
    put_lock(backend, 999999)
    with pytest.raises(LockedError), hold_lock(backend, "dev", print):
        pass
    assert cancel_locks(backend, "dev") == 1
    with hold_lock(backend, "dev", print):
        pass


def test_a_lock_of_another_host_is_never_taken_over(backend: Backend) -> None:
    put_lock(backend, 999999, hostname="elsewhere", evenkeel="boot:1")
    with pytest.raises(LockedError, match="elsewhere"), hold_lock(backend, "dev", print):
        pass


def put_lock(backend: Backend, pid: int, **more: str) -> None:
    content = {"pid": pid, "username": "someone", "hostname": socket.gethostname(), "timestamp": "2026-01-01T00:00:00Z"}
    path = backend.lock_directory("dev") / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**content, **more}))
