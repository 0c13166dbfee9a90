"""The program's commands: the one place that knows pulumi-command.

Three kinds, by where they run: `run_here` on the machine that runs Pulumi (one of our programs, JSON on standard
input), `run_on` on a host over SSH, and `apply_on`, which pushes a role's configuration to a host. Every one is
idempotent: a changed input runs the same command again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import local, remote

# Relative, because the command is kept in the state: it must be the same from every clone of the project.
PYTHON = "exec .venv/bin/python -m"


@dataclass(frozen=True)
class Login:
    """How to reach a host over SSH: its address, the deploy key, and the host key it must show."""

    address: str
    private_key: pulumi.Output[str]
    host_key: pulumi.Output[str]
    host_id: pulumi.Output[str]


@dataclass(frozen=True)
class Bundle:
    """A role's configuration as evenkeel-apply takes it (see scripts/host/evenkeel-apply.py for each field)."""

    role: str
    files: Sequence[Mapping[str, Any]]
    directories: Sequence[Mapping[str, str]] = ()
    validate: Sequence[Sequence[str]] = ()
    enable: Sequence[str] = ()
    reload: Sequence[str] = ()
    restart: Sequence[str] = ()
    restart_on: Sequence[str] = ()
    wait: Sequence[Sequence[str]] = ()


def run_here(
    name: str,
    program: str,
    inputs: Mapping[str, Any] | Sequence[Any],
    opts: pulumi.ResourceOptions,
    *,
    delete: str | None = None,
    triggers: Sequence[Any] = (),
    secret_output: bool = False,
) -> local.Command:
    """Run `python -m PROGRAM` in the project's directory, with `inputs` as JSON on its standard input.

    `delete` is the program to run when the resource goes; a change in `triggers` replaces it.
    """
    if secret_output:
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
    return local.Command(
        name,
        create=f"{PYTHON} {program}",
        delete=f"{PYTHON} {delete}" if delete else None,
        stdin=pulumi.Output.json_dumps(inputs, sort_keys=True),
        triggers=list(triggers) or None,
        logging=local.Logging.NONE if secret_output else local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )


def ask_here(
    program: str, inputs: Mapping[str, Any] | None = None, after: Sequence[pulumi.Resource] = ()
) -> pulumi.Output[str]:
    """Run `python -m PROGRAM`, which only reads, in every preview and update; return what it prints.

    Not before `after` is there; `inputs` are JSON on its standard input. Unknown in a preview where those are.
    """
    result = local.run_output(
        command=f"{PYTHON} {program}",
        stdin=pulumi.Output.json_dumps(inputs, sort_keys=True) if inputs else None,
        logging=local.Logging.NONE,
        opts=pulumi.InvokeOutputOptions(depends_on=list(after)),
    )
    return result.stdout


def run_on(
    name: str,
    login: Login,
    command: str,
    opts: pulumi.ResourceOptions,
    *,
    stdin: pulumi.Input[str] | None = None,
    triggers: Sequence[Any] = (),
) -> remote.Command:
    """Run one line on a host over SSH; again when `stdin`, the line or the host itself changes."""
    return remote.Command(
        name,
        connection=connect(login),
        create=command,
        stdin=stdin,
        triggers=[login.host_id, *triggers],
        logging=remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )


def apply_on(name: str, login: Login, bundle: Bundle, opts: pulumi.ResourceOptions) -> remote.Command:
    """Push a role's configuration: staged, validated on the host, moved into place, reloaded only if changed."""
    document = {
        "role": bundle.role,
        "directories": bundle.directories,
        "files": bundle.files,
        "validate": bundle.validate,
        "enable": bundle.enable,
        "reload": bundle.reload,
        "restart": bundle.restart,
        "restart_on": bundle.restart_on,
        "wait": bundle.wait,
    }
    return run_on(name, login, "exec evenkeel-apply", opts, stdin=pulumi.Output.json_dumps(document, sort_keys=True))


def connect(login: Login) -> remote.ConnectionArgs:
    """Return pulumi-command's connection: root by key, the host key pinned, patient while a host boots."""
    return remote.ConnectionArgs(
        host=login.address,
        user="root",
        private_key=login.private_key,
        host_key=login.host_key,
        dial_error_limit=60,
        per_dial_timeout=10,
    )
