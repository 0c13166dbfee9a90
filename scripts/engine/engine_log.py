"""The engine's gRPC service: the log of the program and of provider plugins, and where the stack's URN is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from scripts.engine import VERSION
from scripts.engine.events import Sink

_SEVERITIES = {0: "debug", 1: "info", 2: "warning", 3: "error"}


class EngineLog(engine_pb2_grpc.EngineServicer):
    """The program's log, and where it keeps the stack's URN."""

    def __init__(self, sink: Sink, stopped: Callable[[], bool]) -> None:
        self._sink = sink
        self._stopped = stopped
        self._root = ""

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A message for the user. Once the deployment has failed, the program's complaints about that are dropped."""
        severity = _SEVERITIES.get(request.severity, "info")
        if severity == "debug" or self._stopped():
            return empty_pb2.Empty()
        if request.ephemeral and severity != "error":
            self._sink.status(request.urn, request.message)
        else:
            self._sink.log(request.urn, severity, request.message)
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The stack's URN."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remember the stack's URN."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Check the program's demand on Pulumi's version."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - hardly any program asks

        try:
            wanted = SpecifierSet(request.pulumi_version_range.replace(" ", ","))
        except InvalidSpecifier:
            return engine_pb2.RequirePulumiVersionResponse()
        if VERSION not in wanted:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Pulumi CLI version {VERSION} does not satisfy the version range "{request.pulumi_version_range}"',
            )
        return engine_pb2.RequirePulumiVersionResponse()


class EngineServer:
    """The service on a port of its own, for plugins, which outlive the program and are there without one."""

    def __init__(self, sink: Sink, stopped: Callable[[], bool]) -> None:
        self._service = EngineLog(sink, stopped)
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self._port = 0

    def address(self) -> str:
        """Where it listens; begins to when first asked."""
        with self._lock:
            if self._server is None:
                self._server = grpc.server(ThreadPoolExecutor(max_workers=8, thread_name_prefix="log"))
                engine_pb2_grpc.add_EngineServicer_to_server(self._service, self._server)
                self._port = self._server.add_insecure_port("127.0.0.1:0")
                self._server.start()
            return f"127.0.0.1:{self._port}"

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop(grace=None)
