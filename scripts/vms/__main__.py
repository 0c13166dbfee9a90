"""`python -m scripts.vms VERB`: reach, check, ready and stop read JSON on standard input; mend reads the state.

mend and purge take --prefix and the hypervisors' --uri.
"""

import argparse
import json
import sys
from collections.abc import Callable

from scripts.verbs import run_verb
from scripts.vms.check import check_hypervisor
from scripts.vms.errors import VmError
from scripts.vms.known import hypervisors_of, known_things
from scripts.vms.machine import await_machine, stop_machine
from scripts.vms.mend import find_lost, purge, refuse_inactive_pools, stand_in, sweep
from scripts.vms.reach import reach
from scripts.vms.spec import Machine, Needs, Wanted
from scripts.vms.virsh import require


def main() -> int:
    """Do one thing; failures are one sentence and exit code 1."""
    return run_verb("vms", _parser(), VmError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.vms", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    action: Callable[[argparse.Namespace], None]
    for name, action, text in (
        ("reach", _reach, "does this hypervisor answer, and with which kind of machine?"),
        ("check", _check, "has it what the stack's machines need?"),
        ("ready", _ready, "wait until a machine answers"),
        ("stop", _stop, "shut a machine down"),
    ):
        verbs.add_parser(name, help=text).set_defaults(action=action)
    for name, action, text in (
        ("mend", _mend, "remove what the state does not know; print the URNs of what is lost"),
        ("purge", _purge, "remove all of the stack"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--prefix", required=True)
        verb.add_argument("--uri", action="append", default=[])
        verb.set_defaults(action=action)
    return parser


def _reach(_: argparse.Namespace) -> None:
    print(json.dumps(reach(Wanted.parse(sys.stdin.read()))))


def _check(_: argparse.Namespace) -> None:
    check_hypervisor(Needs.parse(sys.stdin.read()))


def _ready(_: argparse.Namespace) -> None:
    print(json.dumps(await_machine(Machine.parse(sys.stdin.read()))))


def _stop(_: argparse.Namespace) -> None:
    stop_machine(Machine.parse(sys.stdin.read()))


def _mend(arguments: argparse.Namespace) -> None:
    export = json.load(sys.stdin)
    known = known_things(export)
    uris = list(dict.fromkeys([*arguments.uri, *hypervisors_of(export)]))
    for uri in uris:
        require(uri)
    refuse_inactive_pools(uris, known)
    for what in sweep(uris, arguments.prefix, known):
        print(f"removed {what}, which an interrupted update left", file=sys.stderr)
    lost = find_lost(arguments.prefix, known)
    for thing in lost:
        stand_in(thing)
        print(f"{thing.kind} {thing.name} is gone", file=sys.stderr)
    print(json.dumps([thing.urn for thing in lost]))


def _purge(arguments: argparse.Namespace) -> None:
    for uri in arguments.uri:
        require(uri)
    print(f"removed: {', '.join(purge(arguments.uri, arguments.prefix)) or 'nothing'}")


if __name__ == "__main__":
    sys.exit(main())
