"""The stack's configuration: values from the files, the project's schema, and the form the SDK wants.

The SDK gets every value as text (structured ones as JSON) under `NAMESPACE:key`, and the list of secret keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scripts.engine.errors import EngineError
from scripts.engine.passphrase import Crypter
from scripts.engine.project import Project
from scripts.engine.serde import HIDDEN, compact_json


@dataclass(frozen=True)
class ConfigValue:
    """One value: its text, whether any part is secret, and its structure where it has one."""

    text: str
    secret: bool = False
    structure: Any = None
    """The list or mapping, secrets in clear; None for a scalar."""
    hidden: str = ""
    """The text with secrets hidden."""


def full_key(project: str, key: str) -> str:
    """A key with its namespace: `maxconn` -> `evenkeel:maxconn`."""
    if not key:
        raise EngineError("the configuration key must not be empty")
    parts = key.split(":")
    if len(parts) == 3 and parts[1] == "config":  # the old form namespace:config:name
        parts = [parts[0], parts[2]]
    if len(parts) > 2:
        raise EngineError(
            f"could not parse {key} as a configuration key (configuration keys should be of the form "
            "`<namespace>:<name>`)"
        )
    return key if len(parts) == 2 else f"{project}:{key}"


def scalar_text(value: Any) -> str:
    """A YAML scalar as config text, as Go prints it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def is_secure(value: Any) -> bool:
    """Whether a value in the file is `{secure: v1:...}`."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def has_secret(value: Any) -> bool:
    """Whether a value in the file is secret or contains a secret."""
    if is_secure(value):
        return True
    if isinstance(value, dict):
        return any(map(has_secret, value.values()))
    return isinstance(value, list) and any(map(has_secret, value))


def _plain(value: Any, crypter: Crypter | None) -> Any:
    """A value from the file as plain data; without a crypter secrets become [secret]."""
    if is_secure(value):
        return crypter.decrypt(value["secure"]) if crypter else HIDDEN
    if isinstance(value, dict):
        return {str(key): _plain(item, crypter) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, crypter) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def read_value(raw: Any, crypter: Crypter | None) -> ConfigValue:
    """A value of a settings file; `crypter` None leaves secrets hidden."""
    secret = has_secret(raw)
    plain, hidden = _plain(raw, crypter), _plain(raw, None)
    if isinstance(plain, dict | list):
        return ConfigValue(compact_json(plain), secret, plain, compact_json(hidden))
    return ConfigValue(scalar_text(plain), secret, None, scalar_text(hidden))


def _default_of(schema: Any) -> Any:
    """What a schema entry gives a stack without the key, or None."""
    if not isinstance(schema, dict):
        return schema
    value = schema.get("value")
    return schema.get("default") if value is None else value


def merge_config(project: Project, stored: dict[str, Any], crypter: Crypter | None) -> dict[str, ConfigValue]:
    """The stack's values with the project's defaults, by full key, unchecked."""
    values = {full_key(project.name, key): read_value(raw, crypter) for key, raw in stored.items()}
    for key, schema in project.config.items():
        default = _default_of(schema)
        if default is not None:
            values.setdefault(full_key(project.name, key), read_value(default, None))
    return dict(sorted(values.items(), key=lambda item: (item[0].split(":")[0] == project.name, item[0])))


def check_config(project: Project, stack: str, values: dict[str, ConfigValue]) -> None:
    """EngineError in the CLI's words for a missing key or a value of the wrong type."""
    own = f"{project.name}:"
    missing = sorted(
        key
        for key, schema in project.config.items()
        if full_key(project.name, key) not in values and full_key(project.name, key).startswith(own)
    )
    if missing:
        raise EngineError(
            f"validating stack config: Stack '{stack}' is missing configuration "
            f"value{'s' if len(missing) > 1 else ''} {_listed(missing)}"
        )
    for key, schema in sorted(project.config.items()):
        value = values.get(full_key(project.name, key))
        if value is None or not isinstance(schema, dict) or "type" not in schema:
            continue
        if schema.get("secret") and not value.secret:
            raise EngineError(
                f"validating stack config: Stack '{stack}' with configuration key '{key}' must be "
                "encrypted as it's secret"
            )
        content = value.text if value.structure is None else value.structure
        if not _matches(schema["type"], schema.get("items"), content):
            raise EngineError(
                f"validating stack config: Stack '{stack}' with configuration key '{key}' must be of "
                f"type '{_type_name(schema['type'], schema.get('items'))}'"
            )


def _listed(keys: list[str]) -> str:
    if len(keys) == 1:
        return f"'{keys[0]}'"
    return ", ".join(f"'{key}'" for key in keys[:-1]) + f" and '{keys[-1]}'"


def _type_name(kind: str, items: Any) -> str:
    return f"array<{_type_name(items['type'], items.get('items'))}>" if items else kind


def _matches(kind: str, items: Any, value: Any) -> bool:
    """Whether a value is of a schema type (string, integer, boolean, object, array with items)."""
    if kind == "string":
        return isinstance(value, str)
    if kind == "integer":
        if isinstance(value, str):
            return value.lstrip("+-").isdigit() and value.count("+") + value.count("-") <= 1
        return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "object":
        return isinstance(value, dict)
    return (
        bool(items)
        and isinstance(value, list)
        and all(_matches(items["type"], items.get("items"), item) for item in value)
    )


def runtime_config(values: dict[str, ConfigValue]) -> tuple[str, str]:
    """The SDK's PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS."""
    texts = {key: value.text for key, value in values.items()}
    secrets = [key for key, value in values.items() if value.secret]
    return json.dumps(texts), json.dumps(secrets)
