"""A deployment without its program: registrations in, steps and state out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.engine.checkpoint import Deployment as Stored
from scripts.engine.checkpoint import Snapshot
from scripts.engine.deployment import Deployment
from scripts.engine.errors import EngineError, MonitorClosed
from scripts.engine.goal import Goal
from scripts.engine.passphrase import Crypter
from scripts.engine.perform import Surroundings
from scripts.engine.providers.context import Cancellation, Children
from scripts.engine.reaper import Reaper
from scripts.engine.state import STACK_TYPE, ResourceState
from scripts.engine.steps import Step
from scripts.engine.values import UNKNOWN, Secret


class Sink:
    """Remembers what happened."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.errors: list[str] = []

    def started(self, step: Step) -> None:
        del step

    def finished(self, step: Step, seconds: float) -> None:
        del seconds
        if not step.state.is_provider:
            self.done.append(f"{step.op} {step.state.name}")

    def failed(self, step: Step, reason: str, seconds: float) -> None:
        del step, seconds
        self.errors.append(reason)

    def status(self, urn: str, line: str) -> None:
        """Not of interest here."""

    def log(self, urn: str, severity: str, text: str) -> None:
        del urn
        if severity == "error":
            self.errors.append(text)

    def outputs(self, state: ResourceState, before: dict[str, Any]) -> None:
        """Not of interest here."""


class World:
    """A stack's state that deployments run over, one after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.states: list[ResourceState] = []
        self.sink = Sink()

    def begin(self, dry_run: bool = False) -> Deployment:
        self.sink = Sink()
        around = Surroundings("shop", "dev", self.root, self.sink, Children(Cancellation(), Reaper()), dry_run)
        snapshot = Snapshot(Stored(self.states), Crypter(b"k" * 32, "salt"), None, "dev")
        deployment = Deployment(around, self.states, snapshot)
        self.stack = deployment.register(Goal(type=STACK_TYPE, name="shop-dev", custom=False)).urn
        return deployment

    def end(self, deployment: Deployment) -> list[str]:
        deployment.delete_rest()
        self.states = deployment.snapshot.resources()
        return self.sink.done


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def command(world: World, name: str, **inputs: Any) -> Goal:
    options = {key: inputs.pop(key) for key in list(inputs) if key in Goal.__dataclass_fields__}
    return Goal(
        type="command:local:Command",
        name=name,
        custom=True,
        parent=world.stack,
        properties=inputs,
        replace_on_changes=["triggers[*]"],
        **options,
    )


def test_a_resource_no_longer_registered_is_deleted_after_the_rest(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="true", delete="touch deleted"))
    first.register(command(world, "b", create="true"))
    world.end(first)
    second = world.begin()
    second.register(command(world, "b", create="true"))
    assert world.end(second) == ["same shop-dev", "same b", "delete a"]
    assert (world.root / "deleted").exists()


def test_a_replacement_is_created_before_the_old_one_is_deleted(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="echo new >> log", delete="echo gone >> log", triggers=[1]))
    world.end(first)
    second = world.begin()
    second.register(command(world, "a", create="echo new >> log", delete="echo gone >> log", triggers=[2]))
    assert world.end(second)[1:] == ["create-replacement a", "replace a", "delete-replaced a"]
    assert (world.root / "log").read_text().split() == ["new", "new", "gone"]


def test_a_failed_resource_stops_the_deployment_and_stores_nothing(world: World) -> None:
    deployment = world.begin()
    with pytest.raises(MonitorClosed):
        deployment.register(command(world, "bad", create="echo why >&2; exit 3"))
    with pytest.raises(MonitorClosed):
        deployment.register(command(world, "next", create="touch ran"))
    assert world.sink.errors == ['exit status 3: running "echo why >&2; exit 3":\nwhy\n']
    assert not (world.root / "ran").exists()
    assert [state.name for state in deployment.snapshot.resources()] == ["shop-dev", "default_1_2_1"]


def test_a_failed_update_keeps_the_old_state(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="echo one"))
    world.end(first)
    second = world.begin()
    with pytest.raises(MonitorClosed):
        second.register(command(world, "a", create="exit 1"))
    (kept,) = [state for state in second.snapshot.resources() if state.name == "a"]
    assert (kept.inputs, kept.outputs["stdout"]) == ({"create": "echo one"}, "one")


def test_a_failed_replacement_keeps_the_old_resource(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="true", delete="touch deleted", triggers=[1]))
    world.end(first)
    second = world.begin()
    with pytest.raises(MonitorClosed):
        second.register(command(world, "a", create="exit 1", triggers=[2]))
    (kept,) = [state for state in second.snapshot.resources() if state.name == "a"]
    assert (kept.delete, kept.inputs["triggers"]) == (False, [1])
    assert not (world.root / "deleted").exists()


def test_a_preview_runs_nothing_and_knows_what_it_cannot_know(world: World) -> None:
    deployment = world.begin(dry_run=True)
    state = deployment.register(command(world, "a", create="touch ran"))
    assert state.outputs == {"create": "touch ran", "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert not (world.root / "ran").exists()


def test_a_preview_of_an_unchanged_resource_knows_its_outputs(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="echo one"))
    world.end(first)
    preview = world.begin(dry_run=True)
    assert preview.register(command(world, "a", create="echo one")).outputs["stdout"] == "one"
    assert preview.register(command(world, "b", create="echo two")).outputs["stdout"] is UNKNOWN


def test_outputs_are_secret_where_the_program_or_an_input_says_so(world: World) -> None:
    state = world.begin().register(
        command(world, "a", create="cat", stdin=Secret("s"), additional_secret_outputs=["stdout"])
    )
    assert state.outputs["stdout"] == Secret("s")
    assert state.outputs["stdin"] == Secret("s")


def test_updates_see_the_output_of_the_run_before_unless_told_not_to(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="echo one"))
    first.register(command(world, "b", create="echo one"))
    world.end(first)
    second = world.begin()
    seen = second.register(command(world, "a", create="echo was $PULUMI_COMMAND_STDOUT"))
    unseen = second.register(
        command(world, "b", create="echo was $PULUMI_COMMAND_STDOUT", addPreviousOutputInEnv=False)
    )
    assert (seen.outputs["stdout"], unseen.outputs["stdout"]) == ("was one", "was")


def test_a_protected_resource_is_not_deleted_nor_what_it_needs(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="true", protect=True))
    first.register(command(world, "b", create="true"))
    world.end(first)
    destroy = world.begin()
    destroy.delete_all()
    assert "protected" in world.sink.errors[0]
    assert [state.name for state in destroy.snapshot.resources()] == ["shop-dev", "default_1_2_1", "a"]


def test_a_retained_resource_is_forgotten_but_not_deleted(world: World) -> None:
    first = world.begin()
    first.register(command(world, "a", create="true", delete="touch deleted", retain_on_delete=True))
    world.end(first)
    assert world.end(world.begin()) == ["same shop-dev", "delete a"]
    assert not (world.root / "deleted").exists()


def test_what_the_engine_does_not_do_is_said_in_a_sentence(world: World) -> None:
    deployment = world.begin()
    with pytest.raises(EngineError, match="the Pulumi provider aws is not installed"):
        deployment.register(Goal(type="aws:s3:Bucket", name="x", custom=True, parent=world.stack))
    with pytest.raises(EngineError, match="assetPaths"):
        deployment.register(command(world, "y", assetPaths=["*"]))
    with pytest.raises(EngineError, match="Duplicate resource URN"):
        deployment.register(Goal(type=STACK_TYPE, name="shop-dev", custom=False))


def test_a_command_waits_for_its_own_output_and_loses_one_newline(world: World) -> None:
    deployment = world.begin()
    late = deployment.register(command(world, "a", create="echo x; (sleep 0.2; echo late) &"))
    assert late.outputs["stdout"] == "x\nlate"
    two = deployment.register(command(world, "b", create="printf 'x\\n\\n'"))
    assert two.outputs["stdout"] == "x\n"
