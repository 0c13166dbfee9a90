"""The gRPC services that the program talks to: the resource monitor, and the engine's log.

The stubs are the SDK's own (`pulumi.runtime.proto`), so the protocol is the one of the pinned SDK.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    provider_pb2,
    resource_pb2,
    resource_pb2_grpc,
)

from scripts.engine.config import ConfigValue
from scripts.engine.deployment import Deployment
from scripts.engine.engine_log import EngineLog
from scripts.engine.errors import EngineError, MonitorClosed, ProviderError
from scripts.engine.goal import goal_from_request
from scripts.engine.values import PropertyMap, contains_unknown, lower_outputs
from scripts.engine.wire import from_struct, to_struct

_FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceReferences": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    "outputValues": resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    "replaceWith": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
}
_GET_RESOURCE = "pulumi:pulumi:getResource"
_MAX_MESSAGE = 400 * 1024 * 1024
_Reply = TypeVar("_Reply")


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Answers registrations and invokes with what the deployment makes of them."""

    def __init__(self, deployment: Deployment, config: dict[str, ConfigValue]) -> None:
        self._deployment = deployment
        self._config = config

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """What is being run, and what this engine can do."""
        around = self._deployment.around
        return resource_pb2.DeploymentInfo(
            project=around.project,
            stack=around.stack,
            organization="organization",
            config={key: value.text for key, value in self._config.items()},
            configSecretKeys=[key for key, value in self._config.items() if value.secret],
            dryRun=around.dry_run,
            parallel=around.parallel,
            supportedFeatures=list(_FEATURES.values()),
        )

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Whether this engine can do something the SDK asks about."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Bring a resource to its goal."""

        def serve() -> Any:
            state = self._deployment.register(goal_from_request(request, self._deployment.around.root))
            outputs = state.outputs if state.custom else {}
            if not request.supportsPartialValues:
                outputs = {key: value for key, value in outputs.items() if not contains_unknown(value)}
            return resource_pb2.RegisterResourceResponse(
                urn=state.urn, id=state.id, object=to_struct(outputs), result=resource_pb2.SUCCESS
            )

        return self._serve(context, serve, f"{request.type} {request.name}")

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take a component's outputs."""

        def serve() -> Any:
            outputs = {key: lower_outputs(value) for key, value in from_struct(request.outputs).items()}
            self._deployment.register_outputs(request.urn, outputs)
            return empty_pb2.Empty()

        return self._serve(context, serve, request.urn)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Call a function."""

        def serve() -> Any:
            arguments = {key: lower_outputs(value) for key, value in from_struct(request.args).items()}
            if request.tok == _GET_RESOURCE:
                return provider_pb2.InvokeResponse(**{"return": to_struct(self._get_resource(arguments))})
            try:
                result = self._deployment.invoke(request.tok, arguments, request.version)
            except ProviderError as error:
                context.abort(grpc.StatusCode.UNKNOWN, f"invocation of {request.tok} returned an error: {error}")
            return provider_pb2.InvokeResponse(**{"return": to_struct(result)})

        return self._serve(context, serve, request.tok)

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The program is done; nothing here calls back into it, so it may leave."""
        return empty_pb2.Empty()

    def _get_resource(self, arguments: PropertyMap) -> PropertyMap:
        state = self._deployment.lookup(str(arguments.get("urn")))
        if state is None:
            raise EngineError(f"unknown resource {arguments.get('urn')}")
        return {"urn": state.urn, "id": state.id, "state": state.outputs}

    def _serve(self, context: Any, serve: Callable[[], _Reply], subject: str) -> _Reply:
        """Serve a request; an error ends the deployment, and requests of an ended one are "unavailable"."""
        with self._deployment.serving():
            try:
                return serve()
            except MonitorClosed:
                pass
            except EngineError as error:
                self._deployment.fail("", str(error))
            except grpc.RpcError:
                raise
            except Exception as error:
                if type(error) is Exception and context.code() is not None:
                    raise  # this is how context.abort leaves
                self._deployment.fail("", f"internal error at {subject}: {error}\n{traceback.format_exc()}")
        context.abort(grpc.StatusCode.UNAVAILABLE, "resource monitor shut down")
        raise AssertionError("abort does not return")


@contextmanager
def serve_program(deployment: Deployment, config: dict[str, ConfigValue]) -> Iterator[str]:
    """Serve both services on a loopback port; yields its address."""
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(max_workers=512, thread_name_prefix="request"), options=options)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(deployment, config), server)
    engine_pb2_grpc.add_EngineServicer_to_server(EngineLog(deployment.around.sink, lambda: deployment.stopped), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        stopped: threading.Event = server.stop(grace=1)
        stopped.wait()
