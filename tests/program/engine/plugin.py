"""A small provider plugin, `pulumi-resource-thing`, which keeps its things as files and speaks the real protocol.

`thing:index:Thing` has `name`, which takes another thing, `text`, which does not, and `secret`. It notes every call in
the file `calls`. A thing called `half` comes into being and then fails; `none` does not come into being.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2, json_format
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Its things lie in the folder that its configuration names."""

    def __init__(self) -> None:
        self.place = Path()

    def note(self, *words: str) -> None:
        with (self.place / "calls").open("a") as stream:
            stream.write(" ".join(words) + "\n")

    def Configure(self, request: Any, context: Any) -> Any:
        self.place = Path(request.variables["thing:config:place"])
        if not self.place.is_dir():
            context.abort(grpc.StatusCode.UNKNOWN, f"there is no place {self.place}")
        self.note("configure")
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        if "name" not in request.news.fields:
            failure = provider_pb2.CheckFailure(property="name", reason="is missing")
            return provider_pb2.CheckResponse(failures=[failure])
        request.news.fields["__defaults"].list_value.SetInParent()  # as bridged providers note what they filled in
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        changed = [key for key in ("name", "text") if request.old_inputs.fields[key] != request.news.fields[key]]
        kinds = {"name": provider_pb2.PropertyDiff.UPDATE_REPLACE, "text": provider_pb2.PropertyDiff.UPDATE}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=[key for key in changed if key == "name"],
            detailedDiff={key: provider_pb2.PropertyDiff(kind=kinds[key]) for key in changed},
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        name = request.properties.fields["name"].string_value
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        if name == "none":
            context.abort(grpc.StatusCode.UNKNOWN, "nothing comes of nothing")
        self.note("create", name)
        (self.place / name).write_text(json.dumps(json_format.MessageToDict(request.properties)))
        if name == "half":
            detail = any_pb2.Any()
            detail.Pack(
                provider_pb2.ErrorResourceInitFailed(id=name, properties=request.properties, reasons=["too late"])
            )
            status = status_pb2.Status(code=2, message="it is there, but not well", details=[detail])
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(grpc.StatusCode.UNKNOWN, "it is there, but not well")
        return provider_pb2.CreateResponse(id=name, properties=request.properties)

    def Update(self, request: Any, context: Any) -> Any:
        if not request.preview:
            self.note("update", request.id)
        return provider_pb2.UpdateResponse(properties=request.news)

    def Delete(self, request: Any, context: Any) -> Any:
        self.note("delete", request.id)
        (self.place / request.id).unlink()
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    sys.exit(main())
