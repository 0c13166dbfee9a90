"""Property values to and from the checkpoint's JSON (apitype.ResourceV3's inputs and outputs)."""

from __future__ import annotations

import json
from collections.abc import Callable

from scripts.engine.values import UNKNOWN, PropertyMap, ResourceRef, Secret, Value
from scripts.engine.wire import RESOURCE, SECRET, SIGNATURE, UNKNOWN_TEXT

Encrypt = Callable[[str], str]
Decrypt = Callable[[str], str]

HIDDEN = "[secret]"


def compact_json(value: object) -> str:
    """JSON as Go's encoder writes it: no spaces, sorted keys, no ASCII escapes."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _identity(text: str) -> str:
    return text


def hide(_text: str) -> str:
    """An "encryption" for what is only shown."""
    return HIDDEN


def properties_to_json(properties: PropertyMap, encrypt: Encrypt) -> PropertyMap:
    """A property map in the checkpoint's form, secrets encrypted."""
    return {key: to_json(value, encrypt) for key, value in sorted(properties.items())}


def to_json(value: Value, encrypt: Encrypt) -> Value:
    """One value in the checkpoint's form. What a secret holds is encrypted as one piece of JSON."""
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, Secret):
        plaintext = compact_json(to_json(value.value, _identity))
        return {SIGNATURE: SECRET, "ciphertext": encrypt(plaintext)}
    if isinstance(value, list):
        return [to_json(item, encrypt) for item in value]
    if isinstance(value, dict):
        return properties_to_json(value, encrypt)
    if isinstance(value, ResourceRef):
        reference = {SIGNATURE: RESOURCE, "urn": value.urn, "packageVersion": value.package_version}
        return reference if value.id is None else {**reference, "id": to_json(value.id, encrypt)}
    return value


def properties_from_json(raw: PropertyMap, decrypt: Decrypt) -> PropertyMap:
    """The inverse of `properties_to_json`."""
    return {key: from_json(value, decrypt) for key, value in raw.items()}


def from_json(raw: Value, decrypt: Decrypt) -> Value:
    """The inverse of `to_json`."""
    if isinstance(raw, str):
        return UNKNOWN if raw == UNKNOWN_TEXT else raw
    if isinstance(raw, list):
        return [from_json(item, decrypt) for item in raw]
    if not isinstance(raw, dict):
        return raw
    signature = raw.get(SIGNATURE)
    if signature == SECRET:
        plaintext = raw["plaintext"] if "plaintext" in raw else decrypt(raw["ciphertext"])
        return Secret(from_json(json.loads(plaintext), _identity))
    if signature == RESOURCE:
        return ResourceRef(raw["urn"], from_json(raw.get("id"), decrypt), raw.get("packageVersion", ""))
    return properties_from_json(raw, decrypt)
