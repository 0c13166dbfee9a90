"""A stack's resources in memory and on disk: loaded once, changed step by step, saved after every step.

The order is the CLI's: first what this update has finished, in the order it finished, then what is left of the state
before it. Every save is a complete, loadable checkpoint; operations under way are in `pending_operations`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from scripts.engine import VERSION
from scripts.engine.backend import REPLACE_WITH, Backend
from scripts.engine.passphrase import Crypter
from scripts.engine.state import ResourceState, now_text, state_from_json, state_to_json


@dataclass(eq=False)
class Operation:
    """An operation under way: creating, updating or deleting a resource."""

    state: ResourceState
    kind: str


@dataclass
class Deployment:
    """What a checkpoint holds."""

    resources: list[ResourceState] = field(default_factory=list)
    pending: list[Operation] = field(default_factory=list)
    salt: str = ""
    """The encryptionsalt the secrets were written with; empty when there is no deployment yet."""


def stored_salt(checkpoint: dict[str, Any]) -> str:
    """The encryptionsalt that a loaded checkpoint names, or ""."""
    providers = (checkpoint.get("latest") or {}).get("secrets_providers") or {}
    if providers.get("type") == "passphrase":
        return str(providers["state"]["salt"])
    return ""


def read_deployment(checkpoint: dict[str, Any], crypter: Crypter) -> Deployment:
    """The deployment inside a loaded checkpoint."""
    latest = checkpoint.get("latest") or {}
    return Deployment(
        resources=[state_from_json(raw, crypter.decrypt) for raw in latest.get("resources") or []],
        pending=[
            Operation(state_from_json(raw["resource"], crypter.decrypt), raw["type"])
            for raw in latest.get("pending_operations") or []
        ],
        salt=stored_salt(checkpoint),
    )


class Snapshot:
    """The state while an update runs. Thread-safe; `backend` None keeps it in memory (a preview)."""

    def __init__(self, previous: Deployment, crypter: Crypter, backend: Backend | None, stack: str) -> None:
        self._base = list(previous.resources)
        self._carried = [operation for operation in previous.pending if operation.kind == "creating"]
        self._dropped = len(self._carried) != len(previous.pending)
        self._new: list[ResourceState] = []
        self._gone: set[int] = set()
        self._running: list[Operation] = []
        self._crypter = crypter
        self._backend = backend
        self._stack = stack
        self._lock = threading.RLock()
        self._saving = threading.Lock()
        self._wanted = 0
        self._saved = 0
        self._dirty = self._dropped

    @property
    def carried_creations(self) -> list[str]:
        """URNs whose creation an earlier update began and never finished."""
        return [operation.state.urn for operation in self._carried]

    def begin(self, state: ResourceState, kind: str) -> Operation:
        """Record that an operation starts."""
        operation = Operation(state.copy(), kind)
        with self._lock:
            self._running.append(operation)
        self.save()
        return operation

    def abandon(self, operation: Operation) -> None:
        """Record that an operation failed without effect on the state."""
        with self._lock:
            self._running.remove(operation)
        self.save()

    def finish(self, operation: Operation | None, new: ResourceState | None, old: ResourceState | None) -> None:
        """Record a step's result: `new` is in the state from now on, `old` no longer. Saves."""
        with self._lock:
            if operation is not None:
                self._running.remove(operation)
            self._replace(new, old)
        self.save()

    def keep(self, new: ResourceState, old: ResourceState) -> None:
        """Record an unchanged resource; saved only where something about it must be written."""
        with self._lock:
            self._replace(new, old)
        self._dirty = True
        if self.text(new) != self.text(old):
            self.save()

    def _replace(self, new: ResourceState | None, old: ResourceState | None) -> None:
        if old is not None:
            self._gone.add(id(old))
        if new is not None:
            new.text = None
            self._new.append(new)
            self._carried = [operation for operation in self._carried if operation.state.urn != new.urn]

    def resources(self) -> list[ResourceState]:
        """All resources, in the checkpoint's order."""
        with self._lock:
            return [state for state in (*self._new, *self._base) if id(state) not in self._gone]

    def save(self) -> None:
        """Write the checkpoint; threads that ask meanwhile share one writing."""
        if self._backend is None:
            return
        with self._lock:
            self._wanted += 1
            mine = self._wanted
        with self._saving:
            if self._saved >= mine:
                return
            with self._lock:
                upto = self._wanted
            features = [REPLACE_WITH] if any(state.replace_with for state in self.resources()) else []
            self._backend.save(self._stack, self._document(self._backend), features)
            self._saved = upto
            self._dirty = False

    def close(self) -> None:
        """Write what was not worth a writing of its own."""
        if self._dirty:
            self.save()

    def text(self, state: ResourceState) -> str:
        """A resource's part of the checkpoint, as JSON."""
        with self._lock:
            if state.text is None:
                raw = state_to_json(state, self._crypter.encrypt)
                state.text = json.dumps(raw, separators=(",", ":"), ensure_ascii=False)
            return state.text

    def change(self, state: ResourceState, **changes: Any) -> bool:
        """Set attributes of a state that is in the snapshot already; returns whether its text is another now."""
        with self._lock:
            before = self.text(state)
            state.change(**changes)
            return self.text(state) != before

    def _document(self, backend: Backend) -> str:
        with self._lock:
            operations = [*self._running, *self._carried]
            return checkpoint_text(
                stack=f"organization/{backend.project}/{self._stack}",
                salt=self._crypter.salt,
                resources=map(self.text, self.resources()),
                pending=[(operation.kind, self.text(operation.state)) for operation in operations],
            )


def checkpoint_text(stack: str, salt: str, resources: Iterable[str], pending: Iterable[tuple[str, str]]) -> str:
    """The `checkpoint` member as JSON, from resources that are JSON already."""
    manifest = json.dumps(
        {
            "time": now_text(),
            "magic": hashlib.sha256(f"v{VERSION}".encode()).hexdigest(),
            "version": f"v{VERSION}",
        },
        separators=(",", ":"),
    )
    provider = json.dumps({"type": "passphrase", "state": {"salt": salt}}, separators=(",", ":"))
    parts = [f'"manifest":{manifest}', f'"secrets_providers":{provider}']
    listed = ",".join(resources)
    if listed:
        parts.append(f'"resources":[{listed}]')
    operations = ",".join(f'{{"resource":{text},"type":{json.dumps(kind)}}}' for kind, text in pending)
    if operations:
        parts.append(f'"pending_operations":[{operations}]')
    parts.append('"metadata":{}')
    return f'{{"stack":{json.dumps(stack)},"latest":{{{",".join(parts)}}}}}'
