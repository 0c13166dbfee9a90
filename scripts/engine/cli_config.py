"""`config` and its actions: get, set, rm."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from scripts.engine.config import ConfigValue, full_key, merge_config, read_value
from scripts.engine.errors import EngineError
from scripts.engine.project import load_stack_file, quoted
from scripts.engine.session import Stack, open_session, open_stack
from scripts.engine.values import Path, parse_path


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """Add the actions to the command line."""
    get = actions.add_parser("get", parents=[common], help="one value")
    get.add_argument("key")
    get.add_argument("--path", action="store_true", help="the key is a path such as sizes.lb[0]")
    get.add_argument("-j", "--json", action="store_true")
    get.set_defaults(handler=_get)
    set_ = actions.add_parser("set", parents=[common], help="set a value; without one it is read from standard input")
    set_.add_argument("key")
    set_.add_argument("value", nargs="?")
    set_.add_argument("--secret", action="store_true")
    set_.add_argument("--plaintext", action="store_true")
    set_.add_argument("--path", action="store_true")
    set_.set_defaults(handler=_set)
    rm = actions.add_parser("rm", parents=[common], help="remove a value")
    rm.add_argument("key")
    rm.add_argument("--path", action="store_true")
    rm.set_defaults(handler=_rm)


def _stack(parsed: argparse.Namespace) -> Stack:
    return open_stack(open_session(parsed.cwd), parsed.stack)


def show(parsed: argparse.Namespace) -> int:
    """`config`: all values."""
    stack = _stack(parsed)
    values = merge_config(stack.project, stack.file.config, stack.config_crypter() if parsed.show_secrets else None)
    if parsed.json:
        body = {key: _json(value, parsed.show_secrets) for key, value in sorted(values.items())}
        print(json.dumps(body, indent=2, ensure_ascii=False))
        return 0
    rows = [("KEY", "VALUE")]
    for key, value in values.items():
        rows.append((key.removeprefix(f"{stack.project.name}:"), value.text if parsed.show_secrets else value.hidden))
    width = max(len(key) for key, _ in rows)
    for key, text in rows:
        print(f"{key:<{width}}  {text}".rstrip())
    return 0


def _json(value: ConfigValue, show_secrets: bool) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if show_secrets or not value.secret:
        body["value"] = value.text
        if value.structure is not None:
            body["objectValue"] = value.structure
    return {**body, "secret": value.secret}


def _split(stack: Stack, key: str, as_path: bool) -> tuple[str, Path]:
    """The key with its namespace, and the path inside its value."""
    if not as_path:
        return full_key(stack.project.name, key), ()
    namespace, separator, name = key.rpartition(":")
    try:
        head, *rest = parse_path(name)
    except ValueError:
        raise EngineError(f"invalid config key path {key!r}; write it like sizes.lb[0]") from None
    return full_key(stack.project.name, f"{namespace}{separator}{head}"), tuple(rest)


def _get(parsed: argparse.Namespace) -> int:
    stack = _stack(parsed)
    key, path = _split(stack, parsed.key, parsed.path)
    values = merge_config(stack.project, stack.file.config, stack.config_crypter())
    value = values.get(key)
    found = value if value is None or not path else _at(value, path)
    if found is None:
        raise EngineError(f"configuration key '{parsed.key}' not found for stack '{stack.name}'")
    print(json.dumps(_json(found, show_secrets=True), indent=2) if parsed.json else found.text)
    return 0


def _at(value: ConfigValue, path: Path) -> ConfigValue | None:
    part = value.structure
    for step in path:
        try:
            part = part[step]
        except (KeyError, IndexError, TypeError):
            return None
    found = read_value(part, None)
    return ConfigValue(found.text, value.secret, found.structure, found.hidden)


def _set(parsed: argparse.Namespace) -> int:
    stack = _stack(parsed)
    key, path = _split(stack, parsed.key, parsed.path)
    text = parsed.value if parsed.value is not None else sys.stdin.read().removesuffix("\n")
    if parsed.secret:
        crypter = stack.crypter()
        stack.file = load_stack_file(stack.project, stack.name)
        value: Any = {"secure": crypter.encrypt(text)}
    else:
        value = _typed(text) if parsed.path else text
    config = stack.file.editable_config()
    _put(config, (_stored_key(config, key, stack.project.name), *path), value)
    stack.file.save()
    return 0


def _stored_key(config: Any, key: str, project: str) -> str:
    """The key as the file writes it: with its namespace, unless it is there without."""
    short = key.removeprefix(f"{project}:")
    return short if short in config else key


def _typed(text: str) -> Any:
    """With --path, true, false and whole numbers are typed, as with the CLI."""
    if text in ("true", "false"):
        return text == "true"
    if text.removeprefix("-").isdigit() and (text == "0" or not text.removeprefix("-").startswith("0")):
        return int(text)
    return text


def _put(container: Any, path: Path, value: Any) -> None:
    """Set a value inside mappings and lists, making those on the way."""
    for number, step in enumerate(path[:-1]):
        following: Any = [] if isinstance(path[number + 1], int) else {}
        try:
            inner = container[step]
        except (KeyError, IndexError):
            inner = None
        if not isinstance(inner, dict | list):
            _assign(container, step, following)
        container = container[step]
    _assign(container, path[-1], quoted(value) if isinstance(value, str) else value)


def _assign(container: Any, step: str | int, value: Any) -> None:
    if isinstance(container, list):
        if not isinstance(step, int) or step > len(container):
            raise EngineError(f"cannot set {step!r} of a list of {len(container)}; use an index up to {len(container)}")
        if step == len(container):
            container.append(value)
        else:
            container[step] = value
    elif isinstance(step, str):
        container[step] = value
    else:
        raise EngineError(f"cannot set index {step} of a mapping; use a name")


def _rm(parsed: argparse.Namespace) -> int:
    stack = _stack(parsed)
    key, path = _split(stack, parsed.key, parsed.path)
    config = stack.file.editable_config()
    container: Any = config
    full: Path = (_stored_key(config, key, stack.project.name), *path)
    try:
        for step in full[:-1]:
            container = container[step]
        del container[full[-1]]
    except (KeyError, IndexError, TypeError):
        return 0  # the CLI does not mind either
    stack.file.save()
    return 0
