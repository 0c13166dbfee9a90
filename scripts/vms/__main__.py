"""`python -m scripts.vms VERB`: reach, check, write-seed, remove-seed, ready and stop read JSON on standard input.

mend and let-go read the state there, and print it where something is lost: it is to be imported then. These and purge
take --prefix, the hypervisors' --uri, and --pool. on and off take the machine's host and where it is.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from scripts.verbs import run_verb
from scripts.vms.check import check_hypervisor
from scripts.vms.errors import VmError
from scripts.vms.known import hypervisors_of, known_things
from scripts.vms.machine import await_machine, stop_machine, switch_off
from scripts.vms.mend import (
    Losses,
    find_losses,
    purge,
    refuse_inactive_pools,
    refuse_unknown_stack,
    settle,
    start_pools,
    start_stopped,
    sweep,
)
from scripts.vms.reach import reach
from scripts.vms.seed import remove_seed, write_seed
from scripts.vms.spec import Machine, Needs, SeedDisk, Wanted
from scripts.vms.virsh import answers, require


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
        ("write-seed", _write_seed, "make a machine's seed disk"),
        ("remove-seed", _remove_seed, "delete it"),
        ("ready", _ready, "wait until a machine answers"),
        ("stop", _stop, "shut a machine down"),
    ):
        verbs.add_parser(name, help=text).set_defaults(action=action)
    for name, action, text in (
        ("mend", _mend, "remove what the state does not know, start what is off; print the state without what is lost"),
        ("let-go", _let_go, "print the state without what is lost, before all of it goes"),
        ("purge", _purge, "remove all of the stack, its data too"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--prefix", required=True)
        verb.add_argument("--uri", action="append", default=[])
        verb.add_argument("--pool", default="", help="an existing one that the stack's volumes are in")
        verb.set_defaults(action=action)
    verb = verbs.add_parser("ask", help="does each of these hypervisors answer?")
    verb.add_argument("--uri", action="append", default=[])
    verb.set_defaults(action=_ask)
    for name, action, text in (
        ("on", _on, "start a machine, and wait until it answers"),
        ("off", _off, "shut a machine down"),
    ):
        verb = verbs.add_parser(name, help=text)
        for option in ("--uri", "--address", "--domain"):
            verb.add_argument(option, required=True)
        verb.add_argument("host", metavar="HOST")
        verb.set_defaults(action=action)
    return parser


def _reach(_: argparse.Namespace) -> None:
    print(json.dumps(reach(Wanted.parse(sys.stdin.read()))))


def _ask(arguments: argparse.Namespace) -> None:
    for uri in arguments.uri:
        require(uri)


def _check(_: argparse.Namespace) -> None:
    check_hypervisor(Needs.parse(sys.stdin.read()))


def _write_seed(_: argparse.Namespace) -> None:
    print(write_seed(SeedDisk.parse(sys.stdin.read())))


def _remove_seed(_: argparse.Namespace) -> None:
    remove_seed(SeedDisk.parse(sys.stdin.read()))


def _ready(_: argparse.Namespace) -> None:
    print(json.dumps(await_machine(Machine.parse(sys.stdin.read()))))


def _stop(_: argparse.Namespace) -> None:
    stop_machine(Machine.parse(sys.stdin.read()))


def _on(arguments: argparse.Namespace) -> None:
    require(arguments.uri)
    await_machine(_machine(arguments))
    print(f"started: {arguments.host}")


def _off(arguments: argparse.Namespace) -> None:
    require(arguments.uri)
    switch_off(_machine(arguments))
    print(f"stopped: {arguments.host}")


def _machine(arguments: argparse.Namespace) -> Machine:
    return Machine(arguments.uri, arguments.domain, arguments.host, arguments.address)


def _mend(arguments: argparse.Namespace) -> None:
    export = json.load(sys.stdin)
    known = known_things(export)
    uris = _hypervisors(arguments, export)
    for uri in uris:
        require(uri)
    refuse_inactive_pools(uris, known)
    refuse_unknown_stack(uris, arguments.prefix, known)
    for told in sweep(uris, arguments.prefix, known):
        _tell(told)
    losses = find_losses(uris, arguments.prefix, known)
    _settle(losses, export)
    # A machine without one of its disks is made anew anyhow, and may not start.
    for told in start_stopped(uris, [thing for thing in known if thing not in losses.bare]):
        _tell(f"started the {told}, which was shut off")


def _let_go(arguments: argparse.Namespace) -> None:
    export = json.load(sys.stdin)
    uris = [uri for uri in _hypervisors(arguments, export) if answers(uri)]
    for uri in uris:
        start_pools(uri, arguments.prefix, arguments.pool)
    _settle(find_losses(uris, arguments.prefix, known_things(export)), export)


def _hypervisors(arguments: argparse.Namespace, export: Mapping[str, Any]) -> list[str]:
    """The config's, and those that the state has something of."""
    return list(dict.fromkeys([*arguments.uri, *hypervisors_of(export)]))


def _settle(losses: Losses, export: Mapping[str, Any]) -> None:
    for thing in losses.gone:
        _tell(f"the {thing.kind} {thing.name} is gone")
    for thing in losses.useless:
        _tell(f"the {thing.kind} {thing.name} is no use without the image below it")
    for thing in losses.bare:
        _tell(f"the {thing.kind} {thing.name} has lost a disk")
    if losses != Losses():
        print(json.dumps(settle(losses, export)))


def _purge(arguments: argparse.Namespace) -> None:
    removed, left = [], []
    for uri in arguments.uri:
        try:
            require(uri)
            removed += purge(uri, arguments.prefix, arguments.pool)
        except VmError as error:
            _tell(str(error))
            left.append(uri)
    print(f"removed: {', '.join(removed) or 'nothing'}")
    if left:
        raise VmError(f"Not all of the stack is removed from {', '.join(left)}: see to it, then run the same again.")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
