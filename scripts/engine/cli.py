"""The command line: the verbs and flags of the Pulumi CLI that this project uses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

from scripts.engine import VERSION, cli_config, cli_small, cli_stack
from scripts.engine.errors import EngineError, PassphraseError
from scripts.engine.session import open_session, open_stack

BANNER = "Evenkeel's embedded engine (not the Pulumi CLI; it runs this project where no Pulumi CLI is installed)"
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Handler = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parsed = _parser().parse_args(_in_order(arguments))
    handler: Handler = parsed.handler
    if getattr(parsed, "announced", False):
        print(BANNER, file=sys.stderr if getattr(parsed, "json", False) else sys.stdout, flush=True)
    try:
        return handler(parsed)
    except PassphraseError as error:
        print(f"error: getting stack configuration: get stack secrets manager: {error}", file=sys.stderr)
        return error.exit_code
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


_GLOBAL_VALUES = ("-s", "--stack", "-C", "--cwd", "--color", "--parallel", "-p")


def _in_order(arguments: Sequence[str]) -> list[str]:
    """The CLI takes its global flags before the verb too; argparse wants them behind it."""
    rest = list(arguments)
    moved: list[str] = []
    while rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help", "--version"):
        flag = rest.pop(0)
        moved.append(flag)
        if flag in _GLOBAL_VALUES and rest:
            moved.append(rest.pop(0))
    return [*rest, *moved] if rest else moved


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-s", "--stack", help="the stack; default: the selected one")
    common.add_argument("-C", "--cwd", help="run as if started in this directory")
    common.add_argument("--non-interactive", action="store_true", help="never ask")
    common.add_argument("--color", choices=("auto", "always", "never", "raw"), default="auto")
    return common


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pulumi", description=BANNER)
    parser.add_argument("--version", action="version", version=f"v{VERSION} (Evenkeel's embedded engine)")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    common = _common()
    _add_operations(verbs, common)
    _add_stack(verbs, common)
    _add_config(verbs, common)
    cli_small.add_verbs(verbs, common)
    return parser


def _add_operations(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    for name, aliases, help_ in (
        ("up", ["update"], "create or update the stack's resources"),
        ("preview", ["pre"], "show what up would do"),
        ("destroy", ["down"], "delete the stack's resources"),
    ):
        verb = verbs.add_parser(name, aliases=aliases, parents=[common], help=help_)
        verb.add_argument("--diff", action="store_true", help="show the changed properties")
        verb.add_argument("-p", "--parallel", type=int, default=16, help="operations at a time (16)")
        if name != "destroy":
            verb.add_argument("--replace", action="append", default=[], metavar="URN", help="make this one anew")
        verb.add_argument("-r", "--refresh", nargs="?", const=True, help="accepted; commands have nothing to refresh")
        verb.add_argument("-j", "--json", action="store_true", help="print the preview as JSON")
        verb.add_argument("--suppress-outputs", action="store_true", help=argparse.SUPPRESS)
        if name == "preview":
            verb.add_argument("--expect-no-changes", action="store_true", help="fail (7) if anything would change")
        else:
            verb.add_argument("-y", "--yes", action="store_true", help="do not ask")
            verb.add_argument("-f", "--skip-preview", action="store_true", help="do not preview first")
            verb.add_argument("--preview-only", action="store_true", help="only preview")
        verb.set_defaults(handler=_operate, verb=name, announced=True)


def _operate(parsed: argparse.Namespace) -> int:
    from scripts.engine import operations  # noqa: PLC0415 - gRPC takes half a second to import

    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not parsed.non_interactive
    options = operations.Options(
        yes=getattr(parsed, "yes", False),
        skip_preview=getattr(parsed, "skip_preview", False),
        preview_only=getattr(parsed, "preview_only", False) or (parsed.json and parsed.verb == "destroy"),
        json=parsed.json,
        diff=parsed.diff,
        expect_no_changes=getattr(parsed, "expect_no_changes", False),
        interactive=interactive,
        colour=wants_colour(parsed.color),
        parallel=max(1, parsed.parallel),
        replace=frozenset(getattr(parsed, "replace", ())),
    )
    run = {"up": operations.update, "preview": operations.preview, "destroy": operations.destroy}[parsed.verb]
    return run(open_stack(open_session(parsed.cwd), parsed.stack), options)


def wants_colour(choice: str) -> bool:
    """Whether to colour: as told, or on a terminal unless NO_COLOR is set."""
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return choice == "always"


def _add_stack(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    stack = verbs.add_parser("stack", parents=[common], help="work with stacks")
    stack.add_argument("--show-name", action="store_true", help="only the selected stack's name")
    stack.set_defaults(handler=cli_stack.show, show_secrets=False)
    actions = stack.add_subparsers(metavar="ACTION")
    cli_stack.add_actions(actions, common)


def _add_config(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    config = verbs.add_parser("config", parents=[common], help="the stack's configuration")
    config.add_argument("--show-secrets", action="store_true")
    config.add_argument("-j", "--json", action="store_true")
    config.set_defaults(handler=cli_config.show)
    actions = config.add_subparsers(metavar="ACTION")
    cli_config.add_actions(actions, common)
