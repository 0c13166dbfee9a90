"""The `evenkeel` command: look at a running stack, reach its hosts, stop and start them.

Read-only by default: `status`, `summary`, `ssh`, `logs`; `stop` and `start` act on containers of this machine.
`commands` lists the commands, one function each; the rest of the package is what they are made of:
`facts` asks the hosts, `judgement` decides what is wrong, `table` draws, `terminal` starts the system's ssh client.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the `evenkeel` command."""
    from scripts.cli.commands import run  # noqa: PLC0415  # paramiko and rich load only when a command runs

    run()
