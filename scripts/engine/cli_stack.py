"""`stack` and its actions: init, select, ls, output, rm, export, import."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.engine.checkpoint import Snapshot, checkpoint_text, read_deployment, stored_salt
from scripts.engine.errors import EngineError, StateError
from scripts.engine.lock import hold_lock
from scripts.engine.project import check_stack_name, load_stack_file, select_stack, selected_stack
from scripts.engine.render import plain_json, plain_text
from scripts.engine.serde import to_json
from scripts.engine.session import MissingStackError, Session, Stack, open_session, open_stack
from scripts.engine.state import STACK_TYPE, urn_type
from scripts.engine.values import PropertyMap


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """Add the actions to the command line."""
    init = actions.add_parser("init", parents=[common], help="make a stack and select it")
    init.add_argument("name", nargs="?")
    init.add_argument("--no-select", action="store_true")
    init.add_argument("--secrets-provider", choices=("default", "passphrase"), default="default")
    init.set_defaults(handler=_init)
    select = actions.add_parser("select", parents=[common], help="select a stack")
    select.add_argument("name", nargs="?")
    select.add_argument("-c", "--create", action="store_true", help="make it if it is missing")
    select.add_argument("--secrets-provider", choices=("default", "passphrase"), default="default")
    select.set_defaults(handler=_select)
    ls = actions.add_parser("ls", parents=[common], help="list the project's stacks")
    ls.add_argument("-j", "--json", action="store_true")
    ls.set_defaults(handler=_ls)
    output = actions.add_parser("output", parents=[common], help="the stack's outputs")
    output.add_argument("property", nargs="?")
    output.add_argument("-j", "--json", action="store_true")
    output.add_argument("--show-secrets", action="store_true")
    output.set_defaults(handler=_output)
    rm = actions.add_parser("rm", parents=[common], help="remove a stack")
    rm.add_argument("name", nargs="?")
    rm.add_argument("-y", "--yes", action="store_true")
    rm.add_argument("-f", "--force", action="store_true", help="also when it still has resources")
    rm.add_argument("--preserve-config", action="store_true")
    rm.set_defaults(handler=_rm)
    export = actions.add_parser("export", parents=[common], help="print the state")
    export.add_argument("--file")
    export.add_argument("--show-secrets", action="store_true")
    export.set_defaults(handler=_export)
    import_ = actions.add_parser("import", parents=[common], help="put an exported state in the place of the state")
    import_.add_argument("--file")
    import_.set_defaults(handler=_import)


def make_stack(session: Session, name: str) -> None:
    """Make an empty stack, with a salt in its settings file."""
    if session.backend.exists(name):
        raise EngineError(f"stack 'organization/{session.project.name}/{name}' already exists")
    file = load_stack_file(session.project, name)
    crypter = session.crypter(file.salt) if file.salt else session.new_crypter()
    if not file.salt:
        file.set_salt(crypter.salt)
        file.save()
    qualified = f"organization/{session.project.name}/{name}"
    session.backend.save(name, checkpoint_text(qualified, crypter.salt, [], []))
    print(f"Created stack '{name}'", file=sys.stderr)


def _init(parsed: argparse.Namespace) -> int:
    name = parsed.name or parsed.stack
    if not name:
        raise EngineError("missing stack name; run `pulumi stack init NAME`")
    session, name = open_session(parsed.cwd), check_stack_name(name)
    make_stack(session, name)
    if not parsed.no_select:
        select_stack(session.project, session.backend, name)
    return 0


def _select(parsed: argparse.Namespace) -> int:
    name = parsed.name or parsed.stack
    if not name:
        raise EngineError("missing stack name; run `pulumi stack select NAME`")
    session, name = open_session(parsed.cwd), check_stack_name(name)
    if not session.backend.exists(name):
        if not parsed.create:
            raise MissingStackError(f"no stack named '{name}' found")
        make_stack(session, name)
    select_stack(session.project, session.backend, name)
    return 0


def _ls(parsed: argparse.Namespace) -> int:
    session = open_session(parsed.cwd)
    current = selected_stack(session.project, session.backend)
    rows = []
    for name in session.backend.stacks():
        latest = session.backend.load(name).get("latest") or {}
        time = str((latest.get("manifest") or {}).get("time") or "")
        rows.append((name, name == current, time, len(latest.get("resources") or [])))
    if parsed.json:
        print(
            json.dumps(
                [{"name": n, "current": c, "lastUpdate": t, "resourceCount": r} for n, c, t, r in rows], indent=2
            )
        )
        return 0
    table = [("NAME", "LAST UPDATE", "RESOURCE COUNT")]
    table += [(f"{n}{'*' if c else ''}", _ago(t), str(r)) for n, c, t, r in rows]
    _print_table(table, "")
    return 0


def _ago(text: str) -> str:
    try:
        then = datetime.fromisoformat(text.split(".", maxsplit=1)[0].rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        return "n/a"
    seconds = int((datetime.now(UTC) - then).total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "now"


def _print_table(rows: Sequence[tuple[str, ...]], indent: str) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def stack_outputs(stack: Stack) -> PropertyMap:
    """The stack's outputs, as the state has them."""
    for state in stack.deployment().resources:
        if state.type == STACK_TYPE and not state.delete:
            return state.outputs
    return {}


def _output(parsed: argparse.Namespace) -> int:
    stack = open_stack(open_session(parsed.cwd), parsed.stack)
    outputs = stack_outputs(stack)
    if parsed.property:
        if parsed.property not in outputs:
            raise EngineError(f"current stack does not have output property '{parsed.property}'")
        value = outputs[parsed.property]
        if parsed.json:
            print(json.dumps(plain_json(value, parsed.show_secrets), indent=2, ensure_ascii=False))
        else:
            print(plain_text(value, parsed.show_secrets))
        return 0
    if parsed.json:
        print(json.dumps(plain_json(outputs, parsed.show_secrets), indent=2, ensure_ascii=False))
        return 0
    _print_outputs(outputs, parsed.show_secrets)
    return 0


def _print_outputs(outputs: PropertyMap, show_secrets: bool) -> None:
    print(f"Current stack outputs ({len(outputs)}):")
    if outputs:
        rows = [(key, plain_text(value, show_secrets)) for key, value in sorted(outputs.items())]
        _print_table([("OUTPUT", "VALUE"), *rows], "    ")
    else:
        print("    No output values currently in this stack")


def show(parsed: argparse.Namespace) -> int:
    """`stack`: what there is in the selected stack."""
    session = open_session(parsed.cwd)
    stack = open_stack(session, parsed.stack)
    if parsed.show_name:
        print(stack.name)
        return 0
    resources = [state for state in stack.deployment().resources if not state.delete]
    print(f"Current stack is {stack.name}:\nCurrent stack resources ({len(resources)}):")
    children: dict[str, list[Any]] = {}
    for state in resources:
        children.setdefault(state.parent, []).append(state)
    tree = [("TYPE", "NAME"), *_tree(children, "", "")]
    _print_table(tree, "    ")
    print()
    _print_outputs(stack_outputs(stack), show_secrets=False)
    return 0


def _tree(children: dict[str, list[Any]], parent: str, indent: str) -> list[tuple[str, str]]:
    rows = []
    siblings = children.get(parent, [])
    for number, state in enumerate(siblings):
        last = number == len(siblings) - 1
        mark, deeper = ("", "") if not parent else ("└─ ", "   ") if last else ("├─ ", "│  ")
        rows.append((f"{indent}{mark}{urn_type(state.urn)}", state.name))
        rows += _tree(children, state.urn, indent + deeper)
    return rows


def _rm(parsed: argparse.Namespace) -> int:
    session = open_session(parsed.cwd)
    name = session.stack_name(parsed.name or parsed.stack)
    if not parsed.yes and not (sys.stdin.isatty() and not parsed.non_interactive):
        raise EngineError("non-interactive mode requires --yes flag")
    if not parsed.yes and input(f"This will permanently remove the '{name}' stack! Type its name: ").strip() != name:
        raise EngineError("confirmation declined")
    latest = session.backend.load(name).get("latest") or {}
    if latest.get("resources") and not parsed.force:
        raise EngineError(
            f"'{name}' still has resources; removal rejected. Possible actions:\n"
            f"- Make sure that '{name}' is the stack that you want to destroy\n"
            "- Run `pulumi destroy` to delete the resources, then run `pulumi stack rm`\n"
            "- Run `pulumi stack rm --force` to override this error"
        )
    session.backend.remove(name)
    if selected_stack(session.project, session.backend) is None:
        select_stack(session.project, session.backend, None)
    if not parsed.preserve_config:
        session.project.stack_file(name).unlink(missing_ok=True)
    print(f"Stack '{name}' has been removed!")
    return 0


def _export(parsed: argparse.Namespace) -> int:
    stack = open_stack(open_session(parsed.cwd), parsed.stack)
    latest = stack.checkpoint.get("latest") or {}
    if parsed.show_secrets:
        for raw, state in zip(latest.get("resources") or [], stack.deployment().resources, strict=True):
            for key, properties in (("inputs", state.inputs), ("outputs", state.outputs)):
                if key in raw:
                    raw[key] = _with_plaintext(to_json(properties, lambda text: text))
    text = json.dumps({"version": 3, "deployment": latest}, indent=4, ensure_ascii=False)
    if parsed.file:
        Path(parsed.file).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


def _import(parsed: argparse.Namespace) -> int:
    stack = open_stack(open_session(parsed.cwd), parsed.stack)
    text = Path(parsed.file).read_text(encoding="utf-8") if parsed.file else sys.stdin.read()
    with hold_lock(stack.backend, stack.name, print):
        checkpoint = {"latest": _exported(text, stack.name)}
        salt = stored_salt(checkpoint)
        crypter = stack.session.crypter(salt) if salt else stack.crypter()
        Snapshot(read_deployment(checkpoint, crypter), stack.crypter(), stack.backend, stack.name).save()
    print("Import complete.")
    return 0


def _exported(text: str, stack: str) -> dict[str, Any]:
    """The deployment in what `stack export` printed; StateError where it is none of this stack's."""
    try:
        latest = json.loads(text)["deployment"] or {}
        urns = [str(raw["urn"]) for raw in latest.get("resources") or []]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"what is to be imported is not what `pulumi stack export` prints ({error!r})") from error
    if strange := [urn for urn in urns if not urn.startswith(f"urn:pulumi:{stack}::")]:
        raise StateError(f"what is to be imported is of another stack than {stack}: it has {strange[0]}")
    found: dict[str, Any] = latest
    return found


def _with_plaintext(value: Any) -> Any:
    """Secrets as the export shows them: the member `plaintext` in the place of `ciphertext`."""
    if isinstance(value, dict):
        return {("plaintext" if key == "ciphertext" else key): _with_plaintext(item) for key, item in value.items()}
    return [_with_plaintext(item) for item in value] if isinstance(value, list) else value
