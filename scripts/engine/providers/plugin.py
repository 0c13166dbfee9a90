"""A real provider: `pulumi-resource-NAME` in a process of its own, spoken to in Pulumi's provider protocol.

The stubs are the SDK's own. What the answers mean follows the CLI's `sdk/go/common/resource/plugin`.
"""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from scripts.engine.diff import ADD, DELETE, REPLACING, UPDATE, Diff
from scripts.engine.errors import EngineError, ProviderError
from scripts.engine.providers.context import Children, OperationContext
from scripts.engine.state import ResourceState, urn_name, urn_type
from scripts.engine.values import PropertyMap, Secret, contains_secret, reveal
from scripts.engine.wire import from_struct, to_struct

_MAX_MESSAGE = 400 * 1024 * 1024
_KINDS = {
    provider_pb2.PropertyDiff.ADD: ADD,
    provider_pb2.PropertyDiff.ADD_REPLACE: ADD + REPLACING,
    provider_pb2.PropertyDiff.DELETE: DELETE,
    provider_pb2.PropertyDiff.DELETE_REPLACE: DELETE + REPLACING,
    provider_pb2.PropertyDiff.UPDATE: UPDATE,
    provider_pb2.PropertyDiff.UPDATE_REPLACE: UPDATE + REPLACING,
}
_DETAILS = "grpc-status-details-bin"
_ENGINE_KEYS = ("version", "pluginDownloadURL")
"""Inputs of a provider resource that are the engine's business, beside those that begin with two underscores."""


class PluginProvider:
    """The provider's process, configured by the inputs of its resource."""

    def __init__(self, program: Path, root: Path, engine: str, children: Children) -> None:
        self._name = program.name
        self._said: deque[str] = deque(maxlen=20)
        self._process = subprocess.Popen(
            [str(program), engine],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        # A cancelled update lets it finish what it does; only a killed engine, or a second Ctrl-C, ends it.
        self._children = children
        children.keep(self._process.pid)
        Thread(target=self._listen, args=(self._process.stderr,), daemon=True).start()
        options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
        try:
            port = self._port()
        except BaseException:
            self._process.kill()
            raise
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._accepts_secrets = False

    def _port(self) -> int:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = self._process.stdout.readline().decode().strip()
        if not line.isdecimal():
            raise EngineError(f"{self._name} did not start: {' '.join(self._said) or line or 'it said nothing'}")
        Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        return int(line)

    def _listen(self, stream: IO[bytes] | None) -> None:
        assert stream is not None  # noqa: S101 - both were asked for
        with suppress(ValueError):
            for line in stream:
                self._said.append(line.decode(errors="replace").strip())

    def configure(self, urn: str, inputs: PropertyMap) -> None:
        """Give it the configuration; ProviderError where that does not work, such as a host that does not answer."""
        own = {key: value for key, value in inputs.items() if not (key in _ENGINE_KEYS or key.startswith("__"))}
        package = urn_type(urn).rpartition(":")[2]
        request = provider_pb2.ConfigureRequest(
            variables={f"{package}:config:{key}": str(value) for key, value in reveal(own).items()},
            args=to_struct(own),
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
        )
        answer = self._ask(self._stub.Configure, request)
        self._accepts_secrets = answer.acceptSecrets

    def check(self, new: ResourceState, old: ResourceState | None) -> PropertyMap:
        """Inputs as the provider stores them."""
        request = provider_pb2.CheckRequest(
            urn=new.urn,
            olds=self._struct(old.inputs if old else {}),
            news=self._struct(new.inputs),
            name=urn_name(new.urn),
            type=new.type,
        )
        answer = self._ask(self._stub.Check, request)
        for failure in answer.failures:
            place = f"{failure.property}: " if failure.property else ""
            raise EngineError(f"{new.type} resource '{new.name}' has a problem: {place}{failure.reason}")
        return self._marked(from_struct(answer.inputs), new.inputs)

    def diff(self, old: ResourceState, new: ResourceState, ignore: list[str]) -> Diff:
        """What changed, and whether that takes another resource."""
        request = provider_pb2.DiffRequest(
            id=old.id,
            urn=new.urn,
            olds=self._struct(old.outputs),
            old_inputs=self._struct(old.inputs),
            news=self._struct(new.inputs),
            ignoreChanges=ignore,
            name=urn_name(new.urn),
            type=new.type,
        )
        answer = self._ask(self._stub.Diff, request)
        detailed = {path: _KINDS[part.kind] for path, part in answer.detailedDiff.items()}
        return Diff(
            changed=answer.changes == provider_pb2.DiffResponse.DIFF_SOME,
            detailed=detailed if answer.hasDetailedDiff else None,
            keys=sorted(answer.diffs),
            replace_keys=sorted(answer.replaces),
            delete_first=answer.deleteBeforeReplace,
        )

    def create(self, new: ResourceState, context: OperationContext) -> tuple[str, PropertyMap]:
        """Create. What came into being before a failure is deleted again: a failed create stores nothing."""
        try:
            answer = self._stub.Create(self._creation(new, preview=False))
        except grpc.RpcError as error:
            partial = _partial(error)
            if partial is not None and partial.id:
                state = new.copy()
                state.id, state.outputs = partial.id, from_struct(partial.properties)
                with suppress(ProviderError):
                    self.delete(state, context)
            raise ProviderError(self._reason(error)) from error
        return answer.id, self._marked(from_struct(answer.properties), new.inputs)

    def preview_create(self, new: ResourceState) -> tuple[str, PropertyMap]:
        """The outputs as far as they are known; the id is not."""
        answer = self._ask(self._stub.Create, self._creation(new, preview=True))
        return "", self._marked(from_struct(answer.properties), new.inputs)

    def _creation(self, new: ResourceState, preview: bool) -> Any:
        return provider_pb2.CreateRequest(
            urn=new.urn,
            properties=self._struct(new.inputs),
            preview=preview,
            name=urn_name(new.urn),
            type=new.type,
        )

    def update(self, old: ResourceState, new: ResourceState, context: OperationContext) -> PropertyMap:
        """Update in place; the outputs."""
        del context
        return self._update(old, new, preview=False)

    def preview_update(self, old: ResourceState, new: ResourceState) -> PropertyMap:
        """The outputs as far as they are known."""
        return self._update(old, new, preview=True)

    def _update(self, old: ResourceState, new: ResourceState, preview: bool) -> PropertyMap:
        request = provider_pb2.UpdateRequest(
            id=old.id,
            urn=new.urn,
            olds=self._struct(old.outputs),
            old_inputs=self._struct(old.inputs),
            news=self._struct(new.inputs),
            ignoreChanges=new.ignore_changes,
            preview=preview,
            name=urn_name(new.urn),
            type=new.type,
        )
        return self._marked(from_struct(self._ask(self._stub.Update, request).properties), new.inputs)

    def delete(self, old: ResourceState, context: OperationContext) -> None:
        """Delete."""
        del context
        request = provider_pb2.DeleteRequest(
            id=old.id,
            urn=old.urn,
            properties=self._struct(old.outputs),
            old_inputs=self._struct(old.inputs),
            name=urn_name(old.urn),
            type=old.type,
        )
        self._ask(self._stub.Delete, request)

    def invoke(self, token: str, arguments: PropertyMap, context: OperationContext) -> PropertyMap:
        """Call a function."""
        del context
        answer = self._ask(self._stub.Invoke, provider_pb2.InvokeRequest(tok=token, args=self._struct(arguments)))
        for failure in answer.failures:
            raise ProviderError(f"{failure.property}: {failure.reason}".removeprefix(": "))
        return from_struct(getattr(answer, "return"))

    def close(self) -> None:
        """End the process."""
        with suppress(grpc.RpcError):
            self._stub.Cancel(empty_pb2.Empty(), timeout=5)
        self._channel.close()
        self._process.kill()
        self._process.wait()
        self._children.release(self._process.pid)

    def _struct(self, properties: PropertyMap) -> Any:
        return to_struct(properties if self._accepts_secrets else reveal(properties))

    def _marked(self, outputs: PropertyMap, inputs: PropertyMap) -> PropertyMap:
        """A provider that takes no secrets gives none: those that went in come out marked."""
        if self._accepts_secrets:
            return outputs
        return {
            key: Secret(value) if contains_secret(inputs.get(key)) and not isinstance(value, Secret) else value
            for key, value in outputs.items()
        }

    def _ask(self, method: Callable[[Any], Any], request: Any) -> Any:
        try:
            return method(request)
        except grpc.RpcError as error:
            raise ProviderError(self._reason(error)) from error

    def _reason(self, error: grpc.RpcError) -> str:
        """The provider's own words; where it died, the last that it said."""
        if self._process.poll() is not None:
            return f"{self._name} ended unexpectedly: {' '.join(self._said) or 'it said nothing'}"
        partial = _partial(error)
        reasons = list(partial.reasons) if partial is not None else []
        return "\n".join([str(error.details()), *reasons]).strip()


def _partial(error: grpc.RpcError) -> Any:
    """What an ErrorResourceInitFailed says: the resource exists, but it is not as it should be."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                message = provider_pb2.ErrorResourceInitFailed()
                if detail.Unpack(message):
                    return message
    return None
