"""`python -m scripts.containers VERB`: check, network and machine read JSON on standard input.

start, stop, list and purge take --stack.
"""

import argparse
import json
import sys
from dataclasses import asdict

from scripts.containers.check import check_machine
from scripts.containers.errors import ContainerError
from scripts.containers.lifecycle import list_machines, purge, start_machines, stop_machines
from scripts.containers.machine import create_machine, delete_machine
from scripts.containers.network import create_network, delete_network
from scripts.containers.podman import require_podman
from scripts.containers.spec import CheckSpec, MachineSpec, NetworkSpec
from scripts.verbs import run_verb


def main() -> int:
    """Do one thing; failures are one sentence and exit code 1."""
    return run_verb("containers", _parser(), ContainerError, require_podman)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.containers", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verbs.add_parser("check", help="can this machine run the stack?").set_defaults(action=_check)
    for noun, action in (("network", _network), ("machine", _machine)):
        verb = verbs.add_parser(noun, help=f"create or delete a {noun}")
        verb.add_argument("step", choices=("create", "delete"))
        verb.set_defaults(action=action)
    for name, action in (("start", _start), ("stop", _stop)):
        verb = _with_stack(verbs.add_parser(name, help=f"{name} the stack's hosts, or those named"))
        verb.add_argument("hosts", nargs="*", metavar="HOST")
        verb.set_defaults(action=action)
    verb = _with_stack(verbs.add_parser("list", help="the stack's hosts"))
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(action=_list)
    _with_stack(verbs.add_parser("purge", help="remove all of the stack")).set_defaults(action=_purge)
    return parser


def _with_stack(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--stack", default="dev")
    return parser


def _check(_: argparse.Namespace) -> None:
    print(json.dumps(check_machine(CheckSpec.parse(sys.stdin.read()))))


def _network(arguments: argparse.Namespace) -> None:
    spec = NetworkSpec.parse(sys.stdin.read())
    if arguments.step == "delete":
        delete_network(spec)
        return
    create_network(spec)
    print(json.dumps({"name": spec.name}))


def _machine(arguments: argparse.Namespace) -> None:
    spec = MachineSpec.parse(sys.stdin.read())
    if arguments.step == "delete":
        delete_machine(spec)
        return
    print(json.dumps(create_machine(spec)))


def _start(arguments: argparse.Namespace) -> None:
    _report("started", start_machines(arguments.stack, arguments.hosts))


def _stop(arguments: argparse.Namespace) -> None:
    _report("stopped", stop_machines(arguments.stack, arguments.hosts))


def _list(arguments: argparse.Namespace) -> None:
    machines = list_machines(arguments.stack)
    if arguments.json:
        print(json.dumps([asdict(machine) for machine in machines]))
        return
    for machine in machines:
        print(f"{machine.name:<10} {machine.state:<10} {machine.address:<15} {machine.container}")


def _purge(arguments: argparse.Namespace) -> None:
    _report("removed", purge(arguments.stack))


def _report(done: str, names: list[str]) -> None:
    print(f"{done}: {' '.join(names) or 'nothing'}")


if __name__ == "__main__":
    sys.exit(main())
