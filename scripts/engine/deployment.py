"""One preview, update or destroy over a stack: takes registrations, decides what to do, and has it done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from scripts.engine.checkpoint import Snapshot
from scripts.engine.diff import Diff, reset_ignored
from scripts.engine.engine_log import EngineServer
from scripts.engine.errors import EngineError, MonitorClosed
from scripts.engine.goal import Goal
from scripts.engine.old_states import OldStates
from scripts.engine.order import deletion_order, needed_by, replaced_dependents
from scripts.engine.perform import Performer, StepFailed, Surroundings
from scripts.engine.providers.registry import COMMAND, Providers
from scripts.engine.state import PROVIDER_PREFIX, ResourceState, make_urn
from scripts.engine.steps import Decision, Op, Step, decide, inherit, new_state
from scripts.engine.values import PropertyMap

_VERSIONS = {COMMAND: "1.2.1"}
"""Of providers that a program uses without saying which."""
_LIBRARY = {"__pulumi-go-provider-version": "1.2.0"}
"""What pulumi-command adds to its own configuration: the version of its library."""


class Deployment:
    """Registrations come from many threads; each is decided alone and performed beside others."""

    def __init__(self, around: Surroundings, previous: list[ResourceState], snapshot: Snapshot) -> None:
        self.around = around
        self.previous = previous
        self.snapshot = snapshot
        self.errors = 0
        self._log = EngineServer(around.sink, lambda: self.stopped)
        self._providers = Providers(around, self._log.address)
        self._performer = Performer(around, snapshot, self._providers)
        for state in previous:
            if state.is_provider and not state.delete:
                self._providers.know(state)
        self._olds = OldStates(previous, around.stack, around.project)
        self._lock = threading.RLock()
        self._goals: dict[str, Goal] = {}
        self._states: dict[str, ResourceState] = {}
        self._replaced: set[str] = set()
        self._early: set[str] = set()  # URNs deleted before their registration came
        self._active = 0
        self._idle = threading.Condition()

    @property
    def stopped(self) -> bool:
        """Whether no more steps begin: something failed, or the user cancelled."""
        return self._performer.stopped.is_set()

    def wait_stopped(self) -> None:
        """Wait until no more steps begin."""
        self._performer.stopped.wait()

    def stop(self) -> None:
        """Begin no more steps; what runs goes on."""
        self._performer.stopped.set()

    def fail(self, urn: str, reason: str) -> None:
        """Tell of an error and begin no more steps."""
        self.note_error(urn, reason)
        self.stop()

    def note_error(self, urn: str, reason: str) -> None:
        """Tell of an error."""
        with self._lock:
            self.errors += 1
        self.around.sink.log(urn, "error", reason)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """While the block runs, a request of the program is being served."""
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def wait_idle(self) -> None:
        """Wait until no request is being served."""
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0)

    def register(self, goal: Goal) -> ResourceState:
        """Bring one resource to its goal; returns its state. MonitorClosed once the deployment has stopped."""
        self._performer.require_running()
        with self._lock:
            step, perform = self._plan(goal)
        self._perform(perform)
        with self._lock:
            self._states[step.urn] = step.state
        return step.state

    def _perform(self, perform: Callable[[], None]) -> None:
        try:
            perform()
        except StepFailed as error:
            with self._lock:
                self.errors += 1
            self.stop()
            raise MonitorClosed("resource monitor shut down") from error

    def register_outputs(self, urn: str, outputs: PropertyMap) -> None:
        """A component's (or the stack's) outputs are known."""
        self._performer.require_running()
        state = self._states.get(urn)
        if state is None:
            raise EngineError(f"outputs were registered for {urn}, which is not a resource of this run")
        before = state.outputs
        changed = self.snapshot.change(state, outputs=outputs)
        self.around.sink.outputs(state, before)
        if changed:
            self.snapshot.save()

    def lookup(self, urn: str) -> ResourceState | None:
        """A resource registered in this run."""
        return self._states.get(urn)

    def invoke(self, token: str, arguments: PropertyMap, version: str) -> PropertyMap:
        """Call a function of the provider."""
        self._performer.require_running()
        with self._lock:
            reference = self._default_provider(token.partition(":")[0], version)
        return self._performer.invoke(reference, token, arguments)

    def close(self) -> None:
        """End what was started for this deployment."""
        self._providers.close()
        self._log.close()

    def _plan(self, goal: Goal) -> tuple[Step, Callable[[], None]]:
        inherit(goal, self._goals.get(goal.parent))
        if goal.parent and goal.parent not in self._goals:
            raise EngineError(f"could not find parent resource {goal.parent}")
        urn = make_urn(self.around.stack, self.around.project, goal.parent, goal.type, goal.name)
        if urn in self._goals:
            raise EngineError(f"Duplicate resource URN '{urn}'; try giving it a unique name")
        old = self._olds.find(goal, urn)
        new = new_state(goal, urn, old, self._provider_of(goal))
        self._goals[urn] = goal
        if new.is_provider:
            # As the CLI has it: which plugin serves is among the provider's inputs.
            new.inputs = {"__internal": {}, "version": goal.version, **new.inputs}
            self._prepare_provider(new)
        elif goal.custom:
            kept = old.inputs if old is not None else {}
            new.inputs = reset_ignored(new.inputs, kept, goal.ignore_changes) if old is not None else new.inputs
            new.inputs = self._providers.of(new.provider).check(new, old)
        if urn in self._early:
            return self._replacement(Decision(Op.REPLACE, Diff(changed=True), delete_first=True), old, new)
        decision = decide(goal, old, new, self._replaced, lambda a, b: self._asked(a, b, goal))
        if urn in self.around.replace and old is not None and goal.custom:
            decision = Decision(Op.REPLACE, Diff(changed=True), delete_first=bool(goal.delete_before_replace))
        if decision.kind is Op.REPLACE:
            return self._replacement(decision, old, new)
        step = Step(decision.kind, old, new, decision.diff)
        performer = self._performer
        perform = {Op.SAME: performer.same, Op.CREATE: performer.create, Op.UPDATE: performer.update}[decision.kind]
        return step, lambda: perform(step)

    def _replacement(
        self, decision: Decision, old: ResourceState | None, new: ResourceState
    ) -> tuple[Step, Callable[[], None]]:
        assert old is not None  # noqa: S101 - only what was there is replaced
        if old.protect and new.protect:
            self._refuse_replacing(new)
        self._replaced.add(new.urn)
        early = self._delete_early(old) if decision.delete_first else []
        step = Step(Op.CREATE_REPLACEMENT, old, new, decision.diff)
        return step, lambda: self._performer.replace(step, early, gone=decision.delete_first)

    def _refuse_replacing(self, new: ResourceState) -> None:
        message = (
            f'unable to replace resource "{new.urn}"\nas it is currently marked for protection. To unprotect the '
            "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`"
        )
        if not self.around.dry_run:
            raise EngineError(message)
        self.note_error(new.urn, message)

    def _delete_early(self, old: ResourceState) -> list[ResourceState]:
        """Old states to delete before the replacement of one is created, in the order to delete them."""
        if old.pending_replacement or old.urn in self._early:
            return []
        dependents = [state for state in replaced_dependents(self.previous, old) if state.urn not in self._early]
        for state in dependents:
            if state.protect:
                raise EngineError(
                    f'unable to replace resource "{state.urn}" as part of replacing "{old.urn}" as it is currently '
                    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in "
                    "your Pulumi program and run `pulumi up`"
                )
            self._early.add(state.urn)
        return [*(state for state in reversed(dependents) if not state.pending_replacement), old]

    def _asked(self, old: ResourceState, new: ResourceState, goal: Goal) -> Diff:
        return self._providers.of(new.provider).diff(old, new, goal.ignore_changes)

    def _provider_of(self, goal: Goal) -> str:
        """The provider reference of a custom resource; makes the default provider when it is first needed."""
        if not goal.custom or goal.type.startswith(PROVIDER_PREFIX):
            return ""
        return goal.provider or self._default_provider(goal.type.partition(":")[0], goal.version)

    def _default_provider(self, package: str, version: str) -> str:
        version = version or _VERSIONS.get(package, "")
        name = f"default_{version.replace('.', '_').replace('-', '_').replace('+', '_')}".rstrip("_")
        type_ = PROVIDER_PREFIX + package
        urn = make_urn(self.around.stack, self.around.project, "", type_, name)
        state = self._states.get(urn)
        if state is None:
            inputs = {"__internal": {}, "version": version, **(_LIBRARY if package == COMMAND else {})}
            state = self._register_provider(Goal(type=type_, name=name, custom=True, properties=inputs), urn)
        return f"{urn}::{state.id}"

    def _register_provider(self, goal: Goal, urn: str) -> ResourceState:
        old = self._olds.find(goal, urn)
        new = new_state(goal, urn, old, "")
        self._goals[urn] = goal
        self._prepare_provider(new)
        if old is None:
            step = Step(Op.CREATE, None, new, Diff(changed=True))
            self._perform(lambda: self._performer.create(step))
        else:
            new.inputs = old.inputs  # another build of the provider may have stored other details; they do not matter
            self._perform(lambda: self._performer.same(Step(Op.SAME, old, new, Diff())))
        self._states[urn] = new
        return new

    def _prepare_provider(self, new: ResourceState) -> None:
        """Have the provider ready for its resources; an update that would need a missing plugin ends here."""
        if not self.around.dry_run:
            self._providers.require(new.type.removeprefix(PROVIDER_PREFIX), str(new.inputs.get("version") or ""))
        self._providers.know(new)

    def delete_rest(self) -> None:
        """After the program: delete what it no longer registers, and what has been replaced."""
        kept = set(self._goals)
        self._delete(
            [
                state
                for state in self.snapshot.resources()
                if state.delete or (state.urn not in kept and not self._olds.continued(state.urn))
            ]
        )

    def delete_all(self) -> None:
        """Delete everything, for `destroy`."""
        self._delete(self.snapshot.resources())

    def _delete(self, condemned: list[ResourceState]) -> None:
        condemned = self._spare_protected(condemned)
        urns = {state.urn for state in condemned}
        with ThreadPoolExecutor(self.around.parallel) as pool:
            for round_ in deletion_order(self.previous, condemned):
                if self.stopped:
                    return
                list(pool.map(lambda state: self._delete_one(state, urns), round_))

    def _spare_protected(self, condemned: list[ResourceState]) -> list[ResourceState]:
        """Without the protected resources, each told as an error, and without what they need."""
        protected = [state for state in condemned if state.protect and not state.delete]
        for state in protected:
            self.note_error(state.urn, _protected(state.urn))
        spared = needed_by(self.previous, protected)
        return [state for state in condemned if id(state) not in spared]

    def _delete_one(self, state: ResourceState, condemned: set[str]) -> None:
        if self.stopped:
            return
        if state.pending_replacement and not state.delete:
            self._performer.forget(Step(Op.DISCARD, state, None, Diff()))
            return
        step = Step(Op.DELETE_REPLACED if state.delete else Op.DELETE, state, None, Diff(changed=True))
        try:
            self._perform(lambda: self._performer.delete(step, skip=state.deleted_with in condemned))
        except MonitorClosed:
            return


def _protected(urn: str) -> str:
    return (
        f'resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, remove the `protect` '
        "flag from the resource in your Pulumi program and run `pulumi up`"
    )
