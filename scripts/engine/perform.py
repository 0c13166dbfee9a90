"""Performs single steps: tells the sink, records the operation, runs the provider, stores the result."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scripts.engine.checkpoint import Snapshot
from scripts.engine.errors import EngineError, MonitorClosed, ProviderError
from scripts.engine.events import Sink
from scripts.engine.providers.context import Children, OperationContext
from scripts.engine.providers.registry import Providers
from scripts.engine.state import ResourceState, now_text
from scripts.engine.steps import Op, Step
from scripts.engine.values import PropertyMap, Secret
from scripts.engine.wire import UNKNOWN_TEXT


class StepFailed(Exception):  # noqa: N818 - the failure has been told already
    """A step failed, and the sink knows."""


@dataclass
class Surroundings:
    """What a deployment works with."""

    project: str
    stack: str
    root: Path
    sink: Sink
    children: Children
    dry_run: bool = False
    parallel: int = 16
    replace: frozenset[str] = frozenset()  # URNs that the user wants made anew, changed or not


@dataclass
class Performer:
    """Performs steps, at most `around.parallel` operations at a time, until it is stopped."""

    around: Surroundings
    snapshot: Snapshot
    providers: Providers
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when no more operations may begin."""

    def __post_init__(self) -> None:
        self._slots = threading.BoundedSemaphore(self.around.parallel)

    def require_running(self) -> None:
        """MonitorClosed once the deployment has stopped."""
        if self.stopped.is_set():
            raise MonitorClosed("resource monitor shut down")

    def context(self, urn: str) -> OperationContext:
        """The surroundings of an operation on a resource."""
        return OperationContext(self.around.root, self.around.children, lambda line: self.around.sink.status(urn, line))

    def invoke(self, reference: str, token: str, arguments: PropertyMap) -> PropertyMap:
        """Call a function of a provider."""
        with self._slots:
            self.require_running()
            return self.providers.of(reference).invoke(token, arguments, self.context(""))

    def same(self, step: Step) -> None:
        """Nothing changes but what the state says about the resource."""
        old, new = _both(step)
        self.around.sink.started(step)
        new.id, new.outputs = old.id, old.outputs
        mark_secrets(new)
        self.snapshot.keep(new, old)
        self.around.sink.finished(step, 0.0)

    def create(self, step: Step) -> None:
        """Create a resource, also the one that replaces an old one."""
        new, old = step.state, step.old

        def operate() -> None:
            new.id, new.outputs = self._created(new)
            new.created = new.modified = now_text()
            mark_secrets(new)

        def store() -> ResourceState | None:
            if old is None or old.pending_replacement:
                return old
            self.snapshot.change(old, delete=True)
            return None

        self._operation(step, new, "creating", operate, lambda: (new, store()))

    def update(self, step: Step) -> None:
        """Update a resource in place."""
        old, new = _both(step)

        def operate() -> None:
            new.id = old.id
            new.outputs = self._updated(old, new)
            new.modified = now_text() if new.custom else new.modified
            mark_secrets(new)

        self._operation(step, new, "updating", operate, lambda: (new, old))

    def replace(self, step: Step, early: list[ResourceState], gone: bool) -> None:
        """Replace a resource; `early` are the states to delete first, in this order.

        `gone`: the old resource is deleted before the new one is made, not after everything else.
        """
        old, new = _both(step)
        for state in early:
            self.delete(Step(Op.DELETE_REPLACED, state, None, step.diff), skip=False, keep=True)
        logical = Step(Op.REPLACE, old, new, step.diff)
        if not gone:
            self.create(step)
        self.around.sink.started(logical)
        self.around.sink.finished(logical, 0.0)
        if gone:
            self.create(step)

    def delete(self, step: Step, skip: bool, keep: bool = False) -> None:
        """Delete a resource. `skip`: only forget it; `keep`: it stays in the state as awaiting its replacement."""
        old = step.state

        def operate() -> None:
            if old.custom and not (skip or old.is_provider or old.retain_on_delete or self.around.dry_run):
                self.providers.of(old.provider).delete(old, self.context(old.urn))

        def store() -> tuple[None, ResourceState | None]:
            if keep:
                self.snapshot.change(old, pending_replacement=True)
            return None, None if keep else old

        self._operation(step, old, "deleting", operate, store)

    def forget(self, step: Step) -> None:
        """Drop a state whose resource is gone already."""
        self.snapshot.finish(None, None, step.state)

    def _operation(
        self,
        step: Step,
        state: ResourceState,
        kind: str,
        operate: Callable[[], None],
        store: Callable[[], tuple[ResourceState | None, ResourceState | None]],
    ) -> None:
        with self._slots:
            self.require_running()
            self.around.sink.started(step)
            begun = time.monotonic()
            operation = self.snapshot.begin(state, kind) if state.custom else None
            try:
                operate()
            except Exception as error:
                if operation is not None:
                    self.snapshot.abandon(operation)
                reason = str(error) if isinstance(error, ProviderError | EngineError) else f"internal error: {error!r}"
                self.around.sink.failed(step, reason, time.monotonic() - begun)
                raise StepFailed from error
            new, gone = store()
            self.snapshot.finish(operation, new, gone)
            self.around.sink.finished(step, time.monotonic() - begun)

    def _created(self, new: ResourceState) -> tuple[str, PropertyMap]:
        if not new.custom:
            return "", {}
        if new.is_provider:
            outputs = {key: value for key, value in new.inputs.items() if key != "__internal"}
            return UNKNOWN_TEXT if self.around.dry_run else str(uuid.uuid4()), outputs
        if self.around.dry_run:
            return self.providers.of(new.provider).preview_create(new)
        return self.providers.of(new.provider).create(new, self.context(new.urn))

    def _updated(self, old: ResourceState, new: ResourceState) -> PropertyMap:
        if not new.custom:
            return old.outputs
        if new.is_provider:
            return {key: value for key, value in new.inputs.items() if key != "__internal"}
        if self.around.dry_run:
            return self.providers.of(new.provider).preview_update(old, new)
        return self.providers.of(new.provider).update(old, new, self.context(new.urn))


def _both(step: Step) -> tuple[ResourceState, ResourceState]:
    assert step.old is not None and step.new is not None  # noqa: S101 - such steps have both
    return step.old, step.new


def mark_secrets(state: ResourceState) -> None:
    """Mark outputs secret that the program asked to be, or whose input of the same name is."""
    outputs = dict(state.outputs)
    for key, value in state.outputs.items():
        wanted = key in state.additional_secret_outputs or isinstance(state.inputs.get(key), Secret)
        if wanted and not isinstance(value, Secret):
            outputs[key] = Secret(value)
    state.outputs = outputs
