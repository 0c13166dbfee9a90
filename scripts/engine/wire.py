"""Property values to and from the protobuf form of the SDK's protocol (google.protobuf.Struct with signatures)."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2

from scripts.engine.values import UNKNOWN, Output, PropertyMap, ResourceRef, Secret, Value

# The protocol's signatures (sdk/go/common/resource/sig in the CLI's sources).
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature, not a password
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = {
    UNKNOWN_TEXT,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
}


def from_struct(struct: struct_pb2.Struct) -> PropertyMap:
    """A Struct as a property map; outputs are kept as `Output`. Null properties are left out, as the CLI does."""
    fields = {key: from_value(value) for key, value in struct.fields.items()}
    return {key: value for key, value in fields.items() if value is not None}


def from_value(value: struct_pb2.Value) -> Value:
    """One protobuf value as a property value."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    if kind == "struct_value":
        return _from_object(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 1e15 else number
    return None


def _from_object(struct: struct_pb2.Struct) -> Value:
    fields = struct.fields
    signature = fields[SIGNATURE].string_value if SIGNATURE in fields else ""
    if signature == SECRET:
        return Secret(from_value(fields["value"]))
    if signature == OUTPUT:
        return Output(
            value=from_value(fields["value"]) if "value" in fields else UNKNOWN,
            known="value" in fields,
            secret=fields["secret"].bool_value if "secret" in fields else False,
            dependencies=tuple(item.string_value for item in fields["dependencies"].list_value.values)
            if "dependencies" in fields
            else (),
        )
    if signature == RESOURCE:
        return ResourceRef(
            urn=fields["urn"].string_value,
            id=from_value(fields["id"]) if "id" in fields else None,
            package_version=fields["packageVersion"].string_value if "packageVersion" in fields else "",
        )
    return {key: from_value(item) for key, item in fields.items()}


def to_struct(properties: PropertyMap) -> struct_pb2.Struct:
    """A property map as a Struct, secrets and references with their signatures."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        struct.fields[key].CopyFrom(to_value(value))
    return struct


def to_value(value: Value) -> struct_pb2.Value:
    """One property value in protobuf form."""
    result = struct_pb2.Value()
    if value is None:
        result.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        result.string_value = UNKNOWN_TEXT
    elif isinstance(value, bool):
        result.bool_value = value
    elif isinstance(value, int | float):
        result.number_value = value
    elif isinstance(value, str):
        result.string_value = value
    elif isinstance(value, list):
        result.list_value.values.extend(to_value(item) for item in value)
        if not value:
            result.list_value.SetInParent()
    else:
        result.struct_value.CopyFrom(to_struct(_signed(value)))
    return result


def _signed(value: Value) -> dict[str, Any]:
    """Objects, and the special values as objects with a signature."""
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, "value": value.value}
    if isinstance(value, ResourceRef):
        reference = {SIGNATURE: RESOURCE, "urn": value.urn, "packageVersion": value.package_version}
        return reference if value.id is None else {**reference, "id": value.id}
    if isinstance(value, dict):
        return value
    raise TypeError(f"not a property value: {type(value).__name__}")
