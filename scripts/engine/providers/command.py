"""The command package as a provider: check, create, update, delete, invoke, and their previews."""

from __future__ import annotations

import os
from collections.abc import Callable

from scripts.engine.diff import Diff, command_diff
from scripts.engine.errors import EngineError, ProviderError
from scripts.engine.providers.context import OperationContext
from scripts.engine.providers.local import run_local
from scripts.engine.state import ResourceState
from scripts.engine.values import UNKNOWN, PropertyMap, Secret, Value, equal, reveal

LOCAL = "command:local:Command"
REMOTE = "command:remote:Command"
RUN = "command:local:run"

_COMMON = {
    "triggers": list,
    "create": str,
    "update": str,
    "delete": str,
    "stdin": str,
    "logging": str,
    "environment": dict,
    "addPreviousOutputInEnv": bool,
}
_FIELDS: dict[str, dict[str, type]] = {
    LOCAL: {**_COMMON, "interpreter": list, "dir": str},
    REMOTE: {**_COMMON, "connection": dict},
    RUN: {
        "command": str,
        "stdin": str,
        "logging": str,
        "environment": dict,
        "addPreviousOutputInEnv": bool,
        "interpreter": list,
        "dir": str,
    },
}
_UNSUPPORTED = ("assetPaths", "archivePaths")
_LOGGING = ("stdout", "stderr", "stdoutAndStderr", "none")
_CONNECTION_SECRETS = ("password", "privateKey", "privateKeyPassword")
_CONNECTION_DEFAULTS = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
_TYPE_NAMES = {str: "a string", dict: "a map", list: "a list", bool: "a boolean"}


class CommandProvider:
    """The package as the engine asks any provider."""

    def check(self, new: ResourceState, old: ResourceState | None) -> PropertyMap:
        """Inputs as the provider stores them."""
        del old
        return check(new.type, new.name, new.inputs)

    def diff(self, old: ResourceState, new: ResourceState, ignore: list[str]) -> Diff:
        """What changed; `triggers` appearing or going replaces, all else is an update."""
        del ignore
        return command_diff(old.inputs, new.inputs)

    def create(self, new: ResourceState, context: OperationContext) -> tuple[str, PropertyMap]:
        """Run the create command."""
        return create(new, context)

    def preview_create(self, new: ResourceState) -> tuple[str, PropertyMap]:
        """Outputs as far as they are known before creating."""
        return f"{new.name}{os.urandom(4).hex()}", preview_create(new)

    def update(self, old: ResourceState, new: ResourceState, context: OperationContext) -> PropertyMap:
        """Run the update command, or create where there is none."""
        return update(old, new, context)

    def preview_update(self, old: ResourceState, new: ResourceState) -> PropertyMap:
        """Outputs as far as they are known before updating."""
        return preview_update(old, new)

    def delete(self, old: ResourceState, context: OperationContext) -> None:
        """Run the delete command, if there is one."""
        delete(old, context)

    def invoke(self, token: str, arguments: PropertyMap, context: OperationContext) -> PropertyMap:
        """Call `local.run`."""
        if token != RUN:
            raise EngineError(f"the embedded engine does not know the function {token}; use the Pulumi CLI")
        return invoke(arguments, context)


def check(type_: str, name: str, inputs: PropertyMap) -> PropertyMap:
    """Inputs as the provider stores them: checked, defaults applied, secrets marked. EngineError for bad ones."""
    fields = _FIELDS.get(type_)
    if fields is None:
        raise EngineError(f"the embedded engine does not know resources of type {type_} ({name}); use the Pulumi CLI")
    for key, value in inputs.items():
        problem = _problem(key, value, fields)
        if problem:
            raise EngineError(f"{type_} resource '{name}' has a problem: {problem}")
    checked = dict(inputs)
    if type_ == REMOTE:
        if "connection" not in checked:
            raise EngineError(f"{type_} resource '{name}' has a problem: connection is missing; give the host to dial")
        checked["connection"] = _check_connection(name, checked["connection"])
    return checked


def _problem(key: str, value: Value, fields: dict[str, type]) -> str:
    if key in _UNSUPPORTED:
        return f"the embedded engine does not do {key}; use the Pulumi CLI"
    if key not in fields:
        return f"{key} is not an input of this type; remove it"
    plain = value.value if isinstance(value, Secret) else value
    if plain is UNKNOWN or plain is None:
        return ""
    if not isinstance(plain, fields[key]):
        return f"{key} must be {_TYPE_NAMES[fields[key]]}, not {type(plain).__name__}"
    if key == "logging" and plain not in _LOGGING:
        return f"logging must be one of {', '.join(_LOGGING)}"
    return ""


def _check_connection(name: str, value: Value) -> Value:
    """A connection with its defaults, secret as a whole, its credentials secret inside."""
    plain = value.value if isinstance(value, Secret) else value
    if plain is UNKNOWN:
        return Secret(UNKNOWN)
    if "host" not in plain:
        raise EngineError(f"{REMOTE} resource '{name}' has a problem: connection.host is missing; give a host to dial")
    filled = _fill(plain)
    if filled.get("proxy") is not None:
        proxy = filled["proxy"]
        filled["proxy"] = proxy if proxy is UNKNOWN else _fill(proxy)
    return Secret(filled)


def _fill(connection: PropertyMap) -> PropertyMap:
    filled = {**_CONNECTION_DEFAULTS, **connection}
    for key in _CONNECTION_SECRETS:
        if key in filled and not isinstance(filled[key], Secret):
            filled[key] = Secret(filled[key])
    return filled


def create(state: ResourceState, context: OperationContext) -> tuple[str, PropertyMap]:
    """Run the create command; returns the new id and the outputs."""
    outputs = _run(state.type, state.inputs.get("create"), state.inputs, {}, context)
    return f"{state.name}{os.urandom(4).hex()}", outputs


def preview_create(state: ResourceState) -> PropertyMap:
    """Outputs as far as they are known before creating."""
    return {**state.inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}


def update(old: ResourceState, new: ResourceState, context: OperationContext) -> PropertyMap:
    """Run the update command, or create where there is none; returns the outputs."""
    command = new.inputs.get("update", new.inputs.get("create"))
    return _run(new.type, command, new.inputs, old.outputs, context)


def preview_update(old: ResourceState, new: ResourceState) -> PropertyMap:
    """Outputs as far as they are known before updating: what the command printed is kept if only inputs were added."""
    stale = any(
        value is UNKNOWN or (key in old.outputs and not equal(value, old.outputs[key]))
        for key, value in ((key, new.inputs.get(key)) for key in _FIELDS[new.type])
    )
    kept = {key: UNKNOWN if stale else reveal(old.outputs.get(key, "")) for key in ("stdout", "stderr")}
    return {**new.inputs, **kept}


def delete(old: ResourceState, context: OperationContext) -> None:
    """Run the delete command, if the resource has one, with the inputs it was last given."""
    if old.outputs.get("delete") is not None:
        _run(old.type, old.outputs["delete"], old.outputs, old.outputs, context)


def invoke(arguments: PropertyMap, context: OperationContext) -> PropertyMap:
    """`local.run`: run a command now, in previews too."""
    inputs = check(RUN, "local.run", arguments)
    if "command" not in inputs:
        raise EngineError("command:local:run has a problem: command is missing; give the command to run")
    return _run(LOCAL, inputs["command"], inputs, {}, context)


def _run(
    type_: str, command: Value, inputs: PropertyMap, previous: PropertyMap, context: OperationContext
) -> PropertyMap:
    """Inputs and what the command printed; without a command what was printed before."""
    if command is None:
        return {**inputs, **{key: reveal(previous.get(key, "")) for key in ("stdout", "stderr")}}
    printed = _runner(type_)(reveal(command), inputs, previous, context)
    return {**inputs, **printed}


def _runner(type_: str) -> Callable[[str, PropertyMap, PropertyMap, OperationContext], PropertyMap]:
    if type_ == LOCAL:
        return run_local
    if type_ == REMOTE:
        from scripts.engine.providers.remote import run_remote  # noqa: PLC0415 - paramiko is slow to import

        return run_remote
    raise ProviderError(f"the embedded engine does not know resources of type {type_}; use the Pulumi CLI")
